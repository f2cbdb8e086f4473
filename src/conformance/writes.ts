// create, replace, touch and delete, one call at a time: what each writes and what each refuses.
import assert from 'node:assert/strict'
import { check, type StoreCheck } from './run.ts'
import { assertAbsent, assertHolds, created, HOUR, newKey, newRecord, successor } from './scene.ts'

export const writeChecks: readonly StoreCheck[] = [
  check('create refuses a key that a live record holds, and leaves that record as it was', async (store, now) => {
    // The payload of a session that has ended is empty, and its record lives on for a while.
    for (const payload of ['text', '']) {
      const record = await created(store, now, { owner: 'ada', payload })
      const intruder = newRecord(now, { key: record.key, payload: 'intruder', owner: 'mallory' })

      assert.equal(await store.create(intruder, record.expiresAt - 1), false)
      await assertHolds(store, record, now)
    }
  }),

  check('create takes the place of an expired record', async (store, now) => {
    const expired = await created(store, now, { version: 5, payload: 'old', owner: 'ada', meta: 'old' })
    const record = newRecord(expired.expiresAt, { key: expired.key, payload: 'new' })

    assert.equal(await store.create(record, expired.expiresAt), true)
    await assertHolds(store, record, expired.expiresAt)
  }),

  check('create takes the place of a deleted record', async (store, now) => {
    const deleted = await created(store, now, { version: 5 })
    await store.delete(deleted.key)

    await assertHolds(store, await created(store, now, { key: deleted.key, payload: 'new' }), now)
  }),

  check('replace puts all fields of the new record in the place of the old ones', async (store, now) => {
    const record = await created(store, now, { owner: 'ada', meta: 'old' })
    const changed = {
      version: 2,
      payload: '',
      owner: 'bob',
      createdAt: now - 9,
      lastSeenAt: now + 9,
      expiresAt: now + 2 * HOUR,
      meta: 'new',
    }
    const earlier = { ...changed, version: 3, payload: 'new', createdAt: now - 20, lastSeenAt: now - 9 }

    assert.equal(await store.replace({ ...record, ...changed }, 1, now), 'done')
    await assertHolds(store, { ...record, ...changed }, now)
    assert.equal(await store.replace({ ...record, ...earlier }, 2, now), 'done')
    await assertHolds(store, { ...record, ...earlier }, now)
  }),

  check('replace takes owner and meta away where the new record has none', async (store, now) => {
    const record = await created(store, now, { owner: 'ada', meta: 'old' })
    const plain = successor(record, { owner: undefined, meta: undefined })

    assert.equal(await store.replace(plain, 1, now), 'done')
    await assertHolds(store, plain, now)
  }),

  check('replace may bring the end of a record nearer', async (store, now) => {
    const record = await created(store, now)

    assert.equal(await store.replace(successor(record, { expiresAt: now + 1000 }), 1, now), 'done')
    await assertAbsent(store, record.key, now + 1000, 'the new expiresAt must count')
  }),

  check('replace of a version that is no longer stored is stale and writes nothing', async (store, now) => {
    const first = await created(store, now)
    const second = successor(first, { payload: 'second' })
    await store.replace(second, 1, now)

    assert.equal(await store.replace(successor(first, { payload: 'late' }), 1, now), 'stale')
    await assertHolds(store, second, now)
  }),

  check('replace of a version that is not stored yet is stale and writes nothing', async (store, now) => {
    const record = await created(store, now)

    assert.equal(await store.replace(successor(record, { version: 3 }), 2, now), 'stale')
    await assertHolds(store, record, now)
  }),

  check('replace of a missing record is gone and inserts nothing', async (store, now) => {
    const record = newRecord(now, { version: 2 })

    assert.equal(await store.replace(record, 1, now), 'gone')
    await assertAbsent(store, record.key, now, 'replace must not insert')
  }),

  check('replace of an expired record is gone and revives nothing', async (store, now) => {
    const record = await created(store, now)
    const then = record.expiresAt

    assert.equal(await store.replace(successor(record, { expiresAt: then + HOUR }), 1, then), 'gone')
    await assertAbsent(store, record.key, then, 'replace must not revive an expired record')
  }),

  check('replace of an expired record is gone whatever the version', async (store, now) => {
    const record = await created(store, now, { version: 4 })

    assert.equal(await store.replace(successor(record), 3, record.expiresAt), 'gone')
  }),

  check('replace of a deleted record is gone and revives nothing', async (store, now) => {
    const record = await created(store, now)
    await store.delete(record.key)

    assert.equal(await store.replace(successor(record), 1, now), 'gone')
    await assertAbsent(store, record.key, now, 'replace must not revive a deleted record')
  }),

  check('replace by a record that is already expired ends the session', async (store, now) => {
    for (const expiresAt of [now, now - HOUR]) {
      const record = await created(store, now - 1)

      assert.equal(await store.replace(successor(record, { expiresAt }), 1, now), 'done')
      await assertAbsent(store, record.key, now, 'an expired record must read as undefined')
      assert.equal(await store.replace(successor(record, { version: 3 }), 2, now), 'gone')
    }
  }),

  check('replace by a record that differs in its version alone is done', async (store, now) => {
    for (const owner of [undefined, 'ada']) {
      const record = await created(store, now, { owner, meta: 'm' })
      const next = { ...record, version: 2 }

      assert.equal(await store.replace(next, 1, now), 'done')
      await assertHolds(store, next, now)
    }
  }),

  check('touch with the instants that are stored is true', async (store, now) => {
    const record = await created(store, now)

    for (let round = 0; round < 2; round++)
      assert.equal(await store.touch(record.key, 1, now, record.expiresAt, now), true)
    await assertHolds(store, record, now)
  }),

  check('touch moves lastSeenAt and expiresAt, and nothing else', async (store, now) => {
    for (const payload of ['text', Uint8Array.of(0, 128, 255)]) {
      const record = await created(store, now, { version: 3, payload, owner: 'ada', meta: 'm', createdAt: now - HOUR })

      assert.equal(await store.touch(record.key, 3, now + 10, now + 2 * HOUR, now + 10), true)
      await assertHolds(store, { ...record, lastSeenAt: now + 10, expiresAt: now + 2 * HOUR }, now + 2 * HOUR - 1)
      await assertAbsent(store, record.key, now + 2 * HOUR, 'the new expiresAt must count')
    }
  }),

  check('touch may bring the end of a record nearer', async (store, now) => {
    const record = await created(store, now)

    assert.equal(await store.touch(record.key, 1, now + 10, now + 1000, now + 10), true)
    await assertAbsent(store, record.key, now + 1000, 'the new expiresAt must count')
  }),

  check('touch moves expiresAt when lastSeenAt is the stored one', async (store, now) => {
    const record = await created(store, now)

    assert.equal(await store.touch(record.key, 1, now, now + 2 * HOUR, now), true)
    await assertHolds(store, { ...record, expiresAt: now + 2 * HOUR }, now)
  }),

  check('touch with an older lastSeenAt changes nothing and is true', async (store, now) => {
    const record = await created(store, now)

    assert.equal(await store.touch(record.key, 1, now - 1, now + 2 * HOUR, now), true)
    await assertHolds(store, record, now)
  }),

  check('touch of a version that is not the stored one is false and writes nothing', async (store, now) => {
    const record = await created(store, now, { version: 2 })

    for (const version of [1, 3]) {
      assert.equal(await store.touch(record.key, version, now + 10, now + 2 * HOUR, now + 10), false)
      assert.equal(await store.touch(record.key, version, now - 10, now + 2 * HOUR, now), false)
    }
    await assertHolds(store, record, now)
  }),

  check('touch of a missing or deleted record is false and inserts nothing', async (store, now) => {
    const deleted = await created(store, now)
    await store.delete(deleted.key)

    for (const key of [newKey(), deleted.key]) {
      assert.equal(await store.touch(key, 1, now, now + HOUR, now), false)
      await assertAbsent(store, key, now, 'touch must not insert')
    }
  }),

  check('touch of an expired record is false and revives nothing', async (store, now) => {
    const record = await created(store, now)
    const then = record.expiresAt

    assert.equal(await store.touch(record.key, 1, then, then + HOUR, then), false)
    assert.equal(await store.touch(record.key, 1, now - 1, then + HOUR, then), false)
    await assertAbsent(store, record.key, then, 'touch must not revive an expired record')
  }),

  check('delete says whether there was a record, and a second one changes nothing', async (store, now) => {
    const record = await created(store, now, { owner: 'ada' })

    assert.equal(await store.delete(record.key), true)
    await assertAbsent(store, record.key, now, 'a deleted record must read as undefined')
    assert.equal(await store.delete(record.key), false)
    assert.equal(await store.delete(newKey()), false)
  }),

  check('delete removes a record of any version', async (store, now) => {
    const record = await created(store, now)
    await store.replace(successor(record), 1, now)

    assert.equal(await store.delete(record.key), true)
    await assertAbsent(store, record.key, now, 'a deleted record must read as undefined')
  }),

  check('delete of one record leaves the others', async (store, now) => {
    const kept = await created(store, now, { owner: 'ada' })
    const deleted = await created(store, now, { owner: 'ada' })

    await store.delete(deleted.key)

    await assertHolds(store, kept, now)
  }),
]
