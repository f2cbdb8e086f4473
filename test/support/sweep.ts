// Checks of deleteExpired for every SQL store.
import type { ExecutionContext } from 'ava'
import type { SessionStore } from '../../src/store.ts'
import { keyed, NOW } from './records.ts'

type Sweepable = SessionStore & Required<Pick<SessionStore, 'deleteExpired'>>

/** What sweeps remove one after the other: on a busy machine one of them may end early, as a sweep does after a second. */
export async function swept(store: Sweepable, now: number, limit: number): Promise<number> {
  let total = 0
  for (let sweeps = 0; sweeps < 10 && total < limit; sweeps++) total += await store.deleteExpired(now, limit - total)
  return total
}

/** Checks that concurrent sweeps of several processes, repeated `rounds` times, remove each record once. */
export async function checkSweepsAtOnce(t: ExecutionContext, stores: readonly Sweepable[], rounds = 1): Promise<void> {
  const filling = stores.map(async (store, nth) => {
    for (let index = 0; index < 500; index++) await store.create(keyed(`key${nth}-${index}`), NOW)
  })
  await Promise.all(filling)

  const counts: number[] = []
  for (let round = 0; round < rounds; round++) {
    counts.push(...(await Promise.all(stores.map((store) => swept(store, NOW + 1000, 5000)))))
  }

  t.is(
    counts.reduce((sum, count) => sum + count),
    500 * stores.length,
  )
}

/** Checks that a sweep with a limit of one finds the expired record behind many that were touched since they were created. */
export async function checkSweepPastTouched(t: ExecutionContext, store: Sweepable): Promise<void> {
  const touched = Array.from({ length: 1100 }, async (_, index) => {
    await store.create(keyed(`live${index}`), NOW)
    await store.touch(`live${index}`, 1, NOW + 1, NOW + 9000, NOW + 1)
  })
  await Promise.all(touched)
  await store.create(keyed('ended', { expiresAt: NOW + 1001 }), NOW)

  t.is(await swept(store, NOW + 2000, 1), 1)

  t.false(await store.delete('ended'))
  t.is(await swept(store, NOW + 9000, 5000), 1100)
}
