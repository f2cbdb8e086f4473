// Calls that a foreign store answers late, twice, in two ways or never. What waits behind a slow call is not lost.
import test from 'ava'
import { fromExpressStore } from '../../src/adapters/index.ts'
import type { SessionRecord, SessionStore } from '../../src/store.ts'
import { MongoShape } from '../support/mongo-shape.ts'
import { newRecord, NOW } from '../support/records.ts'
import { soon, stopClock, turns } from '../support/stopped-clock.ts'

test.serial(
  'a call that is never answered ends the wait of everybody in line within ten seconds, and the line does not grow without end',
  async (t) => {
    const store = fromExpressStore({ get: () => undefined, set: () => undefined, destroy: () => undefined })
    const pass = stopClock(t)
    const waiting = Array.from({ length: 1000 }, async () => store.delete('key'))

    await t.throwsAsync(async () => store.delete('key'), { message: /1000 calls for one session wait/ })
    const settling = Promise.allSettled([...waiting, store.read('key', NOW)])
    pass(9999)
    t.is(await soon(settling), 'it waits')
    pass(1)
    const outcomes = await soon(settling)
    t.true(outcomes !== 'it waits' && outcomes.every(({ status }) => status === 'rejected'))
  },
)

/** A store, and a session in it. */
async function opened(changes: Partial<SessionRecord> = {}) {
  const store = new MongoShape()
  const adapter = fromExpressStore(store)
  const record = newRecord(changes)
  await adapter.create(record, NOW)
  return { store, adapter, record }
}

/** The next write on its way to the store is lost, until the returned function lets it arrive. */
function loseNext(store: MongoShape): () => void {
  let arrive: () => void = () => undefined
  store.set = (sid, given, callback) => {
    Reflect.deleteProperty(store, 'set')
    arrive = () => store.set(sid, given, callback)
  }
  return () => arrive()
}

/** A session whose write with this payload is lost on the way to the store, until `land` lets it arrive. */
async function losingWrite(payload: string) {
  const { store, adapter, record } = await opened()
  const land = loseNext(store)
  const lost = adapter.replace({ ...record, version: 2, payload }, 1, NOW)
  return { adapter, store, record, lost, land }
}

/** Passes so much time that a lost call counts as lost: its write is on its way, and the store answers others. */
async function overtake(adapter: SessionStore, pass: (milliseconds: number) => void): Promise<void> {
  await turns()
  await adapter.read('another', NOW)
  pass(500)
}

test.serial('one lost callback holds up its session for half a second where the store answers others', async (t) => {
  const pass = stopClock(t)
  const { adapter, record, lost, land } = await losingWrite('lost')
  const next = adapter.replace({ ...record, version: 2, payload: 'next' }, 1, NOW)
  // By then its write is on its way. Somebody else's session: the store is there.
  await turns()
  await adapter.read('another', NOW)
  pass(499)
  t.is(await soon(next), 'it waits')
  // Where it does not answer others either, the wait is ten seconds.
  pass(1)
  t.is(await soon(next), 'done')
  // Now the lost one lands after all: what was acknowledged since stands again.
  land()
  await t.throwsAsync(async () => lost, { message: /did not answer in time/ })
  t.is((await adapter.read(record.key, NOW))?.payload, 'next')
})

test.serial('a session that was ended while a write was lost is not brought back by it', async (t) => {
  const pass = stopClock(t)
  const { adapter, record, lost, land } = await losingWrite('alive')
  const ended = adapter.replace({ ...record, version: 2, payload: '', expiresAt: NOW }, 1, NOW)
  await overtake(adapter, pass)
  t.is(await soon(ended), 'done')
  land()
  await t.throwsAsync(async () => lost)

  t.is(await adapter.read(record.key, NOW), undefined)
})

test.serial('a session that is ended while a lost write lands is not brought back', async (t) => {
  const pass = stopClock(t)
  const { adapter, store, record, lost, land } = await losingWrite('lost')
  const next = adapter.replace({ ...record, version: 2, payload: 'next' }, 1, NOW)
  await overtake(adapter, pass)
  t.is(await soon(next), 'done')
  let answer: () => void = () => undefined
  store.get = (sid, callback) => {
    Reflect.deleteProperty(store, 'get')
    answer = () => store.get(sid, callback)
  }

  const ended = adapter.replace({ ...record, version: 3, payload: '', expiresAt: NOW + 60_000 }, 2, NOW)
  await turns()
  land()
  await turns()
  answer()

  t.is(await soon(ended), 'done')
  await t.throwsAsync(async () => lost)
  await turns()
  t.is((await adapter.read(record.key, NOW))?.payload, '')
})

test('a store that answers by promise alone works, and one that calls back is not believed before it does', async (t) => {
  const kept = new Map<string, string>()
  const promises = fromExpressStore({
    get: async (key) => Promise.resolve(JSON.parse(kept.get(key) ?? 'null') as unknown),
    set: async (key, value) => Promise.resolve(void kept.set(key, JSON.stringify(value))),
    destroy: async (key) => Promise.resolve(void kept.delete(key)),
  })
  const record = newRecord()
  t.true(await promises.create(record, NOW))
  t.is((await promises.read(record.key, NOW))?.version, 1)
  t.true(await promises.delete(record.key))

  const store = new MongoShape()
  const early = fromExpressStore({
    // Async, and done before it has the answer.
    get: async (sid, callback) => {
      store.get(sid, callback)
      return Promise.resolve()
    },
    set: async (sid, given, callback) => {
      store.set(sid, given, callback)
      return Promise.resolve()
    },
    destroy: async (sid, callback) => {
      store.destroy(sid, callback)
      return Promise.resolve()
    },
  })
  t.true(await early.create(record, NOW))
  t.is((await early.read(record.key, NOW))?.version, 1)
})

test.serial('a write that is lost while an earlier one is remembered is guarded for a minute of its own', async (t) => {
  const pass = stopClock(t)
  const { store, adapter, record } = await opened()

  // A first write is lost, overtaken, and lands: from now on the key is remembered for a minute.
  const landFirst = loseNext(store)
  const first = adapter.replace({ ...record, version: 2, payload: 'first' }, 1, NOW)
  const second = adapter.replace({ ...record, version: 2, payload: 'second' }, 1, NOW)
  await overtake(adapter, pass)
  t.is(await soon(second), 'done')
  landFirst()
  await t.throwsAsync(async () => first)
  await turns()

  // Almost a minute later another write is lost, and the user signs out.
  pass(59_000)
  const landAlive = loseNext(store)
  const alive = adapter.replace({ ...record, version: 3, payload: 'alive' }, 2, NOW)
  const ended = adapter.replace({ ...record, version: 3, payload: '', expiresAt: NOW + 60_000 }, 2, NOW)
  await overtake(adapter, pass)
  t.is(await soon(ended), 'done')

  // One second after that the lost write lands.
  pass(1000)
  landAlive()
  await t.throwsAsync(async () => alive, { message: /did not answer in time/ })
  await turns()

  t.is((await adapter.read(record.key, NOW))?.payload, '')
})

test.serial(
  'an end that lands late stays an end, though an earlier write of the same session was late as well',
  async (t) => {
    const pass = stopClock(t)
    const { store, adapter, record } = await opened()
    loseNext(store)
    const first = Promise.resolve(adapter.replace({ ...record, version: 2, payload: 'never answered' }, 1, NOW))
    first.catch(() => undefined)
    const second = adapter.replace({ ...record, version: 2, payload: 'live' }, 1, NOW)
    await overtake(adapter, pass)
    t.is(await soon(second), 'done')

    // The answer to a logout is late, and a request behind it came too late itself: it writes nothing.
    const landEnd = loseNext(store)
    const ended = adapter.replace({ ...record, version: 3, payload: '', expiresAt: NOW + 60_000 }, 2, NOW)
    const stale = adapter.replace({ ...record, version: 100 }, 99, NOW)
    await overtake(adapter, pass)
    t.is(await soon(stale), 'stale')
    landEnd()
    await t.throwsAsync(async () => ended, { message: /did not answer in time/ })
    await turns()

    t.is((await adapter.read(record.key, NOW))?.payload, '')
  },
)

/** Passes so many tenths of a second, in which others are served. */
async function steps(count: number, adapter: SessionStore, pass: (milliseconds: number) => void): Promise<void> {
  for (let step = 0; step < count; step++) {
    void adapter.read('another', NOW)
    await turns(5)
    pass(100)
    await turns(5)
  }
}

test.serial(
  'in a store that reads in 600 ms and writes in 800, no change fails because another one waits',
  async (t) => {
    const pass = stopClock(t)
    const { store, adapter, record } = await opened()
    store.get = (sid, callback) => void setTimeout(() => MongoShape.prototype.get.call(store, sid, callback), 600)
    store.set = (sid, given, callback) =>
      void setTimeout(() => MongoShape.prototype.set.call(store, sid, given, callback), 800)

    const [first, second] = ['first', 'second'].map((payload) =>
      Promise.resolve(adapter.replace({ ...record, version: 2, payload }, 1, NOW)).catch((error: unknown) => error),
    )
    await steps(30, adapter, pass)

    t.is(await soon(first), 'done')
    t.is(await soon(second), 'stale')
  },
)

test.serial(
  'a store whose writes take 700 ms is not written to for ever after a few requests, and an end elsewhere stays',
  async (t) => {
    const pass = stopClock(t)
    const { store, adapter, record } = await opened({ expiresAt: NOW + 86_400_000 })
    // Another process over the same data.
    const there = new MongoShape()
    Reflect.set(there, 'documents', store.documents)
    const elsewhere = fromExpressStore(there)
    let writes = 0
    store.set = (sid, given, callback) => {
      writes++
      setTimeout(() => MongoShape.prototype.set.call(store, sid, given, callback), 700)
    }
    const settled = ['first', 'second', 'third'].map((payload) =>
      Promise.resolve(adapter.replace({ ...record, version: 2, payload }, 1, NOW)).catch(() => undefined),
    )
    await steps(2 * 600, adapter, pass) // two minutes
    await Promise.all(settled)

    const held = await elsewhere.read(record.key, NOW)
    t.truthy(held)
    if (held === undefined) return
    const end = { ...held, version: held.version + 1, payload: '' }
    t.is(await elsewhere.replace(end, held.version, NOW), 'done')
    const before = writes
    await steps(600, adapter, pass) // one minute

    t.is(writes - before, 0, 'nobody asks for a write')
    t.is((await elsewhere.read(record.key, NOW))?.payload, '', 'it was signed out in the other process')
  },
)
