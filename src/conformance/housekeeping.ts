// deleteExpired and close. Sweeps run with a clock ten years behind, so that they never reach records of other checks or other
// live data in the same database.
import assert from 'node:assert/strict'
import { checkWhere, type StoreCheck, type With } from './run.ts'
import { newRecord, assertAbsent, assertHolds, created, createdMany, DAY, newKey, successor } from './scene.ts'

/** Calls deleteExpired until it returns 0. Returns the sum of its counts. */
async function sweep(store: With<'deleteExpired'>, now: number, limit: number): Promise<number> {
  let total = 0
  for (let calls = 0; calls < 100_000; calls++) {
    const count = await store.deleteExpired(now, limit)
    assert.ok(Number.isInteger(count) && count >= 0, 'deleteExpired must give a whole number')
    assert.ok(count <= limit, `deleteExpired must stay within its limit of ${limit}, got ${count}`)
    if (count === 0) return total
    total += count
  }
  return assert.fail('deleteExpired must say 0 in the end')
}

/** A check whose `now` is ten years ago. */
function checkSweep(title: string, body: (store: With<'deleteExpired'>, now: number) => Promise<void>): StoreCheck {
  return checkWhere('deleteExpired', title, (store, today) => body(store, today - 3650 * DAY))
}

export const sweepChecks: readonly StoreCheck[] = [
  checkSweep('it removes the expired records', async (store, now) => {
    const expired = [
      await created(store, now, { expiresAt: now + 1000, owner: newKey() }),
      await created(store, now, { expiresAt: now + 999 }),
    ]

    await sweep(store, now + 1000, 100)

    // At this instant the records were live: a read would return one that is still stored.
    for (const { key } of expired) await assertAbsent(store, key, now, 'an expired record must be removed')
    for (const { key } of expired) assert.equal(await store.delete(key), false, 'an expired record must be removed')
  }),

  checkSweep('it leaves the live records', async (store, now) => {
    await created(store, now, { expiresAt: now + 1000 })
    const live = [
      await created(store, now, { expiresAt: now + 1001, owner: newKey() }),
      await created(store, now, { payload: '' }),
    ]

    await sweep(store, now + 1000, 100)

    for (const record of live) await assertHolds(store, record, now + 1000, 'a live record must survive a sweep')
  }),

  checkSweep('it leaves a record whose end was moved away', async (store, now) => {
    const touched = await created(store, now, { expiresAt: now + 1000 })
    const replaced = successor(await created(store, now, { expiresAt: now + 1000 }), { expiresAt: now + 5000 })
    await store.touch(touched.key, 1, now + 1, now + 5000, now + 1)
    await store.replace(replaced, 1, now + 1)

    await sweep(store, now + 4999, 100)

    await assertHolds(store, { ...touched, lastSeenAt: now + 1, expiresAt: now + 5000 }, now + 4999)
    await assertHolds(store, replaced, now + 4999)
  }),

  checkSweep('it removes a record whose end was brought nearer', async (store, now) => {
    const touched = await created(store, now)
    const replaced = successor(await created(store, now), { expiresAt: now + 1000 })
    await store.touch(touched.key, 1, now + 1, now + 1000, now + 1)
    await store.replace(replaced, 1, now + 1)

    await sweep(store, now + 1000, 100)

    for (const { key } of [touched, replaced])
      assert.equal(await store.delete(key), false, 'an expired record must be removed')
  }),

  checkSweep('it stays within its limit, and its counts add up to what was there', async (store, now) => {
    await sweep(store, now + 1000, 1000)
    for (let index = 0; index < 7; index++) await created(store, now, { expiresAt: now + 1000 })
    await created(store, now)

    assert.equal(await sweep(store, now + 1000, 3), 7)
  }),

  checkSweep('it leaves a record that comes, or whose end is moved away, while it runs', async (store, now) => {
    const anew = await createdMany(store, now, 5, () => ({ expiresAt: now + 1000, owner: newKey() }))
    const touched = await created(store, now, { expiresAt: now + 1000 })
    const replaced = await created(store, now, { expiresAt: now + 1000 })
    const records = anew.map(({ key }) => newRecord(now + 1000, { key }))
    const moved = { ...touched, lastSeenAt: now + 1, expiresAt: now + 5000 }
    const next = successor(replaced, { expiresAt: now + 5000 })

    // The clock of touch and replace is a little behind that of the sweep.
    const [, isTouched, isReplaced, ...areCreated] = await Promise.all([
      store.deleteExpired(now + 1000, 1000),
      store.touch(touched.key, 1, now + 1, now + 5000, now + 999),
      store.replace(next, 1, now + 999),
      ...records.map(async (record) => store.create(record, now + 1000)),
    ])

    for (const [index, record] of records.entries()) {
      assert.equal(areCreated[index], true, 'create must take the place of an expired record')
      await assertHolds(store, record, now + 1000, 'a sweep must leave a record that was created meanwhile')
    }
    if (isTouched) await assertHolds(store, moved, now + 1000, 'a sweep must leave a record that was touched meanwhile')
    if (isReplaced === 'done')
      await assertHolds(store, next, now + 1000, 'a sweep must leave a record that was replaced meanwhile')
  }),
]

export const closeChecks: readonly StoreCheck[] = [
  checkWhere(
    'close',
    'a second close does nothing (this check closes its store, and is the last one)',
    async (store, now) => {
      const { key } = await created(store, now)
      await store.delete(key)

      await store.close()
      await store.close()
    },
  ),
]
