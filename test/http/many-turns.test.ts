// What works on many sessions, over stores that answer at once: other requests have their turns of the event loop meanwhile.
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, type SessionMiddleware, type SessionOptions, type SessionRecord } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import type { SessionStore } from '../../src/store.ts'
import { FaultyStore } from '../support/faults.ts'
import { mounted, type Mounted, type Things } from '../support/mounted.ts'
import { newRecord } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers } from '../support/sqlite.ts'

/** Pieces of work that may follow each other in one turn: 16 sessions, each read, looked at twice and written; and a visitor. */
const MOST = 80

interface Crowd {
  readonly name: string
  /** How many sessions. The work of one turn is the same for any number; those of a file take their time to be made. */
  readonly many: number
  open(t: ExecutionContext): SessionStore
}

const stores: readonly Crowd[] = [
  { name: 'MemoryStore', many: 10_000, open: () => new MemoryStore() },
  ...drivers.map((driver, index) => ({
    name: `SqliteStore over ${driver.name}`,
    many: 2000,
    open: (t: ExecutionContext) => {
      const database = driver.open(join(temporaryFolder(), `many-${index}.db`))
      // Only the filling waits for no disk: how long one takes is no matter here.
      database.exec('PRAGMA synchronous = OFF')
      t.teardown(() => void database.close())
      return new SqliteStore(database)
    },
  })),
]

/** Counts what is done to single sessions between two turns of the event loop. */
class Turns {
  count = 0
  longest = 0
  #inTurn = 0
  #isOver = false

  begin(): void {
    const next = (): void => {
      this.count++
      this.#inTurn = 0
      if (!this.#isOver) setImmediate(next)
    }
    setImmediate(next)
  }

  work(): void {
    this.longest = Math.max(this.longest, ++this.#inTurn)
  }

  end(): void {
    this.#isOver = true
  }
}

interface Stage extends Mounted {
  readonly turns: Turns
}

/** An owner of that many sessions, over a store that counts, below a schema that counts. */
async function crowded(t: ExecutionContext, crowd: Crowd, changes: Partial<SessionRecord> = {}): Promise<Stage> {
  const now = Date.now()
  const inner = crowd.open(t)
  for (let n = 0; n < crowd.many; n++) {
    const record = newRecord({ owner: 'ada', createdAt: now, lastSeenAt: now, expiresAt: now + 3_600_000, ...changes })
    await inner.create({ ...record, payload: `{"n":${n}}` }, now - 1)
  }
  const turns = new Turns()
  const options: SessionOptions<Things> = {
    store: counting(inner, turns),
    sweepInterval: false,
    storeTimeout: '60s',
    schema: { '~standard': { validate: (value) => (turns.work(), { value: value as Things }) } },
  }
  return { ...(await mounted(t, options, { '/': ({ data }) => (data.n = (data.n ?? 0) + 1) })), turns }
}

/** A store whose verbs of one record count as work. */
function counting(inner: SessionStore, turns: Turns): SessionStore {
  const store = new FaultyStore(inner)
  for (const verb of ['read', 'replace', 'touch', 'delete'] as const) {
    const ask = store[verb].bind(store) as (...given: unknown[]) => unknown
    Object.assign(store, {
      [verb]: (...given: unknown[]) => {
        turns.work()
        return ask(...given)
      },
    })
  }
  return store
}

/** How many requests of somebody else are served while the work goes on. */
async function servedDuring(stage: Stage, work: () => Promise<unknown>): Promise<number> {
  const browser = stage.browser()
  await browser.get('/')
  const going = { isOver: false, served: 0 }
  const serving = (async () => {
    while (!going.isOver) {
      const { status } = await browser.get('/')
      if (status === 200) going.served++
    }
  })()
  stage.turns.begin()
  try {
    await work()
    return going.served
  } finally {
    going.isOver = true
    stage.turns.end()
    await serving
  }
}

type Middleware = SessionMiddleware<Things>
const VERBS: readonly [name: string, work: (middleware: Middleware) => Promise<number>][] = [
  ['list()', async (middleware) => (await middleware.list('ada')).length],
  ['updateAll()', (middleware) => middleware.updateAll('ada', (data) => void (data.n = 1))],
  ['destroyAll()', (middleware) => middleware.destroyAll('ada')],
  ['destroyEverything()', (middleware) => middleware.destroyEverything()],
  [
    'scan()',
    async (middleware) => {
      let count = 0
      for await (const { owner } of middleware.scan()) if (owner === 'ada') count++
      return count
    },
  ],
]

for (const crowd of stores) {
  const { name, many } = crowd
  for (const [verb, work] of VERBS) {
    test.serial(`${name}: ${verb} over ${many} sessions lets others be served meanwhile`, async (t) => {
      t.timeout(300_000)
      const stage = await crowded(t, crowd)
      let count = 0
      const served = await servedDuring(stage, async () => (count = await work(stage.middleware)))

      // The visitor's own session is among everybody's.
      t.true(count === many || (verb === 'destroyEverything()' && count > many), String(count))
      t.true(stage.turns.longest <= MOST, `${stage.turns.longest} pieces of work in one turn`)
      t.true(stage.turns.count >= many / MOST, `${stage.turns.count} turns`)
      t.true(served >= 10, `${served} requests were served`)
    })
  }

  test.serial(`${name}: deleteExpired() of ${many} sessions lets others be served meanwhile`, async (t) => {
    t.timeout(120_000)
    const stage = await crowded(t, crowd, { expiresAt: Date.now() })
    let count = 0
    await servedDuring(stage, async () => (count = await stage.middleware.deleteExpired()))

    t.is(count, many)
    t.true(stage.turns.count >= many / 500, `${stage.turns.count} turns`)
  })
}
