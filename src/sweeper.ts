// Deletes expired records now and then, in small portions, where the store does not do so itself.
import type { Guard } from './checked-store.ts'

const PORTION = 500

export class Sweeper {
  readonly #store: Guard
  readonly #interval: number
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined = undefined
  #isStarted: boolean

  /** `interval` in milliseconds; 0 for never. */
  constructor(store: Guard, interval: number, now: () => number) {
    this.#store = store
    this.#interval = interval
    this.#now = now
    this.#isStarted = interval === 0 || !store.isSweepable
  }

  /** Begins with the first request; a timer that never keeps the process alive. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#plan()
  }

  stop(): void {
    this.#isStarted = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Deletes all expired records; how many. Other work gets its turn between portions. */
  async sweep(): Promise<number> {
    this.#store.enter()
    try {
      for (let total = 0; ;) {
        const deleted = await this.#store.deleteExpired(this.#now(), PORTION)
        total += deleted
        if (deleted < PORTION || this.#store.isClosed) return total
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      this.#store.leave()
    }
  }

  // Processes that were started together must not sweep together: a fifth earlier or later.
  #plan(): void {
    const timer = setTimeout(
      () => {
        void this.sweep()
          .catch(() => {
            // The guard has told the event; the next sweep tries again.
          })
          .finally(() => {
            if (this.#timer === timer) this.#plan()
          })
      },
      this.#interval * (0.8 + Math.random() * 0.4),
    )
    timer.unref()
    this.#timer = timer
  }
}
