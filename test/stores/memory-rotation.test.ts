// A session that gets a new id is under both for a moment. The old record makes room next, so nobody else has to give way.
import test from 'ava'
import { MemoryStore } from '../../src/index.ts'
import { encodeMetadata, newMetadata, tombstoneOf } from '../../src/record/record.ts'
import type { SessionRecord } from '../../src/store.ts'
import { newRecord, NOW } from '../support/records.ts'

function stored(store: MemoryStore, changes: Partial<SessionRecord> = {}): SessionRecord {
  const record = newRecord(changes)
  store.create(record, NOW)
  return record
}

/** As regenerate() does it. */
function renewed(store: MemoryStore, old: SessionRecord): SessionRecord {
  const meta = encodeMetadata({ ...newMetadata(NOW), predecessor: old.key }, NOW)
  const next = stored(store, { payload: old.payload, owner: old.owner, meta })
  store.replace(tombstoneOf(old, next.key, NOW), old.version, NOW)
  return next
}

test('a new id evicts nobody where the session and its tombstone fit', (t) => {
  const store = new MemoryStore({ maxBytes: 8000, maxSessions: 100 })
  const other = stored(store, { payload: 'x'.repeat(3000) })
  const mine = renewed(store, stored(store, { payload: 'x'.repeat(3000) }))

  t.truthy(store.read(mine.key, NOW))
  t.truthy(store.read(other.key, NOW), 'there was room all the time')
})

test('a new id does not make its owner the one with the most sessions', (t) => {
  const store = new MemoryStore({ maxSessions: 4 })
  const evicted: unknown[] = []
  store.watchEvictions(({ owner }) => evicted.push(owner))
  for (let index = 0; index < 2; index++) stored(store, { owner: 'old' })
  const phone = stored(store, { owner: 'ada' })
  renewed(store, stored(store, { owner: 'ada' }))

  t.deepEqual(evicted, ['old'])
  t.truthy(store.read(phone.key, NOW))
})
