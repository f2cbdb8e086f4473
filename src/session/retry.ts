// Compare-and-set with retries, shared by commit, update, regenerate, destroy and the calls from outside.
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../errors.ts'
import type { MaybePromise, Replaced } from '../store.ts'

// In each round one writer wins, so n writers need at most n rounds: 10 s is enough for hundreds.
const PATIENCE = 10_000
// A try does not begin if it would end later than this, assuming that it takes as long as the one before.
const MAX_TIME = 15_000
const MAX_PAUSE = 64

/**
 * Repeats a compare-and-set until it is done or its record is gone.
 *
 * `refresh` reads what is stored now and prepares the next attempt; it gives `false` when the session has ended. The pause
 * comes before the read, so that what was read is still new when it is written over. There is no pause before the second
 * try; before later ones it is a random time that grows.
 *
 * @returns whether it was done.
 * @throws {SessionError} `ERR_SESSION_CONFLICT` after ten seconds of tries, or if one more may end after fifteen.
 */
export async function retryOnConflict(
  attempt: () => MaybePromise<Replaced>,
  refresh: () => MaybePromise<boolean>,
  first: MaybePromise<Replaced> = attempt(),
): Promise<boolean> {
  const start = performance.now()
  let tryStart = start
  let outcome = await first
  for (let tries = 1; ; tries++) {
    if (outcome !== 'stale') return outcome === 'done'
    const now = performance.now()
    const elapsed = now - start
    if (elapsed > PATIENCE || elapsed + (now - tryStart) > MAX_TIME)
      throw new SessionError(
        'ERR_SESSION_CONFLICT',
        `other requests changed this session before this one could, ${tries} times one after another: try the request again`,
      )
    // The first retry yields to microtasks only; later ones pause, so that a synchronous store does not block the event loop.
    if (tries === 1) await Promise.resolve()
    else await sleep(Math.random() * Math.min(2 ** tries, MAX_PAUSE))
    tryStart = performance.now()
    if (!(await refresh())) return false
    outcome = await attempt()
  }
}

/**
 * The same for a change of the newest known state; `readAgain` gives the state that replaced it.
 *
 * @returns the state that was changed; `undefined` if there is none any more.
 */
export async function changeNewest<Newest>(
  first: Newest | undefined,
  change: (newest: Newest) => MaybePromise<Replaced>,
  readAgain: (known: Newest) => Promise<Newest | undefined>,
): Promise<Newest | undefined> {
  let newest = first
  const attempt = (): MaybePromise<Replaced> => (newest === undefined ? 'gone' : change(newest))
  const refresh = async (): Promise<boolean> => {
    newest = newest && (await readAgain(newest))
    return newest !== undefined
  }
  return (await retryOnConflict(attempt, refresh)) ? newest : undefined
}
