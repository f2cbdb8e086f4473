// Tasks that take turns: one runs at a time, until it waits here. Which task goes on next is decided by a given list of choices,
// so that the same choices always give the same order.
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'
import { Turns, WriteQueue } from '../../../src/session/queues.ts'

/** What a task waits for. A `call` is a store call that has not happened yet. */
export type Place = 'start' | 'handler' | 'call' | 'answer' | 'pause' | 'delivery' | 'moment' | 'hours'

interface Waiting {
  readonly task: number
  readonly place: Place
  readonly go: () => void
}

/** More turns than any scenario needs: beyond it, a task waits for something that never comes. */
const MOST_TURNS = 20_000

export class Schedule {
  readonly #choices: readonly number[]
  readonly #waiting: Waiting[] = []
  #turns = 0
  #used = 0
  #running = -1
  #wideFrom = Infinity
  #over: () => void = () => undefined
  /** The number of calls that the store is working on. Their waits are not scheduled. */
  calling = 0

  /** `choices`: which of the waiting tasks goes on, by turn. When they are used up, the first one does. */
  constructor(choices: readonly number[]) {
    this.#choices = choices
  }

  /** The task that runs now, to which every event is attributed. */
  get running(): number {
    return this.#running
  }

  /** Waits for a turn. */
  wait(place: Place): Promise<void> {
    const task = this.#running
    return new Promise((resolve) => {
      this.#waiting.push({ task, place, go: resolve })
      this.#over()
    })
  }

  /** Runs all tasks to their ends. Those from index `wideFrom` on may wait for several things at once. */
  async run(tasks: readonly (() => Promise<void>)[], wideFrom = Infinity): Promise<void> {
    this.#wideFrom = wideFrom
    for (const [at, task] of tasks.entries()) await this.#let(at, () => void task().then(() => this.#over()))
    while (this.#waiting.length > 0) {
      if (++this.#turns > MOST_TURNS) throw new Error(`no end after ${MOST_TURNS} turns`)
      const { task, go } = this.#next()
      await this.#let(task, go)
    }
    this.#running = -1
  }

  async #let(task: number, go: () => void): Promise<void> {
    if (task < this.#wideFrom) return this.#untilWaiting(task, go)
    this.#running = task
    this.#over = () => undefined
    go()
    // The task is at rest once no call is under way and its immediate continuations have run.
    do await nextTurn()
    while (this.calling > 0)
    await nextTurn()
  }

  #untilWaiting(task: number, go: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#running = task
      this.#over = resolve
      go()
    })
  }

  // A call carries the instant at which it was made, so time passes only before a call is made or after it has happened. An
  // operation of several calls takes seconds at most, while handlers may take hours.
  #next(): Waiting {
    const isAtWork = (place: Place): boolean => place === 'call' || place === 'answer' || place === 'pause'
    const isAnyAtWork = this.#waiting.some(({ place }) => isAtWork(place))
    const isAnyCalling = this.#waiting.some(({ place }) => place === 'call')
    const ready = this.#waiting.filter(({ place }) =>
      place === 'moment' ? !isAnyCalling : place !== 'hours' || !isAnyAtWork,
    )
    const choice = ready.length === 1 ? 0 : (this.#choices[this.#used++] ?? 0)
    const chosen = ready[choice % ready.length]
    if (chosen === undefined) throw new Error('everybody waits for somebody else')
    this.#waiting.splice(this.#waiting.indexOf(chosen), 1)
    return chosen
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

let current: Schedule | undefined
const sleep = timers.setTimeout

/** While `work` runs, the pauses of the core are turns of the schedule: they take no time, and their order is chosen too. */
export async function withPauses<T>(schedule: Schedule, work: () => Promise<T>): Promise<T> {
  current = schedule
  try {
    return await work()
  } finally {
    current = undefined
  }
}

function pause<T>(milliseconds?: number, value?: T, options?: object): Promise<T | undefined> {
  if (current === undefined || current.calling > 0) return sleep(milliseconds, value, options)
  return current.wait('pause').then(() => value)
}

Object.assign(timers, { setTimeout: pause })
syncBuiltinESMExports()

// Queues only help: compare-and-set does not need them. Under a schedule no call waits in a queue, so that every order of store
// calls can occur.
// eslint-disable-next-line @typescript-eslint/unbound-method -- called below with the queue that was asked
const { begin } = WriteQueue.prototype
// eslint-disable-next-line @typescript-eslint/unbound-method -- called below with the turns that were asked
const { take } = Turns.prototype

WriteQueue.prototype.begin = function (this: WriteQueue<unknown>, key: string): ReturnType<typeof begin> {
  return current === undefined ? begin.call(this, key) : undefined
}

Turns.prototype.take = function <T>(this: Turns, key: unknown, work: () => Promise<T>): Promise<T> {
  return current === undefined ? (take.call(this, key, work) as Promise<T>) : work()
}
