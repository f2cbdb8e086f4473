// One compare-and-set with its retry: what commit, update, regenerate, destroy and the calls from outside share.
import { setTimeout as sleep } from 'node:timers/promises'
import { outOfTries } from '../errors.ts'
import type { MaybePromise, Replaced } from '../store.ts'

// Each round one writer wins, so n writers need at most n rounds: 10 s is enough for hundreds.
const PATIENCE = 10_000
// No try begins that would end later than this if it took as long as the one before.
const MAX_TIME = 15_000
const MAX_PAUSE = 64

/** Waits between tries: not at all before the second one, then for random times that grow. */
class Backoff {
  readonly #start = performance.now()
  #tryStart = this.#start
  #tries = 0

  /** @throws {SessionError} `ERR_SESSION_CONFLICT` after ten seconds of tries. */
  async wait(): Promise<void> {
    this.#tries++
    const now = performance.now()
    const elapsed = now - this.#start
    if (elapsed > PATIENCE || elapsed + (now - this.#tryStart) > MAX_TIME) throw outOfTries(this.#tries)
    // The first retry yields as well: a store that answers at once must not keep the event loop.
    if (this.#tries === 1) await Promise.resolve()
    else await sleep(Math.random() * Math.min(2 ** this.#tries, MAX_PAUSE))
    this.#tryStart = performance.now()
  }
}

/**
 * Repeats a compare-and-set until it is done or its record is gone.
 *
 * `refresh` reads what is stored now and prepares the next attempt; `false` when the session has ended. The pause comes
 * before the read: what is read must be new when it is written over.
 *
 * @returns whether it was done.
 * @throws {SessionError} `ERR_SESSION_CONFLICT` after ten seconds of tries.
 */
export async function retryOnConflict(
  attempt: () => MaybePromise<Replaced>,
  refresh: () => MaybePromise<boolean>,
  first: MaybePromise<Replaced> = attempt(),
): Promise<boolean> {
  const backoff = new Backoff()
  // Bounded by the patience of the backoff.
  for (let outcome = await first; ; outcome = await attempt()) {
    if (outcome !== 'stale') return outcome === 'done'
    await backoff.wait()
    if (!(await refresh())) return false
  }
}
