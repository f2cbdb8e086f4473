// Overlapping requests of one process: what the process knows already is not asked of the store again.
import test from 'ava'
import { MemoryStore, type SessionRecord } from '../../src/index.ts'
import type { Replaced } from '../../src/store.ts'
import { MAX_WAIT } from '../../src/session/queues.ts'
import { Barrier } from '../support/faults.ts'
import { mounted, type Mounted, type Session } from '../support/mounted.ts'
import { cookieOf, quick, type Bag } from '../support/quick.ts'
import { soon, stopClock, turns } from '../support/stopped-clock.ts'

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

test.serial('changes of one session that meet in this process are stored together', async (t) => {
  stopClock(t)
  const app = quick({ store: new SlowStore() })
  const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1)))
  const loaded = Array.from({ length: MANY }, () => new Barrier())
  const requests = loaded.map((barrier, at) =>
    app.ask(cookie, async ({ data }) => {
      await barrier.pass()
      data[`key${at}`] = 1
    }),
  )
  await Promise.all(loaded.map(({ arrived }) => arrived))
  app.store.counted()
  for (const barrier of loaded) barrier.open()
  const answers = await Promise.all(requests)

  t.true(answers.every(({ status }) => status === 200))
  const { read = 0, replace = 0 } = app.store.counted()
  t.true(read <= 2 && replace <= 5, `${read} reads, ${replace} replaces`)
  t.is((await app.ask(cookie, ({ data }) => Object.keys(data).length)).result, MANY + 1)
})

for (const [what, store] of [
  ['answers at once', () => new MemoryStore()],
  ['takes its time', () => new SlowStore()],
] as const) {
  test.serial(
    `updates of one session that meet where the store ${what} run their function twice at most`,
    async (t) => {
      stopClock(t)
      let runs = 0
      const app = quick({ store: store() })
      const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 0)))
      const increment = async (data: Bag): Promise<void> => {
        runs++
        await new Promise(setImmediate)
        data['n'] = Number(data['n']) + 1
      }
      const answers = await Promise.all(
        Array.from({ length: MANY }, () => app.ask(cookie, (session) => session.update(increment))),
      )

      t.true(answers.every(({ status }) => status === 200))
      t.is((await app.ask(cookie, ({ data }) => data['n'])).result, MANY)
      t.true(runs <= 2 * MANY, `${runs} runs`)
    },
  )
}

test.serial('an update within an update of the same session does not wait for itself', async (t) => {
  // Its turn would never come: the one before it ends with it, and without a clock it lasts.
  stopClock(t)
  const app = quick({ store: new SlowStore() })
  const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 0)))
  const answers = Promise.all(
    Array.from({ length: 5 }, () =>
      app.ask(cookie, (session) =>
        session.update(async (data) => {
          if (data['other'] === undefined) await session.update((inner) => (inner['other'] = 1))
          data['n'] = Number(data['n']) + 1
        }),
      ),
    ),
  )

  t.not(await soon(answers), 'it waits')
  t.is((await app.ask(cookie, ({ data }) => data['n'])).result, 5)
})

test.serial('a write that the store holds up holds no other request up', async (t) => {
  const pass = stopClock(t)
  const app = quick()
  const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1)))
  const held = app.store.pause('replace')
  const slow = app.ask(cookie, ({ data }) => (data['name'] = 'slow'))
  await held.arrived
  const fast = app.ask(cookie, ({ data }) => (data['other'] = 'fast'))
  await turns()
  pass(MAX_WAIT)

  t.is(await soon(fast.then(({ status }) => status)), 200)
  held.open()
  t.is((await slow).status, 200)
  const { result } = await app.ask(cookie, ({ data }) => ({ ...data }))
  t.deepEqual(result, { n: 1, other: 'fast', name: 'slow' })
})
