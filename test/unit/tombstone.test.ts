import test from 'ava'
import { endedRecord, isEnded, isUnderWay, successorOf, tombstoneOf } from '../../src/record/record.ts'
import type { SessionRecord } from '../../src/store.ts'

const NOW = 1_800_000_000_000
const LIVE: SessionRecord = {
  key: 'the key of the record',
  version: 3,
  payload: '{"a":1}',
  owner: 'ada',
  createdAt: NOW - 5000,
  lastSeenAt: NOW - 1000,
  expiresAt: NOW + 1000,
  meta: '{"a":5}',
}

test('a tombstone and an ended record keep nothing of the session, lie for a minute, and are the next version', (t) => {
  const rest = { key: LIVE.key, version: 4, payload: '', owner: undefined, createdAt: LIVE.createdAt, lastSeenAt: NOW }

  t.deepEqual(endedRecord(LIVE, NOW), { ...rest, expiresAt: NOW + 60_000, meta: undefined })
  t.deepEqual(tombstoneOf(LIVE, 'next', NOW), { ...rest, expiresAt: NOW + 60_000, meta: '{"n":"next"}' })
})

test('both have ended, a session has not, and only a tombstone names a successor', (t) => {
  t.false(isEnded(LIVE))
  for (const record of [
    endedRecord(LIVE, NOW),
    tombstoneOf(LIVE, 'next', NOW),
    { ...LIVE, payload: new Uint8Array(0) },
  ])
    t.true(isEnded(record))
  t.is(successorOf(tombstoneOf(LIVE, 'next', NOW)), 'next')
  t.is(successorOf(endedRecord(LIVE, NOW)), undefined)
})

for (const meta of [
  '',
  'x',
  '{',
  '{"n":5}',
  '{"n":""}',
  'null',
  '[]',
  '{"n":{}}',
  `"${'x'.repeat(1e6)}"`,
  5,
  null,
  {},
]) {
  test(`a tombstone whose meta is ${JSON.stringify(meta).slice(0, 20)} names no successor, and asking throws nothing`, (t) => {
    // What a database may hold.
    const damaged = { ...tombstoneOf(LIVE, 'next', NOW), meta: meta as string }

    t.is(successorOf(damaged), undefined)
    t.false(isUnderWay(damaged, NOW))
  })
}

test('a tombstone that names itself names no successor', (t) => {
  t.is(successorOf(tombstoneOf(LIVE, LIVE.key, NOW)), undefined)
})

test('a request is under way for ten seconds, and a clock that was set back does not prolong that', (t) => {
  const tombstone = tombstoneOf(LIVE, 'next', NOW)

  for (const now of [NOW, NOW + 9999, NOW - 50]) t.true(isUnderWay(tombstone, now))
  for (const now of [NOW + 10_000, NOW - 10_000, NOW - 86_400_000]) t.false(isUnderWay(tombstone, now))
  t.false(isUnderWay(endedRecord(LIVE, NOW), NOW))
})
