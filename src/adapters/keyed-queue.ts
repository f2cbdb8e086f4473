// Queues the calls of one foreign store: one turn after another for each key, in parallel for different keys. This serialises
// multi-call operations per key within one process. Every wait has a limit, because a foreign store may never answer.
import { unrefed } from '../timers.ts'

// The most turns in line for one key. The most milliseconds for a turn and its wait together, and for a read outside a turn.
const [MAX_WAITING, MAX_TURN] = [1000, 10_000]

// In milliseconds. If others wait, a call that takes this long, and twice as long as the call that was answered last, counts as lost
// once a later call was answered: the store works.
const [LOST_AFTER, CHECK_EVERY] = [500, 100]

// For this many milliseconds after a turn lapsed, its write may land late and is then overwritten; for at most this many keys.
const [MAX_OVERDUE, MAX_OVERDUE_KEYS] = [60_000, 1000]

type Call<T = unknown> = () => Promise<T>

/** A write that has not settled. */
interface Late {
  readonly call: Call
  readonly answer: Promise<unknown>
}

interface Line {
  /** Never rejects. */
  end: Promise<void>
  length: number
}

/** The calls of one foreign store. */
export class KeyedQueue {
  readonly #lines = new Map<string, Line>()
  /** Keys with an unsettled write of a lapsed turn, and the newest write since then. */
  readonly #overdue = new Map<string, { newest?: Call; timer?: NodeJS.Timeout }>()
  /** How many calls were made so far, and the number of the last one that was answered. */
  asked = 0
  lastAnswered = 0
  /** How long the call took that was answered last, in milliseconds: a slow store loses nothing. */
  took = 0

  /** Runs `work` once all earlier turns of that key have settled or lapsed. */
  run<Result>(key: string, work: (turn: Turn) => Promise<Result>): Promise<Result> {
    const line = this.#lines.get(key) ?? { end: Promise.resolve(), length: 0 }
    if (line.length >= MAX_WAITING)
      return Promise.reject(new Error(`${MAX_WAITING} calls for one session wait for an answer of the foreign store`))
    this.#lines.set(key, line)
    line.length++
    const turn = new Turn(this, key, () => line.length > 1)
    const result = turn.run(work, line.end)
    line.end = Promise.all([line.end, turn.over]).then(() => {
      if (--line.length === 0) this.#lines.delete(key)
    })
    return result
  }

  /** One foreign call. */
  async ask<T>(call: Call<T>): Promise<T> {
    const number = ++this.asked
    const began = performance.now()
    try {
      return await call()
    } finally {
      this.lastAnswered = Math.max(this.lastAnswered, number)
      this.took = performance.now() - began
    }
  }

  /** Remembers the newest write of a key that has a late write, to repeat it once that one lands. */
  noteWrite(key: string, write: Call): void {
    const overdue = this.#overdue.get(key)
    if (overdue !== undefined) overdue.newest = write
  }

  /** For a turn that lapsed during a write: when that write lands, the newest one is repeated, so that it is not undone. */
  writeLater(key: string, { call, answer }: Late): void {
    const overdue = this.#overdue.get(key) ?? {}
    if (this.#overdue.has(key) || this.#overdue.size < MAX_OVERDUE_KEYS) {
      this.#overdue.set(key, overdue)
      clearTimeout(overdue.timer)
      overdue.timer = unrefed(setTimeout(() => this.#overdue.delete(key), MAX_OVERDUE))
    }
    // Turns that wait in line may write too: which write is the newest is known only when this turn begins.
    const repeat = async (turn: Turn): Promise<void> => {
      const newest = this.#overdue.get(key)?.newest
      // If the newest itself has landed, nothing was undone: a repeat of a repeat would never end while the store is slow.
      if (newest !== undefined && newest !== call) await turn.write(newest)
    }
    // The caller of the newest write has its answer already. If this fails, the session's next write finds another version.
    const rewrite = (): void => void this.run(key, repeat).catch(() => undefined)
    answer.then(rewrite, rewrite)
  }
}

/** The time in which one operation has a key to itself. */
export class Turn {
  /** Resolves when the next turn may begin. */
  readonly over: Promise<void>
  readonly #queue: KeyedQueue
  readonly #key: string
  readonly #hasWaiting: () => boolean
  #isOver = false
  #end!: () => void
  #watch: NodeJS.Timeout | undefined
  #call: { readonly number: number; readonly since: number } | undefined
  #write: Late | undefined

  constructor(queue: KeyedQueue, key: string, hasWaiting: () => boolean) {
    this.#queue = queue
    this.#key = key
    this.#hasWaiting = hasWaiting
    this.over = new Promise((resolve) => (this.#end = resolve))
  }

  /** Runs `work` after `previous`, unless this turn has lapsed by then. */
  run<Result>(work: (turn: Turn) => Promise<Result>, previous: Promise<void>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.#lapse()
        reject(noAnswer())
      }, MAX_TURN)
      void previous
        .then(() => this.#begin(work))
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(deadline)
          clearTimeout(this.#watch)
          this.#isOver = true
          this.#end()
        })
    })
  }

  #begin<Result>(work: (turn: Turn) => Promise<Result>): Promise<Result> {
    this.#assertGoing()
    const watch = (): void => {
      if (this.#hasWaiting() && this.#isLost()) this.#lapse()
      else this.#watch = setTimeout(watch, CHECK_EVERY)
    }
    this.#watch = setTimeout(watch, LOST_AFTER)
    return work(this)
  }

  async read<T>(call: Call<T>): Promise<T> {
    this.#assertGoing()
    const answer = await this.#ask(call)
    this.#assertGoing()
    return answer
  }

  async write(call: Call): Promise<void> {
    this.#assertGoing()
    this.#queue.noteWrite(this.#key, call)
    const answer = this.#ask(call)
    this.#write = { call, answer }
    await answer
    this.#write = undefined
    // If this turn lapsed, a later turn may have compared with the state before this write: then the later turn's write stands.
    this.#assertGoing()
  }

  async #ask<T>(call: Call<T>): Promise<T> {
    this.#call = { number: this.#queue.asked + 1, since: performance.now() }
    try {
      return await this.#queue.ask(call)
    } finally {
      this.#call = undefined
    }
  }

  #isLost(): boolean {
    if (this.#call === undefined) return false
    const { number, since } = this.#call
    const { lastAnswered, took } = this.#queue
    return performance.now() - since >= Math.max(LOST_AFTER, 2 * took) && lastAnswered > number
  }

  #lapse(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#watch)
    if (this.#write !== undefined) this.#queue.writeLater(this.#key, this.#write)
    this.#end()
  }

  #assertGoing(): void {
    if (this.#isOver) throw noAnswer()
  }
}

const queues = new WeakMap<object, KeyedQueue>()

/** The queue of a foreign store. All adapters of that store share it, even in two middlewares. */
export function queueOf(foreign: object): KeyedQueue {
  const queue = queues.get(foreign) ?? new KeyedQueue()
  queues.set(foreign, queue)
  return queue
}

/** The answer, or a failure when it comes later than MAX_TURN. */
export function within<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(noAnswer()), MAX_TURN)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function noAnswer(): Error {
  return new Error('the foreign store did not answer in time: whether its call happened is unknown')
}
