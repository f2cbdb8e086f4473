// Two stores over the same data, as in two processes: each sees at once what the other writes.
import assert from 'node:assert/strict'
import { checkBeside, has, type StoreCheck, type With } from './run.ts'
import { assertAbsent, assertHolds, created, HOUR, listed, newKey, newRecord, successor, TEN, winner } from './scene.ts'

export const neighbourChecks: readonly StoreCheck[] = [
  checkBeside('what one store writes another over the same data reads at once', async (store, other, now) => {
    const first = await created(store, now, { owner: newKey() })
    const second = successor(first)
    const moved = { ...second, lastSeenAt: now + 5, expiresAt: now + 2 * HOUR }

    // Each store reads before the other writes: it must not answer from a cached copy afterwards.
    await assertHolds(other, first, now, 'a record must be read as another store created it')
    await assertHolds(store, first, now)
    assert.equal(await other.replace(second, 1, now), 'done')
    await assertHolds(store, second, now, 'a record must be read as another store replaced it')
    await assertHolds(other, second, now)
    assert.equal(await store.touch(second.key, 2, now + 5, now + 2 * HOUR, now), true)
    await assertHolds(other, moved, now, 'a record must be read as another store touched it')
    await assertHolds(store, moved, now)
    assert.equal(await other.delete(second.key), true)
    await assertAbsent(store, second.key, now, 'a record that another store deleted must read as undefined')
  }),

  checkBeside('what one store lacked it reads once another has created it', async (store, other, now) => {
    const record = newRecord(now)

    await assertAbsent(store, record.key, now, 'a missing record must read as undefined')
    assert.equal(await other.create(record, now), true)
    await assertHolds(store, record, now, 'a record must be read as another store created it')
  }),

  checkBeside('of concurrent creates of one key by two stores one wins', async (store, other, now) => {
    const record = newRecord(now)
    const rivals = TEN.map((index) => ({ ...record, payload: `rival ${index}` }))

    const answers = await Promise.all(
      rivals.map(async (rival, index) => (index % 2 === 0 ? store : other).create(rival, now)),
    )

    await assertHolds(store, winner(rivals, answers, true), now)
  }),

  checkBeside('of concurrent replaces of one version by two stores one is done', async (store, other, now) => {
    for (let round = 0; round < 5; round++) {
      const record = await created(store, now)
      const rivals = TEN.map((index) => successor(record, { payload: `rival ${index}` }))

      const answers = await Promise.all(
        rivals.map(async (rival, index) => (index % 2 === 0 ? store : other).replace(rival, 1, now)),
      )

      await assertHolds(other, winner(rivals, answers, 'done'), now)
    }
  }),

  checkBeside(
    'a record that one store deletes while another replaces or touches it stays deleted',
    async (store, other, now) => {
      await Promise.all(
        TEN.map(async (index) => {
          const record = await created(store, now)
          const change = async () =>
            index % 2 === 0
              ? other.replace(successor(record), 1, now)
              : other.touch(record.key, 1, now + 1, now + 2 * HOUR, now + 1)
          const remove = async () => store.delete(record.key)

          await Promise.all(index % 4 < 2 ? [change(), remove()] : [remove(), change()])

          await assertAbsent(other, record.key, now, 'a deleted record must stay deleted')
          await assertAbsent(store, record.key, now, 'a deleted record must stay deleted')
        }),
      )
    },
  ),

  checkBeside(
    'where both have list, one lists what the other writes, and no more what the other ends',
    async (store, other, now) => {
      const owner = newKey()
      if (!has(store, 'list') || !has(other, 'list')) return
      const keys = async (each: With<'list'>) => [
        ...new Set((await listed(each, owner, now, 100)).map(({ key }) => key)),
      ]

      assert.deepEqual(await keys(other), [])
      const record = await created(store, now, { owner })
      assert.deepEqual(await keys(other), [record.key], 'a record must be listed as another store created it')
      await other.delete(record.key)
      assert.deepEqual(await keys(store), [], 'a record that another store deleted must not be listed')
    },
  ),
]
