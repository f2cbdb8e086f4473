// Who gives way in a full MemoryStore, and what an owner of many sessions costs.
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { MemoryStore } from '../../src/stores/memory.ts'
import type { SessionRecord } from '../../src/store.ts'
import { newRecord, NOW } from '../support/records.ts'

function stored(store: MemoryStore, changes: Partial<SessionRecord> = {}): string {
  const record = newRecord({ payload: '{}', ...changes })
  store.create(record, NOW)
  return record.key
}

const live = (store: MemoryStore, keys: readonly string[]): number =>
  keys.filter((key) => store.read(key, NOW) !== undefined).length

test('one account that opens sessions without end evicts those of no other account', (t) => {
  for (const bounds of [{ maxSessions: 300 }, { maxSessions: 40_000 }, { maxBytes: 150_000 }]) {
    const store = new MemoryStore(bounds)
    const others = Array.from({ length: 100 }, (_, index) => stored(store, { owner: `user ${index}` }))
    const own = Array.from({ length: 45_000 }, () => stored(store, { owner: 'mallory' }))

    t.is(live(store, others), 100)
    t.true(live(store, own.slice(-50)) === 50, 'the newest of their own stay')
    t.is(live(store, own.slice(0, 5000)), 0, 'the oldest of their own go')
  }
})

test('of the owners who hold the most the one gives way who used theirs longest ago, and of theirs the oldest', (t) => {
  const store = new MemoryStore({ maxSessions: 7 })
  const ada = [stored(store, { owner: 'ada' }), stored(store, { owner: 'ada' })]
  const bob = [stored(store, { owner: 'bob' }), stored(store, { owner: 'bob' })]
  const carol = stored(store, { owner: 'carol' })
  const dave = [stored(store, { owner: 'dave' }), stored(store, { owner: 'dave' })]
  store.touch(ada[0] ?? '', 1, NOW + 1, NOW + 1000, NOW)

  const evicted: unknown[] = []
  store.watchEvictions(({ key }) => evicted.push(key))
  for (let index = 0; index < 4; index++) stored(store, { owner: `guest ${index}` })

  // Bob's, dave's and ada's older ones (ada used the first again), then, of those who hold one, carol's.
  t.deepEqual(evicted, [bob[0], dave[0], ada[1], carol])
})

test('what left an owner does not count as theirs any more', (t) => {
  const store = new MemoryStore({ maxSessions: 4 })
  const first = stored(store, { owner: 'ada' })
  const moved = stored(store, { owner: 'ada' })
  const bob = [stored(store, { owner: 'bob' }), stored(store, { owner: 'bob' })]
  const before = store.read(moved, NOW)
  t.truthy(before)
  if (before) store.replace({ ...before, version: 2, owner: 'eve' }, 1, NOW)
  stored(store, { owner: 'guest' })

  t.deepEqual([live(store, [first]), live(store, [moved]), live(store, bob)], [1, 1, 1])
})

test('an eviction of a live session is announced, with its owner, and as an end', (t) => {
  const store = new MemoryStore({ maxSessions: 2 })
  const evicted: unknown[] = []
  const ended: unknown[] = []
  const stop = store.watchEvictions((record) => evicted.push(record))
  store.subscribe((key) => ended.push(key))
  const anonymous = stored(store)
  const [ada] = [stored(store, { owner: 'ada' }), stored(store, { owner: 'ada' }), stored(store, { owner: 'ada' })]

  t.deepEqual(evicted, [
    { key: anonymous, owner: undefined },
    { key: ada, owner: 'ada' },
  ])
  t.deepEqual(ended, [anonymous, ada])
  stop()
  stored(store, { owner: 'ada' })
  t.is(evicted.length, 2)
})

test('an expired record, and one that is empty, make room without an announcement', (t) => {
  const store = new MemoryStore({ maxSessions: 2 })
  const evicted: unknown[] = []
  store.watchEvictions((record) => evicted.push(record))
  stored(store, { expiresAt: NOW })
  stored(store, { payload: '' })
  stored(store, { owner: 'ada' })
  stored(store, { owner: 'bob' })

  t.is(store.size, 2)
  t.deepEqual(evicted, [])
})

// An eviction looks for expired records in eight parts of a store at most. Where a store is full by its bytes, few records
// are enough to have sixteen.
test('an expired record makes room without an announcement in whichever part of a large store it lies', (t) => {
  for (let index = 0; index < 64; index++) {
    const store = new MemoryStore({ maxSessions: 262_145, maxBytes: 10_000 })
    const told: unknown[] = []
    store.watchEvictions((record) => told.push(record))
    store.subscribe((key) => told.push(key))
    const payload = 'x'.repeat(4000)
    // A key tells its part by its first nine characters.
    stored(store, { key: String(index).padStart(9, '0'), payload, owner: 'ada', expiresAt: NOW })
    const others = ['bob', 'carol'].map((owner) => stored(store, { payload, owner }))

    t.deepEqual([store.size, live(store, others)], [2, 2])
    t.deepEqual(told, [])
  }
})

test('a listener that throws fails no verb, and the others hear all the same', (t) => {
  const store = new MemoryStore({ maxSessions: 2 })
  const heard: unknown[] = []
  const fail = () => {
    throw new Error('a fault of the listener')
  }
  store.subscribe(fail)
  store.watchEvictions(fail)
  store.subscribe((key) => heard.push(key))
  const [first, second, third] = [stored(store), stored(store), stored(store)]
  const record = store.read(third, NOW)
  t.truthy(record)

  t.true(store.delete(second))
  if (record) t.is(store.replace({ ...record, version: 2, payload: '' }, 1, NOW), 'done')
  t.deepEqual(heard, [first, second, third])
})

test('what is no function is refused as a listener', (t) => {
  const store = new MemoryStore()
  for (const listen of ['subscribe', 'watchEvictions'] as const)
    t.throws(() => store[listen](undefined as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

test('an ended record that takes the place of a session leaves its owner', (t) => {
  const store = new MemoryStore()
  const keys = Array.from({ length: 100 }, () => stored(store, { owner: 'ada' }))
  for (const key of keys.slice(1)) {
    const record = store.read(key, NOW)
    if (record) store.replace({ ...record, version: 2, payload: '', owner: undefined, meta: 'm' }, 1, NOW)
  }

  t.deepEqual(store.listKeys('ada', NOW, 10, undefined), { keys: keys.slice(0, 1), cursor: undefined })
})

test('portions of an owner are in order and of their size, and a cursor goes on behind a key that is gone', (t) => {
  for (const count of [1, 2, 30, 31, 32, 33, 34, 1000]) {
    const store = new MemoryStore()
    const keys = Array.from({ length: count }, () => stored(store, { owner: 'ada' })).sort()
    const seen: string[] = []
    for (let cursor: string | undefined, portion = 0; ; portion++) {
      const page = store.listKeys('ada', NOW, 7, cursor)
      t.true(page.keys.length <= 7)
      seen.push(...page.keys)
      cursor = page.cursor
      if (cursor === undefined) break
      if (portion % 2 === 0) store.delete(cursor)
    }
    t.deepEqual(seen, keys)
  }
})

test('an owner of 100,000 sessions costs no more than another', (t) => {
  const store = new MemoryStore({ maxSessions: 100_000 })
  const keys = Array.from({ length: 100_000 }, () => stored(store, { owner: 'ada' }))
  const middle = keys.toSorted()[50_000]
  const start = process.cpuUsage()
  for (const key of keys.slice(50_000, 52_000)) {
    stored(store, { owner: 'ada' })
    stored(store, { owner: 'ada' })
    store.touch(key, 1, NOW + 1, NOW + 1000, NOW)
    t.is(store.listKeys('ada', NOW, 10, middle).keys.length, 10)
    store.delete(key)
  }
  const { user, system } = process.cpuUsage(start)

  // About 20 ms; one look at all of them takes a millisecond each time.
  t.true(user + system < 2_000_000, `${(user + system) / 1000} ms`)
  t.is(store.size, 99_999)
})

test('an owner and a meta that were cut out of a long text do not keep it', (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const store = new MemoryStore()
  collect()
  const before = process.memoryUsage().heapUsed
  const text = () => randomBytes(500_000).toString('latin1')
  const cut = (long: string, index: number) => long.slice(100, 140 + index)
  const owners = ['\u6f22', ''].flatMap((start) => Array.from({ length: 50 }, (_, index) => cut(start + text(), index)))
  const expected = owners.map((owner) => Buffer.from(owner, 'utf16le').toString('hex'))
  for (const owner of owners) stored(store, { owner, meta: cut(text(), 0) })
  owners.length = 0
  collect()
  const grown = process.memoryUsage().heapUsed - before

  t.true(grown < 20_000_000, `${Math.round(grown / 1e6)} of about 125 MB`)
  const kept = store.scan(NOW, 1000, undefined).records.map(({ owner = '' }) => Buffer.from(owner, 'utf16le'))
  t.deepEqual(kept.map((owner) => owner.toString('hex')).sort(), expected.sort())
})
