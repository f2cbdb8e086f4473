// One timer for the deadlines of many calls. All have the same timeout, so they pass in the order in which they were set.
// Not the global one: Jest's jsdom has none.
import { setImmediate } from 'node:timers'
import { outsideRequests } from './timers.ts'

/** A deadline that was set. */
export interface Deadline {
  readonly at: number
  readonly onPassed: () => void
}

export class Deadlines {
  readonly timeout: number
  /** In the order in which they were set. */
  readonly #waiting = new Set<Deadline>()
  #timer: Partial<NodeJS.Timeout> | undefined
  /** The deadline for which the timer was started, when that deadline was set or became the first one. */
  #awaited: Deadline | undefined

  /** `timeout` in milliseconds. */
  constructor(timeout: number) {
    this.timeout = timeout
  }

  /** Calls `onPassed` after the timeout, outside the async context of any request, unless the deadline is cleared before. */
  set(onPassed: () => void): Deadline {
    const deadline = { at: performance.now() + this.timeout, onPassed }
    this.#waiting.add(deadline)
    if (this.#timer === undefined) this.#start(deadline, this.timeout)
    // The timer keeps the process alive only while a call waits for its answer.
    else if (this.#waiting.size === 1) this.#timer.ref?.()
    return deadline
  }

  /** @returns whether the deadline had not passed yet. */
  clear(deadline: Deadline): boolean {
    const isSet = this.#waiting.delete(deadline)
    if (this.#waiting.size === 0) this.#timer?.unref?.()
    return isSet
  }

  #start(awaited: Deadline, delay: number): void {
    this.#awaited = awaited
    // After a time in which the process was busy, answers have arrived that are read after the timers of that turn, so it passes later.
    // The timer may be a number where a test environment replaces Node's timers.
    this.#timer = outsideRequests(() => setTimeout(() => setImmediate(() => this.#pass()), delay))
  }

  #pass(): void {
    this.#timer = undefined
    // Timers may fire a millisecond early. The awaited deadline has passed whatever the clock says: a test may control the clock.
    const now = performance.now() + 1
    const passed: Deadline[] = []
    for (const first of this.#waiting) {
      if (first !== this.#awaited && first.at > now) {
        this.#start(first, Math.max(1, first.at - performance.now()))
        break
      }
      this.#waiting.delete(first)
      passed.push(first)
    }
    // Last, because a listener of the failure may call the store, which sets a deadline.
    for (const { onPassed } of passed) onPassed()
  }
}

/** The answer if it comes in time, else the result of `late` or the error that `late` throws. */
export async function inTime<T>(milliseconds: number, answer: T | Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  // A turn later, as above.
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(() => setImmediate(resolve), Math.max(0, milliseconds))
  })
  try {
    return await Promise.race([answer, timeout.then(late)])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for a promise, but at most that long. A rejection in that time is passed on. */
export function atMost(milliseconds: number, promise: Promise<void>): Promise<void> {
  return inTime(milliseconds, promise, () => undefined)
}
