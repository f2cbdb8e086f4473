// Overlapping requests of one process: what the process knows already is not asked of the store again.
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { MemoryStore, type SessionRecord } from '../../src/index.ts'
import type { Replaced } from '../../src/store.ts'
import { Barrier } from '../support/faults.ts'
import { mounted, type Mounted, type Session } from '../support/mounted.ts'

/** A store that answers later, as one on a server does. */
class SlowStore extends MemoryStore {
  // The contract lets a store answer with a promise; the class that it extends answers at once.
  override replace(record: SessionRecord, version: number, now: number): Replaced {
    return new Promise((resolve) =>
      setImmediate(() => resolve(super.replace(record, version, now))),
    ) as unknown as Replaced
  }
}

interface Overlap {
  readonly app: Mounted
  readonly slow: string
  readonly seen: unknown
}

/** `slow` is loaded, then `fast` begins and ends, then `slow` is committed; the store counts from `fast`'s end on. */
async function overlap(
  t: Parameters<typeof mounted>[0],
  options: Parameters<typeof mounted>[1],
  slow: (session: Session) => unknown,
  fast: (session: Session) => unknown,
): Promise<Overlap> {
  const worked = new Barrier()
  const app = await mounted(t, options, {
    '/begin': ({ data }) => (data.n = 1),
    '/slow': async (session) => {
      await slow(session)
      await worked.pass()
    },
    '/fast': fast,
    '/see': ({ data }) => data,
  })
  const browser = app.browser()
  await browser.get('/begin')
  const late = browser.get('/slow')
  await worked.arrived
  await browser.get('/fast')
  app.store.counted()
  worked.open()
  const { status } = await late
  const calls = app.store.counted()
  return { app, slow: `${status} ${JSON.stringify(calls)}`, seen: JSON.parse((await browser.get('/see')).body) }
}

test('a request that was overtaken in this process writes over what the other wrote, without a refusal first', async (t) => {
  const { slow, seen } = await overlap(
    t,
    {},
    ({ data }) => (data.name = 'slow'),
    ({ data }) => (data.other = 'fast'),
  )

  t.is(slow, '200 {"replace":1}')
  t.deepEqual(seen, { n: 1, name: 'slow', other: 'fast' })
})

test('before a change is refused as a conflict the store is asked', async (t) => {
  const { slow, seen } = await overlap(
    t,
    { onConflict: 'throw' },
    ({ data }) => (data.n = 2),
    ({ data }) => (data.n = 3),
  )

  t.is(slow, '409 {"read":1,"replace":1}')
  t.deepEqual(seen, { n: 3 })
})

test('however often it was overtaken, one write is enough', async (t) => {
  const { slow, seen } = await overlap(
    t,
    {},
    ({ data }) => (data.name = 'slow'),
    async (session) => {
      for (let n = 2; n < 6; n++) {
        session.data.n = n
        await session.save()
      }
    },
  )

  t.is(slow, '200 {"replace":1}')
  t.deepEqual(seen, { n: 5, name: 'slow' })
})

test('a session that another request of this process ended is gone for it', async (t) => {
  const { slow, seen } = await overlap(
    t,
    {},
    ({ data }) => (data.name = 'slow'),
    (session) => session.destroy(),
  )

  t.is(slow, '409 {"read":1,"replace":1}')
  t.deepEqual(seen, {})
})

test('a session that was changed and then replaced by a new id is not written under the old one', async (t) => {
  const { slow, seen } = await overlap(
    t,
    {},
    ({ data }) => (data.name = 'slow'),
    async (session) => {
      session.data.other = 'fast'
      await session.save()
      await session.regenerate()
    },
  )

  t.regex(slow, /^409 /)
  t.deepEqual(seen, { n: 1, other: 'fast' })
})

const MANY = 100

test('changes of one session that meet in this process are stored together', async (t) => {
  const loaded = Array.from({ length: MANY }, () => new Barrier())
  const app = await mounted(
    t,
    { store: new SlowStore() },
    {
      '/begin': ({ data }) => (data.n = 1),
      '/see': ({ data }) => Object.keys(data).length,
      '/': async ({ data }, { query }) => {
        await loaded[Number(query['at'])]?.pass()
        Object.assign(data, { [`key${String(query['at'])}`]: 1 })
      },
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  const requests = loaded.map((_, at) => browser.get(`/?at=${at}`))
  await Promise.all(loaded.map(({ arrived }) => arrived))
  app.store.counted()
  for (const barrier of loaded) barrier.open()
  const answers = await Promise.all(requests)

  t.true(answers.every(({ status }) => status === 200))
  const { read = 0, replace = 0 } = app.store.counted()
  t.true(read <= 2 && replace <= 5, `${read} reads, ${replace} replaces`)
  t.is((await browser.get('/see')).body, String(MANY + 1))
})

for (const [what, store] of [
  ['answers at once', () => new MemoryStore()],
  ['takes its time', () => new SlowStore()],
] as const) {
  test(`updates of one session that meet where the store ${what} run their function twice at most`, async (t) => {
    let runs = 0
    const app = await mounted(
      t,
      { store: store() },
      {
        '/begin': ({ data }) => (data.n = 0),
        '/see': ({ data }) => data.n,
        '/': (session) =>
          session.update(async (data) => {
            runs++
            await new Promise(setImmediate)
            data.n = (data.n ?? 0) + 1
          }),
      },
    )
    const browser = app.browser()
    await browser.get('/begin')
    const answers = await Promise.all(Array.from({ length: MANY }, () => browser.get('/')))

    t.true(answers.every(({ status }) => status === 200))
    t.is((await browser.get('/see')).body, String(MANY))
    t.true(runs <= 2 * MANY, `${runs} runs`)
  })
}

test('an update within an update of the same session does not wait for itself', async (t) => {
  const began = performance.now()
  const app = await mounted(
    t,
    { store: new SlowStore(), storeTimeout: '5m' },
    {
      '/begin': ({ data }) => (data.n = 0),
      '/see': ({ data }) => data.n,
      '/': (session) =>
        session.update(async (data) => {
          if (data.other === undefined) await session.update((inner) => (inner.other = 1))
          data.n = (data.n ?? 0) + 1
        }),
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  await Promise.all(Array.from({ length: 5 }, () => browser.get('/')))

  t.is((await browser.get('/see')).body, '5')
  t.true(performance.now() - began < 60_000)
})

test('a write that the store holds up holds no other request up', async (t) => {
  const app = await mounted(
    t,
    { storeTimeout: '1m' },
    {
      '/begin': ({ data }) => (data.n = 1),
      '/slow': ({ data }) => (data.name = 'slow'),
      '/fast': ({ data }) => (data.other = 'fast'),
      '/see': ({ data }) => data,
    },
  )
  const browser = app.browser()
  await browser.get('/begin')
  const held = app.store.pause('replace')
  const slow = browser.get('/slow')
  await held.arrived
  const waited = new AbortController()
  const fast = await Promise.race([
    browser.get('/fast').then(({ status }) => status),
    sleep(10_000, 'it waits', { signal: waited.signal }),
  ])
  waited.abort()
  held.open()

  t.is(fast, 200)
  t.is((await slow).status, 200)
  t.deepEqual(JSON.parse((await browser.get('/see')).body), { n: 1, other: 'fast', name: 'slow' })
})
