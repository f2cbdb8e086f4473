// Who writes a record in this process now, and whose turn an update is. Only a help: compare-and-set decides what is
// right, and nobody waits longer than the limit for another request.

/** How long one request waits for another of the same session, in milliseconds: longer than a healthy write, not felt. */
export const MAX_WAIT = 50

// More changes than this are stored in a second write.
const MAX_GROUP = 128

/** A write that is under way, and the changes that met it. */
export interface Writing<Member> {
  waiting: Member[]
  timer: NodeJS.Timeout | undefined
}

/** Collects the changes that meet a write of their record under way, to be stored together by one more write. */
export class WriteQueue<Member> {
  readonly #writing = new Map<string, Writing<Member>>()
  readonly #write: (members: Member[]) => Promise<void>

  /** `write` stores the changes of its members and settles each of them; it never rejects. */
  constructor(write: (members: Member[]) => Promise<void>) {
    this.#write = write
  }

  /** Whether a write of that record is under way in this process. */
  isBusy(key: string): boolean {
    return this.#writing.size > 0 && this.#writing.has(key)
  }

  /** Says that a write of that record is under way, until {@link end}; `undefined` where one is already. */
  begin(key: string): Writing<Member> | undefined {
    if (this.#writing.has(key)) return undefined
    const writing: Writing<Member> = { waiting: [], timer: undefined }
    this.#writing.set(key, writing)
    return writing
  }

  /** A write is over: the changes that met it are stored by the next one. */
  end(key: string, writing: Writing<Member> | undefined): void {
    if (writing !== undefined && this.#writing.get(key) === writing) this.#next(key, writing)
  }

  /** The same around a promise. */
  async hold<T>(key: string, work: Promise<T>): Promise<T> {
    const writing = this.begin(key)
    try {
      return await work
    } finally {
      this.end(key, writing)
    }
  }

  /** Hands a change over to the next write of a record that is busy. */
  join(key: string, member: Member): void {
    const writing = this.#writing.get(key)
    if (writing === undefined) {
      void this.hold(key, this.#write([member]))
      return
    }
    writing.waiting.push(member)
    // A slow write is not waited for: what has come together meanwhile is written beside it.
    writing.timer ??= setTimeout(() => this.#next(key, writing), MAX_WAIT)
  }

  #next(key: string, writing: Writing<Member>): void {
    clearTimeout(writing.timer)
    writing.timer = undefined
    const members = writing.waiting.splice(0, MAX_GROUP)
    this.#writing.delete(key)
    if (members.length === 0) return
    void this.hold(key, this.#write(members))
    const rest = this.#writing.get(key)
    if (rest === undefined || writing.waiting.length === 0) return
    rest.waiting = writing.waiting
    rest.timer = setTimeout(() => this.#next(key, rest), MAX_WAIT)
  }
}

/** Gives turns by key: the next one begins when the one before is over, or has lasted for the limit. */
export class Turns {
  readonly #last = new Map<unknown, Promise<void>>()

  /** Runs `work` in its turn. */
  async take<T>(key: unknown, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    let end: () => void = noop
    const mine = new Promise<void>((resolve) => (end = resolve))
    this.#last.set(key, mine)
    try {
      if (before !== undefined) await atMost(before, MAX_WAIT)
      return await work()
    } finally {
      end()
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}

function noop(): void {
  // replaced at once
}

/** Resolves when `promise` does, or after so many milliseconds. */
async function atMost(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)))
  await Promise.race([promise, late])
  clearTimeout(timer)
}
