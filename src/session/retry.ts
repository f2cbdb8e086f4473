// One compare-and-set with its retry: what commit, update, regenerate, destroy and the calls from outside share.
import { setTimeout as sleep } from 'node:timers/promises'
import { outOfTries } from '../errors.ts'
import type { MaybePromise, Replaced } from '../store.ts'

// Each round one writer wins, so n writers need at most n rounds: 10 s is enough for hundreds.
const PATIENCE = 10_000
// No try begins that would end later than this if it took as long as the one before.
const MAX_TIME = 15_000
const MAX_PAUSE = 64

/**
 * Repeats a compare-and-set until it is done or its record is gone.
 *
 * `refresh` reads what is stored now and prepares the next attempt; `false` when the session has ended. The pause comes
 * before the read: what is read must be new when it is written over. It is none at all before the second try, then a random
 * time that grows.
 *
 * @returns whether it was done.
 * @throws {SessionError} `ERR_SESSION_CONFLICT` after ten seconds of tries.
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
    if (elapsed > PATIENCE || elapsed + (now - tryStart) > MAX_TIME) throw outOfTries(tries)
    // The first retry yields as well: a store that answers at once must not keep the event loop.
    if (tries === 1) await Promise.resolve()
    else await sleep(Math.random() * Math.min(2 ** tries, MAX_PAUSE))
    tryStart = performance.now()
    if (!(await refresh())) return false
    outcome = await attempt()
  }
}

/**
 * The same for a change of what is known as the newest; `readAgain` gives what took the place of that.
 *
 * @returns the one that was changed; `undefined` where there is none any more.
 */
export async function changeNewest<Newest>(
  first: Newest | undefined,
  change: (newest: Newest) => MaybePromise<Replaced>,
  readAgain: (known: Newest) => Promise<Newest | undefined>,
): Promise<Newest | undefined> {
  let newest = first
  const attempt = (): MaybePromise<Replaced> => (newest === undefined ? 'gone' : change(newest))
  const refresh = async (): Promise<boolean> => {
    newest = newest === undefined ? undefined : await readAgain(newest)
    return newest !== undefined
  }
  return (await retryOnConflict(attempt, refresh)) ? newest : undefined
}
