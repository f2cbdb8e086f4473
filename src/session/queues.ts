// Which records this process is writing, and the turns of updates. Both only avoid conflicts: compare-and-set decides
// which write succeeds, and no request holds up others longer than `MAX_WAIT`.
import { atMost } from '../deadlines.ts'
import type { MaybePromise } from '../store.ts'

/** How long one request waits for another of the same session, in milliseconds: longer than a healthy write, too short to be noticed. */
export const MAX_WAIT = 50

// More changes than this are stored in a second write.
const MAX_GROUP = 128

/** A write that is under way, and the changes that wait for it. */
export interface Writing<Member> {
  readonly waiting: Member[]
  timer: NodeJS.Timeout | undefined
}

/** Collects the changes of a record that is being written, and stores them together by one more write. */
export class WriteQueue<Member> {
  readonly #writing = new Map<string, Writing<Member>>()
  /** The keys of the records that this process is writing. */
  readonly busy: Pick<ReadonlyMap<string, unknown>, 'has'> = this.#writing
  readonly #write: (members: Member[]) => Promise<void>

  /** `write` stores the changes of its members and settles each of them; it never rejects. */
  constructor(write: (members: Member[]) => Promise<void>) {
    this.#write = write
  }

  /** Marks the record as being written until {@link end}; `undefined` if it is already marked. */
  begin(key: string): Writing<Member> | undefined {
    return this.#writing.has(key) ? undefined : this.#start(key, [])
  }

  /** A write is over: the changes that waited for it are stored by the next one. */
  end(key: string, writing: Writing<Member> | undefined): void {
    if (writing !== undefined && this.#writing.get(key) === writing) this.#next(key, writing)
  }

  /** Marks the record as being written until `work` settles. */
  async hold<T>(key: string, work: MaybePromise<T>): Promise<T> {
    const writing = this.begin(key)
    try {
      return await work
    } finally {
      this.end(key, writing)
    }
  }

  /** Hands a change over to the next write of a record, which must be busy: otherwise the change would wait for nothing. */
  join(key: string, member: Member): void {
    const writing = this.#writing.get(key) ?? this.#start(key, [])
    writing.waiting.push(member)
    // A slow write is not waited for: the changes collected meanwhile are written in parallel to it.
    writing.timer ??= setTimeout(() => this.#next(key, writing), MAX_WAIT)
  }

  #start(key: string, waiting: Member[]): Writing<Member> {
    const writing: Writing<Member> = { waiting, timer: undefined }
    this.#writing.set(key, writing)
    return writing
  }

  /** Writes a group of the waiting changes; the rest waits for that write. */
  #next(key: string, writing: Writing<Member>): void {
    clearTimeout(writing.timer)
    const members = writing.waiting.splice(0, MAX_GROUP)
    this.#writing.delete(key)
    if (members.length === 0) return
    // Passes on the list itself, which may be longer than the arguments of a call. Starts before the write is called: changes
    // that an app function makes during the write come after the rest.
    const rest = this.#start(key, writing.waiting)
    if (rest.waiting.length > 0) rest.timer = setTimeout(() => this.#next(key, rest), MAX_WAIT)
    void this.#write(members).finally(() => this.end(key, rest))
  }
}

interface Turn {
  /** Resolves when its work begins. */
  readonly begun: Promise<void>
  /** Resolves when its work is over. */
  readonly over: Promise<void>
  /** When its work began, by `performance.now()`; 0 before that. */
  begunAt: number
}

/** Gives turns by key: the next turn begins when the one before is over, or has run for `MAX_WAIT`. */
export class Turns {
  readonly #last = new Map<unknown, Turn>()

  /** Runs `work` in its turn. */
  async take<T>(key: unknown, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    let begin!: () => void
    let end!: () => void
    const mine: Turn = {
      begun: new Promise<void>((resolve) => (begin = resolve)),
      over: new Promise<void>((resolve) => (end = resolve)),
      begunAt: 0,
    }
    this.#last.set(key, mine)
    try {
      // The limit counts from the beginning of the previous work, so that a long queue does not begin all at once.
      if (before !== undefined) {
        await before.begun
        await atMost(before.begunAt + MAX_WAIT - performance.now(), before.over)
      }
      mine.begunAt = performance.now()
      begin()
      return await work()
    } finally {
      end()
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }
}
