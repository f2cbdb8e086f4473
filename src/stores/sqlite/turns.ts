// Writes that met another process's lock. SQLite itself never waits for a lock, because that would block the process.
import { setTimeout as pause } from 'node:timers/promises'
import { isLocked } from './database.ts'

interface Waiting {
  readonly attempt: () => void
  readonly reject: (error: unknown) => void
  readonly end: number
}

// In milliseconds. The middleware's default deadline for a store call is two seconds. Giving up a little earlier lets it report
// SQLite's own error instead of a timeout, and leaves no write that no caller waits for.
const PATIENCE = 1800
const MAX_PAUSE = 20
// How long waiting writes may occupy the process at a time, in milliseconds.
const MAX_TURN = 10

/** A queue of writes; one at a time asks for the lock. */
export class Turns {
  readonly #waiting: Waiting[] = []

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Does the work once the lock is free; after 1.8 seconds it fails with SQLite's own error. */
  later<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ attempt: () => resolve(work()), reject, end: performance.now() + PATIENCE })
      if (this.#waiting.length === 1) void this.#loop()
    })
  }

  async #loop(): Promise<void> {
    for (let longest = 2; this.#waiting.length > 0; longest = Math.min(longest * 2, MAX_PAUSE)) {
      await pause(1 + Math.random() * longest)
      if (this.#some(performance.now() + MAX_TURN)) longest = 1
    }
  }

  /** Runs writes in the order of arrival, until another process holds the lock or `end` has passed. */
  #some(end: number): boolean {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      try {
        first.attempt()
      } catch (error) {
        if (isLocked(error) && performance.now() < first.end) return false
        first.reject(error)
      }
      this.#waiting.shift()
      if (performance.now() > end) return true
    }
    return true
  }
}
