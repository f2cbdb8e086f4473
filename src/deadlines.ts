// The deadlines of many calls by one timer. All have the same timeout, so they pass in the order in which they were set.
import { outsideRequests } from './context.ts'

/** A deadline that was set; part of a list. */
export interface Deadline {
  readonly at: number
  readonly onPassed: () => void
  previous: Deadline | undefined
  next: Deadline | undefined
  isSet: boolean
}

export class Deadlines {
  readonly timeout: number
  #first: Deadline | undefined
  #last: Deadline | undefined
  #timer: Partial<NodeJS.Timeout> | undefined
  /** The deadline that the timer was started for, at the moment at which it was set or became the first. */
  #awaited: Deadline | undefined

  /** `timeout` in milliseconds. */
  constructor(timeout: number) {
    this.timeout = timeout
  }

  /** Calls `onPassed` after the timeout, in no request's async context, unless it is cleared before. */
  set(onPassed: () => void): Deadline {
    const deadline: Deadline = {
      at: performance.now() + this.timeout,
      onPassed,
      previous: this.#last,
      next: undefined,
      isSet: true,
    }
    if (this.#last === undefined) this.#first = deadline
    else this.#last.next = deadline
    this.#last = deadline
    if (this.#timer === undefined) this.#start(deadline, this.timeout)
    // A process waits for the answer of a call, but not for a timer that nothing waits for.
    else if (this.#first === deadline) this.#timer.ref?.()
    return deadline
  }

  /** @returns whether it had not passed yet. */
  clear(deadline: Deadline): boolean {
    if (!deadline.isSet) return false
    deadline.isSet = false
    const { previous, next } = deadline
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    // The timer still knows the deadline that it was started for, which must not keep alive all that came after it.
    deadline.previous = deadline.next = undefined
    if (this.#first === undefined) this.#timer?.unref?.()
    return true
  }

  #start(awaited: Deadline, delay: number): void {
    this.#awaited = awaited
    // Where a test environment replaces the timers of Node it may be a number.
    this.#timer = outsideRequests(() => setTimeout(() => this.#pass(), delay))
  }

  #pass(): void {
    this.#timer = undefined
    // Timers may be a millisecond early. The awaited one has passed whatever the clock says: the clock may be a test's.
    const now = performance.now() + 1
    for (let first = this.#first; first !== undefined; first = this.#first) {
      if (first !== this.#awaited && first.at > now) break
      this.clear(first)
      first.onPassed()
    }
    if (this.#first !== undefined) this.#start(this.#first, Math.max(1, this.#first.at - performance.now()))
  }
}

/** An answer that comes in time; after that what `late` gives, or the error that it throws. */
export async function inTime<T>(milliseconds: number, answer: T | Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.max(0, milliseconds))))
  try {
    return await Promise.race([answer, timeout.then(late)])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for a promise, but not longer than that. What it rejects with is passed on if it comes in time. */
export function atMost(milliseconds: number, promise: Promise<void>): Promise<void> {
  return inTime(milliseconds, promise, () => undefined)
}
