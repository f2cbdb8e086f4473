import { randomBytes } from 'node:crypto'
import test from 'ava'
import { storeChecks } from 'koa-fastsession/conformance'
import { MemoryStore } from '../../src/stores/memory.ts'
import type { SessionRecord } from '../../src/store.ts'
import { newRecord as record, NOW } from '../support/records.ts'

/** Stores a record; its key. */
function stored(store: MemoryStore, changes: Partial<SessionRecord> = {}): string {
  const made = record(changes)
  store.create(made, NOW)
  return made.key
}

const alive = (store: MemoryStore, keys: readonly string[], now = NOW): boolean[] =>
  keys.map((key) => store.read(key, now) !== undefined)

for (const { title, run } of storeChecks) {
  test(`MemoryStore: ${title}`, (t) => t.notThrowsAsync(run(new MemoryStore())))

  test(`MemoryStore of many parts: ${title}`, (t) =>
    t.notThrowsAsync(run(new MemoryStore({ maxSessions: 10_000_000 }))))
}

for (const name of ['maxSessions', 'maxBytes']) {
  test(`${name} must be a whole number from 1 on`, (t) => {
    for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 60]) {
      t.throws(() => new MemoryStore({ [name]: value }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: new RegExp(`options.${name}`),
      })
    }
    for (const value of ['10', null, true, 10n]) {
      t.throws(() => new MemoryStore({ [name]: value }), {
        code: 'ERR_INVALID_ARG_TYPE',
        message: new RegExp(`options.${name}`),
      })
    }
  })
}

test('an option that it does not know is refused, and so is what are no options', (t) => {
  t.throws(() => new MemoryStore({ max: 10 } as object), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_VALUE',
    message: 'options.max is no option: options takes maxSessions, maxBytes',
  })
  for (const options of [null, 10, 'ten', []]) {
    t.throws(() => new MemoryStore(options as object), { code: 'ERR_INVALID_ARG_TYPE', message: /options must be/ })
  }
  t.notThrows(() => new MemoryStore({ maxSessions: undefined, maxBytes: undefined }))
})

test('every verb answers at once', (t) => {
  const store = new MemoryStore()
  const made = record({ owner: 'ada' })

  t.true(store.create(made, NOW))
  t.is(store.read(made.key, NOW)?.payload, made.payload)
  t.is(store.replace({ ...made, version: 2 }, 1, NOW), 'done')
  t.true(store.touch(made.key, 2, NOW + 1, NOW + 2000, NOW))
  t.deepEqual(store.listKeys('ada', NOW, 10, undefined), { keys: [made.key], cursor: undefined })
  t.is(store.list('ada', NOW, 10, undefined).records.length, 1)
  t.is(store.scan(NOW, 10, undefined).records.length, 1)
  t.true(store.delete(made.key))
  t.is(store.deleteExpired(NOW, 10), 0)
})

test('a record that was read is the one that list and scan show', (t) => {
  const store = new MemoryStore()
  const made = record({ owner: 'ada', meta: 'm' })
  store.create(made, NOW)

  for (const shown of [
    store.read(made.key, NOW),
    store.list('ada', NOW, 10, undefined).records[0],
    store.scan(NOW, 10, undefined).records[0],
  ])
    t.deepEqual(shown, made)
})

test('there are never more than maxSessions', (t) => {
  const store = new MemoryStore({ maxSessions: 10 })
  const keys = Array.from({ length: 25 }, () => stored(store))

  t.is(store.size, 10)
  t.deepEqual(
    alive(store, keys),
    keys.map((_, index) => index >= 15),
  )
})

test('there are never more than maxBytes', (t) => {
  const store = new MemoryStore({ maxBytes: 100_000 })
  for (let index = 0; index < 100; index++) {
    stored(store, { payload: 'x'.repeat(index * 100) })
    t.true(store.bytes <= 100_000)
  }

  t.true(store.bytes > 80_000)
})

test('a replace that grows makes room at the cost of others, never of itself', (t) => {
  const store = new MemoryStore({ maxBytes: 100_000 })
  const grown = record()
  store.create(grown, NOW)
  const others = Array.from({ length: 5 }, () => stored(store, { payload: 'x'.repeat(10_000) }))

  t.is(store.replace({ ...grown, version: 2, payload: 'x'.repeat(90_000) }, 1, NOW), 'done')
  t.is(store.read(grown.key, NOW)?.version, 2)
  t.deepEqual(alive(store, others), [false, false, false, false, false])
})

test('a record larger than maxBytes is refused, and what is stored stays', (t) => {
  const store = new MemoryStore({ maxBytes: 1000 })
  const small = record()
  store.create(small, NOW)
  const large = { ...small, version: 2, payload: '\u6f22'.repeat(500) }

  t.throws(() => store.create(record({ payload: 'x'.repeat(1000) }), NOW), {
    instanceOf: RangeError,
    message: /maxBytes/,
  })
  t.throws(() => store.replace(large, 1, NOW), { instanceOf: RangeError, message: /maxBytes/ })
  t.is(store.read(small.key, NOW)?.version, 1)
  t.is(store.size, 1)
})

test('an expired record gives way first, even that of an owner', (t) => {
  const store = new MemoryStore({ maxSessions: 3 })
  const keys = [stored(store), stored(store, { owner: 'ada', expiresAt: NOW + 10 }), stored(store)]
  store.create(record(), NOW + 10)

  t.deepEqual(alive(store, keys), [true, false, true])
})

test('an anonymous record gives way before that of an owner, however fresh', (t) => {
  const store = new MemoryStore({ maxSessions: 3 })
  const keys = [stored(store, { owner: 'ada' }), stored(store, { owner: 'bob' }), stored(store)]
  const signedIn = stored(store, { owner: 'carol' })

  t.deepEqual(alive(store, [...keys, signedIn]), [true, true, false, true])
})

test('a flood of anonymous sessions evicts one session of an owner at most, also in a store of many parts', (t) => {
  for (const maxSessions of [100, 40_000]) {
    const store = new MemoryStore({ maxSessions })
    const owned = Array.from({ length: maxSessions }, (_, index) => stored(store, { owner: `user ${index}` }))
    for (let index = 0; index < 2000; index++) stored(store)

    t.is(alive(store, owned).filter(Boolean).length, maxSessions - 1)
    t.is(store.size, maxSessions)
  }
})

test('of records alike the one that was written or touched longest ago gives way', (t) => {
  const store = new MemoryStore({ maxSessions: 4 })
  const at = (lastSeenAt: number) => ({ lastSeenAt, expiresAt: NOW + 1000 })
  const replaced = record(at(NOW))
  store.create(replaced, NOW)
  const [touched, idle, last] = [stored(store, at(NOW + 1)), stored(store, at(NOW + 2)), stored(store, at(NOW + 3))]
  store.replace({ ...replaced, version: 2, lastSeenAt: NOW + 4 }, 1, NOW)
  store.touch(touched, 1, NOW + 5, NOW + 1000, NOW)
  stored(store, at(NOW + 6))

  t.deepEqual(alive(store, [replaced.key, touched, idle, last]), [true, true, false, true])
})

test('the oldest give way in order, also in a store of two parts', (t) => {
  const store = new MemoryStore({ maxSessions: 40_000 })
  const keys = Array.from({ length: 40_000 }, (_, index) =>
    stored(store, { lastSeenAt: NOW + index, expiresAt: NOW + 100_000 }),
  )
  for (let index = 0; index < 100; index++) stored(store, { lastSeenAt: NOW + 50_000, expiresAt: NOW + 100_000 })

  t.deepEqual(
    alive(store, keys.slice(0, 200)),
    keys.slice(0, 200).map((_, index) => index >= 100),
  )
})

test('an evicted record leaves the list of its owner', (t) => {
  const store = new MemoryStore({ maxSessions: 2 })
  stored(store, { owner: 'ada' })
  const [second, third] = [stored(store, { owner: 'ada' }), stored(store, { owner: 'ada' })]

  t.deepEqual(store.listKeys('ada', NOW, 10, undefined).keys, [second, third].sort())
})

test('the estimate of bytes returns to nothing with the records', (t) => {
  const store = new MemoryStore()
  const payloads = ['', 'ascii', '\u6f22\u5b57', randomBytes(100)]
  const keys = payloads.flatMap((payload) => [
    stored(store, { payload }),
    stored(store, { payload, owner: 'ada', meta: 'm' }),
  ])
  const full = store.bytes
  for (const key of keys) {
    const before = store.read(key, NOW)
    if (before) store.replace({ ...before, version: 2, payload: 'longer than it was', owner: 'bob' }, 1, NOW)
  }
  for (const key of keys.slice(4)) store.delete(key)

  t.true(full > 8 * 200)
  t.is(store.deleteExpired(NOW + 1000, 100), 4)
  t.is(store.bytes, 0)
  t.is(store.size, 0)
})

test('200,000 sessions that come and expire leave no memory behind', (t) => {
  const store = new MemoryStore()
  let largest = 0
  for (let index = 0; index < 200_000; index++) {
    const now = NOW + index
    store.create(record({ owner: index % 10 === 0 ? `user ${index}` : undefined, expiresAt: now + 1000 }), now)
    if (index % 100 === 99) store.deleteExpired(now, 1000)
    largest = Math.max(largest, store.size)
  }
  store.deleteExpired(Infinity, Infinity)

  t.true(largest <= 1100)
  t.is(store.size, 0)
  t.is(store.bytes, 0)
})

test.serial('no call copies more than a part of the store, however many sessions it grows to and shrinks from', (t) => {
  const SESSIONS = 60_000
  const store = new MemoryStore()
  const keys: string[] = []
  let made = 0
  let most = 0
  const { Float64Array: Floats, Int32Array: Ints } = globalThis
  class CountedFloats extends Floats {
    static readonly [Symbol.species] = Floats

    constructor(length: number) {
      super(length)
      made += length
    }
  }
  class CountedInts extends Ints {
    static readonly [Symbol.species] = Ints

    constructor(length: number) {
      super(length)
      made += length
    }
  }
  Object.assign(globalThis, { Float64Array: CountedFloats, Int32Array: CountedInts })
  const measured = (call: () => void): void => {
    made = 0
    call()
    most = Math.max(most, made)
  }
  try {
    for (let index = 0; index < SESSIONS; index++) measured(() => void keys.push(stored(store)))
    t.true(most > 0)
    for (const key of keys) measured(() => void store.delete(key))
  } finally {
    Object.assign(globalThis, { Float64Array: Floats, Int32Array: Ints })
  }
  // Some ten numbers a session in all, in 64 parts.
  t.true(most < SESSIONS, `one call made room for ${most} numbers`)
})

test('a sweep takes the records that expired first, part by part, and never more than its limit', (t) => {
  const store = new MemoryStore()
  for (let index = 0; index < 1000; index++) stored(store, { expiresAt: NOW + 1 + (index % 2) * 1000 })

  const counts = Array.from({ length: 6 }, () => store.deleteExpired(NOW + 500, 110))

  t.deepEqual(counts, [110, 110, 110, 110, 60, 0])
  t.is(store.size, 500)
})

test('a sweep takes the expired and only those, wherever touches and replaces moved their ends', (t) => {
  const store = new MemoryStore({ maxSessions: 1000 })
  const end = (index: number) => NOW + 1 + ((index * 7919) % 1000)
  const records = Array.from({ length: 900 }, (_, index) => record({ expiresAt: end(index) }))
  for (const made of records) store.create(made, NOW)
  const ends = records.map((made, index) => {
    const expiresAt = end(index * 31 + 5)
    if (index % 3 === 0) store.touch(made.key, 1, NOW, expiresAt, NOW)
    if (index % 3 === 1) store.replace({ ...made, version: 2, expiresAt }, 1, NOW)
    return index % 3 === 2 ? made.expiresAt : expiresAt
  })

  for (const now of [NOW + 100, NOW + 500, NOW + 900]) {
    store.deleteExpired(now, 1000)
    t.is(store.size, ends.filter((expiresAt) => expiresAt > now).length)
  }
})
