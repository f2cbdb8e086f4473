// Deletes expired records now and then, in small portions, where the store does not do so itself.
import type { CheckedStore } from './checked-store.ts'
import { clockCheck } from './clock-check.ts'
import { MAX_TIMER } from './duration.ts'
import type { Events } from './events.ts'
import { nextTurn } from './portions.ts'
import { outsideRequests, unrefed } from './timers.ts'

const BATCH = 500

/** The SQL stores stop after a second, in milliseconds. */
const LONG_CALL = 900

/** The longest sweep, in milliseconds: a store that always answers a full portion must not keep it running for ever. */
const MAX_SWEEP = 600_000

/** How long after the first request the clock of the store's server is asked for, in milliseconds: no request waits for it. */
const CLOCK_DELAY = 30_000

export class Sweeper {
  readonly #store: CheckedStore
  readonly #interval: number
  readonly #now: () => number
  readonly #events: Events
  readonly #checkClock: () => Promise<void>
  #timer: NodeJS.Timeout | undefined
  #clockTimer: NodeJS.Timeout | undefined
  #isStarted = false

  /** `interval` in milliseconds; 0 for never. */
  constructor(store: CheckedStore, interval: number, now: () => number, events: Events) {
    this.#store = store
    this.#interval = interval
    this.#now = now
    this.#events = events
    this.#checkClock = clockCheck(store, now, events)
  }

  /** Starts the timers, at the first request. They keep neither the process alive nor the context of that request. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    outsideRequests(() => {
      if (this.#interval > 0 && (this.#store.isSweepable || this.#store.hasServerTime)) this.#schedule()
      if (this.#store.hasServerTime) this.#clockTimer = unrefed(setTimeout(() => void this.#checkClock(), CLOCK_DELAY))
    })
  }

  stop(): void {
    this.#isStarted = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    clearTimeout(this.#clockTimer)
  }

  /**
   * Deletes the records that have expired by now, and gives their number. Yields to the event loop between portions. After
   * `maxTime` milliseconds the rest is left to the next sweep.
   *
   * @throws {SessionError} `ERR_SESSION_STORE`, also after `close`.
   */
  async sweep(maxTime: number = MAX_SWEEP): Promise<number> {
    return this.#store.during(async () => {
      // Not awaited: a server that does not answer must not delay the sweep.
      if (this.#store.hasServerTime) void this.#checkClock()
      const begun = performance.now()
      // One instant for all portions: what expires meanwhile is left to the next sweep, so that this one ends.
      const now = this.#now()
      for (let total = 0; ;) {
        const asked = performance.now()
        const deleted = await this.#store.deleteExpired(now, BATCH)
        total += deleted
        // A store that has much to pass over may have stopped before the deadline of its call, not at the end.
        const isDone = deleted === 0 || (deleted < BATCH && performance.now() - asked < LONG_CALL)
        if (isDone || this.#store.isClosed || performance.now() - begun >= maxTime) return total
        await nextTurn()
      }
    })
  }

  // A fifth earlier or later: processes that were started together must not sweep together.
  #schedule(): void {
    const delay = Math.min(this.#interval * (0.8 + Math.random() * 0.4), MAX_TIMER)
    const timer = setTimeout(() => {
      void this.sweep()
        .catch((error: unknown) => this.#warnOfFailure(error))
        .finally(() => {
          if (this.#timer === timer) this.#schedule()
        })
    }, delay)
    this.#timer = unrefed(timer)
  }

  #warnOfFailure(error: unknown): void {
    if (this.#store.isClosed) return
    const why = error instanceof Error ? `: ${error.message}` : ''
    this.#events.notice(
      'SWEEP_FAILED',
      `expired sessions were not deleted, which is tried again at each interval${why}`,
    )
  }
}
