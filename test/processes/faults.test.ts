// An app over a real server whose network or process breaks while visitors count in their sessions. Whatever happens,
// each answer is either the visitor's own session or a 503, and what was acknowledged is there afterwards. A rejection
// that nobody handles, or a process that dies, fails this file.
import { join } from 'node:path'
import { mock } from 'node:test'
import test, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { createClient } from 'redis'
import type { SessionStore } from '../../src/index.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { startFleet } from '../support/fleet.ts'
import { startLoad, VISITORS, type Load } from '../support/load.ts'
import { mysqlServer } from '../support/mysql.ts'
import { postgres } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { freshName, temporaryFolder } from '../support/service.ts'
import { libsql, nodeSqlite } from '../support/sqlite.ts'

const DEADLINE = 300
const ignore = (): void => undefined

interface Opened {
  readonly store: SessionStore
  readonly close: () => unknown
}

interface Backend {
  readonly name: string
  readonly port: number
  /** A store whose client connects to this port. */
  readonly open: (port: number) => Promise<Opened>
  /** The same with a client that gives up a connection which does not answer; absent if there is none. */
  readonly openWatchful: ((port: number) => Promise<Opened>) | undefined
  /** Kills the server and starts it again over the same data; absent for a server that was there. */
  readonly restart?: (() => Promise<void>) | undefined
}

const closing: (() => Promise<unknown>)[] = []

async function redisBackends(): Promise<Backend[]> {
  const [make] = redisMakes()
  if (make === undefined) return []
  // Only so does Redis keep what it has acknowledged when it is killed.
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', temporaryFolder()]
  let server = await startRedis(make, durable)
  const { port } = server
  closing.push(() => server.running.stop())
  const restart = async (): Promise<void> => {
    await server.running.stop('SIGKILL')
    server = await startRedis(make, durable, port)
  }
  const ioredis = (to: number, options: { socketTimeout?: number } = {}): Promise<Opened> => {
    const client = new Redis(to, '127.0.0.1', { retryStrategy: () => 50, ...options }).on('error', ignore)
    return Promise.resolve({ store: new RedisStore(client), close: () => client.disconnect() })
  }
  const redis = async (to: number): Promise<Opened> => {
    const client = createClient({ url: `redis://127.0.0.1:${to}`, socket: { reconnectStrategy: 50 } })
    client.on('error', ignore)
    await client.connect()
    return { store: new RedisStore(client), close: () => client.destroy() }
  }
  return [
    {
      name: 'RedisStore over ioredis',
      port,
      open: ioredis,
      openWatchful: (to) => ioredis(to, { socketTimeout: 2 * DEADLINE }),
      restart,
    },
    { name: 'RedisStore over redis', port, open: redis, openWatchful: undefined, restart },
  ]
}

async function postgresBackends(): Promise<Backend[]> {
  const server = await postgres()
  if (server === undefined) return []
  closing.push(() => server.stop())
  const { restart } = server
  const open = (to: number, options: pg.PoolConfig = {}): Promise<Opened> => {
    const url = new URL(server.url)
    url.hostname = '127.0.0.1'
    url.port = String(to)
    const pool = new pg.Pool({ connectionString: url.href, max: VISITORS, ...options })
    pool.on('error', ignore) // an idle connection was lost, as these tests mean it to be
    const table = freshName()
    return Promise.resolve({ store: new PostgresStore(pool, { table }), close: () => pool.end() })
  }
  const port = Number(new URL(server.url).port || 5432)
  return [
    {
      name: 'PostgresStore',
      port,
      open,
      openWatchful: (to) => open(to, { statement_timeout: 25_000 }),
      restart: restart && (() => restart('SIGKILL')),
    },
  ]
}

async function mysqlBackends(): Promise<Backend[]> {
  const server = await mysqlServer()
  if (server === undefined) return []
  closing.push(() => server.stop())
  const { port, restart } = server
  const open = (to: number): Promise<Opened> => {
    const uri = new URL(server.uri)
    uri.port = String(to)
    uri.searchParams.set('connectionLimit', String(VISITORS))
    const pool = mysql.createPool(uri.href)
    const table = freshName()
    return Promise.resolve({ store: new MysqlStore(pool, { table }), close: () => pool.end() })
  }
  return [{ name: 'MysqlStore', port, open, openWatchful: open, restart: restart && (() => restart('SIGKILL')) }]
}

/** The network works again. What was under way on a connection that lost bytes must not be taken up: it breaks. */
function heal(proxy: Proxy): void {
  proxy.mode = 'pass'
  proxy.cut()
}

/** Until the test ends, who waits for half a minute waits for a second: so long the SQL stores wait for a silent connection. */
function hurry(t: ExecutionContext): void {
  const real = globalThis.setTimeout
  mock.method(globalThis, 'setTimeout', (work: () => void, delay?: number, ...rest: []) =>
    real(work, delay === 30_000 ? 1000 : delay, ...rest),
  )
  t.teardown(() => mock.restoreAll())
}

interface Fault {
  /** Breaks the network, waits until the visitors have felt it, and mends it. */
  readonly strike: (proxy: Proxy, load: Load) => Promise<void>
  readonly isFelt: boolean
}

const faults: Readonly<Record<string, Fault>> = {
  'a server that does not answer': {
    isFelt: true,
    async strike(proxy, load) {
      proxy.mode = 'black hole'
      await load.further('outages', 2)
      heal(proxy)
    },
  },
  'a server that refuses connections': {
    isFelt: true,
    async strike(proxy, load) {
      proxy.mode = 'refuse'
      proxy.cut()
      await load.further('outages', 5)
      heal(proxy)
    },
  },
  'answers that come after the deadline': {
    isFelt: true,
    async strike(proxy, load) {
      proxy.delay = 2 * DEADLINE
      proxy.mode = 'delay'
      await load.further('outages', 3)
      heal(proxy)
    },
  },
  'a slow network': {
    isFelt: false,
    async strike(proxy, load) {
      proxy.delay = 10
      proxy.mode = 'delay'
      await load.further('successes', 3)
      heal(proxy)
    },
  },
  'connections that are cut again and again': {
    isFelt: false,
    async strike(proxy, load) {
      for (let times = 0; times < 5; times++) {
        proxy.cut()
        await load.further('successes', 1)
      }
    },
  },
  'connections that are reset again and again': {
    isFelt: false,
    async strike(proxy, load) {
      for (let times = 0; times < 5; times++) {
        proxy.reset()
        await load.further('successes', 1)
      }
    },
  },
}

/** Visitors count, something happens, they count on; every answer was right, and nothing that was acknowledged is lost. */
async function endure(t: ExecutionContext, store: SessionStore, strike: (load: Load) => Promise<void>): Promise<Load> {
  const load = await startLoad(store, DEADLINE)
  t.teardown(() => load.close())
  await load.further('successes', 5)

  await strike(load)
  await load.further('successes', 5)
  const counts = await load.end()

  t.deepEqual(load.wrong, [])
  for (const [at, { sent, acknowledged, successes, outages }] of load.visitors.entries()) {
    const { origin, count } = counts[at] ?? { origin: 'nowhere', count: -1 }
    t.is(origin, 'resumed')
    // A change that passed its deadline may have been made or not.
    t.true(acknowledged <= count && count <= sent, `${count} is not between ${acknowledged} and ${sent}`)
    t.log(`${successes} counted, ${outages} outages, stored ${count}`)
  }
  return load
}

const backends = (await Promise.all([redisBackends(), postgresBackends(), mysqlBackends()])).flat()
// After the last wait: all tests and hooks are to be declared in one go.
test.after.always(() => Promise.all(closing.map((close) => close())))
if (backends.length === 0) test.skip('faults of a server', (t) => t.pass())

for (const { name, port, open, openWatchful, restart } of backends) {
  for (const [what, { strike, isFelt }] of Object.entries(faults)) {
    test.serial(
      `${name}, ${what}: each answer is the visitor's own session or 503, and the same cookie works on`,
      async (t) => {
        const proxy = await startProxy(port)
        t.teardown(() => proxy.close())
        const { store, close } = await open(proxy.port)
        t.teardown(async () => {
          await close()
        })

        const load = await endure(t, store, (to) => strike(proxy, to))

        if (isFelt) t.true(load.visitors.every(({ outages }) => outages > 0))
      },
    )
  }

  if (openWatchful !== undefined)
    test.serial(
      `${name}, connections that fall silent while new ones work: they are given up, and the same cookie works on`,
      async (t) => {
        hurry(t)
        const proxy = await startProxy(port)
        t.teardown(() => proxy.close())
        const { store, close } = await openWatchful(proxy.port)
        t.teardown(async () => {
          await close()
        })

        await endure(t, store, (load) => {
          proxy.silence()
          return load.further('successes', 3)
        })
      },
    )

  ;(restart === undefined ? test.skip : test.serial)(
    `${name}: a server that is killed under load and comes back has lost no acknowledged change`,
    async (t) => {
      const { store, close } = await open(port)
      t.teardown(async () => {
        await close()
      })

      await endure(t, store, async () => restart?.())
    },
  )
}

test.serial('SqliteStore: a process that is killed while it writes takes no acknowledged change with it', async (t) => {
  const { name: driver } = nodeSqlite ?? libsql
  const fleet = await startFleet({ kind: 'sqlite', driver, path: join(temporaryFolder(), 'sessions.db') })
  t.teardown(() => fleet.close())
  const cookies = await Promise.all([1, 2, 3, 4].map(() => fleet.begin('/increment/count')))
  let isOver = false
  const counting = cookies.map(async (cookie) => {
    const told = { cookie, sent: 1, acknowledged: 1, broken: 0, wrong: [] as string[] }
    while (!isOver) {
      const answer = await fleet.send('/increment/count', cookie, 2000)
      told.sent++
      if (answer === undefined) told.broken++
      else if (answer.status === 200 && answer.setCookie.length === 0) told.acknowledged = Number(answer.body)
      else told.wrong.push(`${answer.status} ${answer.body as string}`)
    }
    return told
  })

  for (let times = 0; times < 3; times++) await fleet.replaceOne()
  isOver = true

  for (const { cookie, sent, acknowledged, broken, wrong } of await Promise.all(counting)) {
    t.deepEqual(wrong, [])
    t.log(`${sent} sent, ${broken} without an answer, ${acknowledged} acknowledged`)
    for (const { body } of await fleet.ofEach('/look', cookie)) {
      // What fleet-worker.ts answers.
      const { origin, data } = body as { origin: string; data: { count: number } }
      t.is(origin, 'resumed')
      t.true(
        acknowledged <= data.count && data.count <= sent,
        `${data.count} is not between ${acknowledged} and ${sent}`,
      )
    }
  }
})
