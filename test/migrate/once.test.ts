// takeOver copies an old session once, whatever comes at once or fails, and nobody's lifetime changes.
import test, { type ExecutionContext } from 'ava'
import { fromKoaStore } from '../../src/adapters/index.ts'
import { MemoryStore, type SessionManager, type SessionOptions, type SessionStore } from '../../src/index.ts'
import { fromKoaSession } from '../../src/migrate.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { ada, after, ours, type Visitor } from '../support/deployed.ts'
import { FaultyStore } from '../support/faults.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'
import { libsql } from '../support/sqlite.ts'

const stores: Record<string, (t: ExecutionContext) => SessionStore> = {
  memory: () => new MemoryStore(),
  sqlite(t) {
    const database = libsql.open(':memory:')
    t.teardown(() => void database.close())
    return new SqliteStore(database)
  },
  'a foreign store': () => fromKoaStore(new OldStore()),
}

for (const overlap of [0, '1d'] as const) {
  test(`with overlap ${overlap}, six first requests at once make one session, and the data is copied once`, async (t) => {
    const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }), {}, { overlap })
    const answers = await Promise.all(Array.from({ length: 6 }, () => app.browser().send('/count', signed('k1'))))

    t.is(new Set(answers.map(ours)).size, 1)
    t.is(app.copies(), 1)
    const [first] = answers
    t.is(first && (await app.browser().send('/', ours(first))).body, 'ada {"cart":["book"],"n":6}')
  })

  for (const [kind, open] of Object.entries(stores))
    test(`with overlap ${overlap}, so do first requests to two processes at once, over ${kind}`, async (t) => {
      const store = open(t)
      const from = fromKoaSession({ store: new OldStore(ada()) })
      const processes = await Promise.all([1, 2].map(() => after(t, from, { store }, { overlap })))
      const answers = await Promise.all(
        Array.from({ length: 8 }, async (_, at) => processes[at % 2]?.browser().send('/count', signed('k1'))),
      )

      t.is(new Set(answers.map((answer) => answer && ours(answer))).size, 1)
      t.is(
        processes.reduce((sum, { copies }) => sum + copies(), 0),
        1,
      )
      const [first] = answers
      t.is(first && (await processes[1]?.browser().send('/', ours(first)))?.body, 'ada {"cart":["book"],"n":8}')
    })
}

test.serial('requests that waited for another one leave no timer behind', async (t) => {
  const store = new FaultyStore(new MemoryStore())
  const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }), { store, storeTimeout: '1m' })
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const settling = store.pause('replace')
  const first = app.browser().send('/count', signed('k1'))
  await settling.arrived
  const before = timers()
  const others = Array.from({ length: 20 }, () => app.browser().send('/count', signed('k1')))
  // Each of them waits, for ten seconds at most.
  for (let tries = 0; tries < 300 && timers() < before + 20; tries++)
    await new Promise((resolve) => setTimeout(resolve, 20))
  t.true(timers() >= before + 20, 'none of them waits by a timer')

  settling.open()

  const answers = await Promise.all([first, ...others])
  t.is(new Set(answers.map(ours)).size, 1)
  t.true(timers() - before < 10, `${timers() - before} timers more`)
})

test('nobody lives longer or shorter: what is left goes on, the whole lifetime where use renews it, and the options otherwise', async (t) => {
  const left = { _expire: Date.now() + DAY / 2, _maxAge: DAY }
  const life = async (record: object, options: SessionOptions<Visitor>): Promise<number> => {
    const store = new OldStore(['k1', { user: 'ada', ...record }])
    const app = await after(t, fromKoaSession({ store }), options)
    return Number((await app.browser().send('/life', signed('k1'))).body)
  }

  const rest = await life(left, {})
  t.true(rest <= DAY / 2 && rest > DAY / 2 - 60_000)
  t.is(await life(left, { rolling: true, maxAge: '7d' }), DAY)
  t.is(await life({ _session: true, _maxAge: DAY }, {}), 0)
})

test('a goOn that throws leaves the old session to the next request', async (t) => {
  let fails = true
  const goOn = async (current: SessionManager<Visitor>): Promise<void> => {
    await current.signIn('ada')
    if (fails) throw new Error('no database')
  }
  const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }), {}, { goOn })
  const answer = await app.browser().send('/', signed('k1'))
  t.is(answer.status, 500)
  // Not half of it either.
  t.deepEqual(answer.setCookie, [])
  fails = false

  t.is((await app.browser().send('/', signed('k1'))).body, 'ada {}')
})

for (const overlap of [0, '1d'] as const)
  test(`with overlap ${overlap}, nobody is signed out where the answer to the last write of a take-over is lost`, async (t) => {
    const store = new MemoryStore()
    const replace = store.replace.bind(store)
    let isLost = true
    store.replace = (record, ...rest) => {
      const done = replace(record, ...rest)
      if (record.payload === '' && record.meta !== undefined && isLost) {
        isLost = false
        throw new Error('ECONNRESET')
      }
      return done
    }
    const app = await after(t, fromKoaSession({ store: new OldStore(ada()) }), { store }, { overlap })
    t.is((await app.browser().send('/', signed('k1'))).status, 503)
    t.false(isLost)

    const mine = ours(await app.browser().send('/', signed('k1')))
    t.is((await app.browser().send('/', `${mine}; ${signed('k1')}`)).body, 'ada {"cart":["book"]}')
  })

for (const [overlap, later] of [
  ['1d', 15_001],
  [0, 15_001],
  ['1h', DAY / 12],
] as const)
  test(`with overlap ${overlap}, a process that ended at a take-over holds nobody up for longer than fifteen seconds`, async (t) => {
    const store = new FaultyStore(new MemoryStore())
    const old = new OldStore(ada())
    let time = Date.now()
    const now = (): number => time
    const app = await after(t, fromKoaSession({ store: old }), { store, now }, { overlap, now })
    // Its second write is the first one that says that it is done.
    store.next('create', {
      kind: 'after',
      barrier: {
        arrived: Promise.resolve(),
        pass: () => Promise.reject(new Error('dead')),
        open: () => undefined,
      } as never,
    })
    store.next('delete', { kind: 'fail' })
    t.is((await app.browser().send('/', signed('k1'))).status, 503)
    time += later

    const first = await app.browser().send('/', signed('k1'))
    t.is(first.body, 'ada {"cart":["book"]}')
    // The ten seconds, or the overlap, of the others begin with this take-over.
    t.is((await app.browser().send('/', signed('k1'))).body, 'ada {"cart":["book"]}')
    t.true(old.records.has('k1'))
    t.is((await app.browser().send('/', ours(first))).body, 'ada {"cart":["book"]}')
    t.is(app.copies(), 1)
  })

test('neither store can be read for the other: no old name and no id lies in the new one, and no session is shown', async (t) => {
  const store = new MemoryStore()
  const written: string[] = []
  for (const verb of ['create', 'replace'] as const) {
    const call = store[verb].bind(store) as (...args: unknown[]) => unknown
    Object.assign(store, { [verb]: (...args: unknown[]) => (written.push(JSON.stringify(args)), call(...args)) })
  }
  const name = 'an-old-name-that-is-a-secret'
  const app = await after(t, fromKoaSession({ store: new OldStore([name, ada()[1]]) }), { store })
  const mine = ours(await app.browser().send('/', signed(name)))
  const [, id = ''] = /^sid=([\w-]+)\./.exec(mine) ?? []

  t.true(written.length >= 4)
  t.false(written.some((text) => text.includes(name) || text.includes(id)))
})
