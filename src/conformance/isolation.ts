// No live references: writing to an object that was passed in or returned changes no stored record.
import assert from 'node:assert/strict'
import type { SessionRecord } from '../store.ts'
import { check, checkWhere, type StoreCheck } from './run.ts'
import { listed, assertHolds, created, newKey, newRecord, scanned, successor } from './scene.ts'

/** Overwrites every field of a record. A frozen record refuses, which protects the store as well as a copy does. */
function spoil(record: SessionRecord | undefined): void {
  if (record === undefined) return
  if (typeof record.payload !== 'string') record.payload.fill(0)
  const wrong = newRecord(1, { version: 99, payload: 'spoilt', owner: 'mallory', meta: 'spoilt' })
  for (const [name, value] of Object.entries(wrong)) Reflect.set(record, name, value)
}

const PAYLOADS = ['text', Uint8Array.of(1, 2, 3)]

/** A record that shares nothing with the given one. */
function copy(record: SessionRecord): SessionRecord {
  return { ...record, payload: record.payload.slice() }
}

export const isolationChecks: readonly StoreCheck[] = [
  check('writing to a record after its create changes nothing stored', async (store, now) => {
    for (const payload of PAYLOADS) {
      const record = newRecord(now, { payload: payload.slice(), owner: 'ada', meta: 'm' })
      const before = copy(record)
      await store.create(record, now)

      spoil(record)

      await assertHolds(store, before, now)
    }
  }),

  check('writing to a record after its replace changes nothing stored', async (store, now) => {
    for (const payload of PAYLOADS) {
      const record = successor(await created(store, now), { payload: payload.slice(), owner: 'ada', meta: 'm' })
      const before = copy(record)
      await store.replace(record, 1, now)

      spoil(record)

      await assertHolds(store, before, now)
    }
  }),

  check('writing to a record that was read changes nothing stored', async (store, now) => {
    for (const payload of PAYLOADS) {
      const record = await created(store, now, { payload: payload.slice(), owner: 'ada', meta: 'm' })
      const before = copy(record)

      // Twice: the first read may return the object that was passed in, the second one that the store cached.
      for (let round = 0; round < 2; round++) {
        spoil(await store.read(record.key, now))
        await assertHolds(store, before, now)
      }
    }
  }),

  check('a record that was read stays as it is when the stored one changes', async (store, now) => {
    const record = await created(store, now)
    const read = await store.read(record.key, now)
    assert.ok(read)

    await store.touch(record.key, 1, now + 5, record.expiresAt + 5, now + 5)
    await store.replace(successor(record), 1, now)

    assert.deepEqual(
      [read.version, read.payload, read.lastSeenAt, read.expiresAt],
      [1, record.payload, now, record.expiresAt],
    )
  }),

  checkWhere('list', 'writing to what was listed changes nothing stored', async (store, now) => {
    for (const payload of PAYLOADS) {
      const record = await created(store, now, { payload: payload.slice(), owner: newKey() })
      const owner = record.owner ?? ''
      const before = copy(record)
      assert.equal((await listed(store, owner, now, 100)).length, 1, 'list must give the record of that owner')

      const page = await store.list(owner, now, 100, undefined)
      page.records.forEach(spoil)
      if (!Object.isFrozen(page.records)) Reflect.set(page.records, 'length', 0)

      await assertHolds(store, before, now)
      assert.equal((await listed(store, owner, now, 100)).length, 1, 'emptying a list must not empty the index')
    }
  }),

  checkWhere('scan', 'writing to what was scanned changes nothing stored', async (store, now) => {
    for (const payload of PAYLOADS) {
      const record = await created(store, now, { payload: payload.slice(), owner: 'ada', meta: 'm' })
      const before = copy(record)

      // The database may hold other records, which must not be changed.
      spoil((await scanned(store, now, 1000)).find(({ key }) => key === record.key))

      await assertHolds(store, before, now)
    }
  }),
]
