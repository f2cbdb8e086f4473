// Concurrent calls on one record: comparison and write must be one atomic step.
import assert from 'node:assert/strict'
import { check, type StoreCheck } from './run.ts'
import { assertAbsent, assertHolds, created, HOUR, newRecord, successor, TEN, winner } from './scene.ts'

/** Starts ten calls at once: each body runs up to its first await before any is awaited. */
function together<T>(body: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(TEN.map(body))
}

export const raceChecks: readonly StoreCheck[] = [
  check('of ten concurrent creates of one key one wins, and its record is the stored one', async (store, now) => {
    const record = newRecord(now)
    const rivals = TEN.map((index) => ({ ...record, payload: `rival ${index}` }))

    const answers = await Promise.all(rivals.map(async (rival) => store.create(rival, now)))

    const first = winner(rivals, answers, true)
    assert.equal(answers.filter((answer) => !answer).length, 9)
    await assertHolds(store, first, now)
  }),

  check('of ten concurrent creates over an expired record one wins', async (store, before) => {
    const expired = await created(store, before)
    const now = expired.expiresAt
    const rivals = TEN.map((index) => newRecord(now, { key: expired.key, payload: `rival ${index}` }))

    const answers = await Promise.all(rivals.map(async (rival) => store.create(rival, now)))

    await assertHolds(store, winner(rivals, answers, true), now)
  }),

  check(
    'of ten concurrent replaces of one version one is done, and its record is the stored one',
    async (store, now) => {
      const record = await created(store, now)
      const rivals = TEN.map((index) => successor(record, { payload: `rival ${index}` }))

      const answers = await Promise.all(rivals.map(async (rival) => store.replace(rival, 1, now)))

      const first = winner(rivals, answers, 'done')
      assert.equal(answers.filter((answer) => answer === 'stale').length, 9)
      await assertHolds(store, first, now)
    },
  ),

  check('ten writers that try again after a stale replace are all counted', async (store, now) => {
    const { key } = await created(store, now, { payload: '0' })

    await together(async () => {
      for (let tries = 0; tries < 100; tries++) {
        const read = await store.read(key, now)
        assert.ok(read)
        const next = successor(read, { payload: String(Number(read.payload) + 1) })
        if ((await store.replace(next, read.version, now)) === 'done') return
      }
      assert.fail('a hundred tries must be enough for ten writers')
    })

    const last = await store.read(key, now)
    assert.deepEqual([last?.payload, last?.version], ['10', 11])
  }),

  check('a record deleted while it is replaced stays deleted', async (store, now) => {
    await together(async (index) => {
      const record = await created(store, now)
      const replace = async () => store.replace(successor(record), 1, now)
      const remove = async () => store.delete(record.key)

      const answers = await Promise.all(index % 2 === 0 ? [replace(), remove()] : [remove(), replace()])

      assert.ok(answers.includes(true), 'delete must be true: there was a record')
      await assertAbsent(store, record.key, now, 'a replace must not outlive the delete')
    })
  }),

  check('a record deleted while it is touched stays deleted', async (store, now) => {
    await together(async (index) => {
      const record = await created(store, now)
      const touch = async () => store.touch(record.key, 1, now + 1, now + 2 * HOUR, now + 1)
      const remove = async () => store.delete(record.key)

      await Promise.all(index % 2 === 0 ? [touch(), remove()] : [remove(), touch()])

      await assertAbsent(store, record.key, now, 'a touch must not outlive the delete')
    })
  }),

  check('a touch at the same time takes nothing from a replace', async (store, now) => {
    await together(async (index) => {
      const record = await created(store, now)
      const next = successor(record, { lastSeenAt: now + 5, expiresAt: now + 5 + HOUR })
      const touch = async () => store.touch(record.key, 1, now + 1, now + 1 + HOUR, now + 1)
      const replace = async () => store.replace(next, 1, now + 5)

      const answers = await Promise.all(index % 2 === 0 ? [touch(), replace()] : [replace(), touch()])

      assert.ok(answers.includes('done'), 'a touch must not make a replace stale')
      await assertHolds(store, next, now + 5)
    })
  }),

  check('of ten concurrent touches the latest instant stands', async (store, now) => {
    const record = await created(store, now)
    const order = [3, 9, 1, 10, 2, 8, 5, 7, 4, 6]

    const answers = await together(async (index) => {
      const at = now + (order[index] ?? 0)
      return store.touch(record.key, 1, at, at + HOUR, now)
    })

    assert.ok(answers.every(Boolean), 'a touch of the stored version must be true')
    await assertHolds(store, { ...record, lastSeenAt: now + 10, expiresAt: now + 10 + HOUR }, now)
  }),

  check('of ten concurrent deletes one is true', async (store, now) => {
    const { key } = await created(store, now)

    const answers = await together(async () => store.delete(key))

    assert.equal(answers.filter(Boolean).length, 1, 'of ten at once exactly one must get true')
  }),

  check('a replace leaves a record that took the place of its own meanwhile', async (store, now) => {
    await together(async (index) => {
      const record = await created(store, now)
      const anew = newRecord(now, { key: record.key, version: 5, payload: 'anew' })
      const replace = async () => store.replace(successor(record), 1, now)
      const remove = async () => store.delete(record.key)
      const create = async () => store.create(anew, now)

      const answers = await Promise.all(
        index % 2 === 0 ? [replace(), remove(), create()] : [remove(), create(), replace()],
      )

      // If the delete came last, create was refused.
      if (answers[index % 2 === 0 ? 2 : 1] === true)
        await assertHolds(store, anew, now, 'a replace of version 1 must leave a record of version 5')
    })
  }),

  check(
    'a read at the same time makes nobody read what was before a delete, a replace or a touch',
    async (store, now) => {
      await together(async (index) => {
        const deleted = await created(store, now)
        const replaced = await created(store, now)
        const touched = await created(store, now)
        const next = successor(replaced)
        const moved = { ...touched, lastSeenAt: now + 5, expiresAt: now + 2 * HOUR }
        const changes = [
          async () => store.delete(deleted.key),
          async () => store.replace(next, 1, now),
          async () => store.touch(touched.key, 1, moved.lastSeenAt, moved.expiresAt, now),
        ]
        const reads = [deleted, replaced, touched].map((record) => async () => store.read(record.key, now))
        const verbs = index % 2 === 0 ? [...reads, ...changes] : [...changes, ...reads]

        await Promise.all(verbs.map(async (verb) => verb()))

        await assertAbsent(store, deleted.key, now, 'a deleted record must read as undefined')
        await assertHolds(store, next, now, 'read must give what a replace has written')
        await assertHolds(store, moved, now, 'read must give what a touch has moved')
      })
    },
  ),

  check('of thousands of reads all are answered, a hundred at a time', async (store, now) => {
    const record = await created(store, now)
    for (let round = 0; round < 50; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, async () => store.read(record.key, now)))
      assert.ok(
        answers.every((answer) => answer?.payload === record.payload),
        'each read must give what was written',
      )
    }
  }),
]
