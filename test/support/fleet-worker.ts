// One process of a fleet (test/support/fleet.ts): an app over a store that all processes share. Its first argument is its `Orders`.
import { subscribe } from 'node:diagnostics_channel'
import Koa, { type Context } from 'koa'
import { session, type SessionManager, type SessionMiddleware, type SessionStore } from '../../src/index.ts'
import { KEYS } from './app.ts'

/** How every process of a fleet reaches the store. */
export type Shared =
  | { readonly kind: 'sqlite'; readonly driver: string; readonly path: string }
  | { readonly kind: 'redis'; readonly port: number }
  | { readonly kind: 'redis cluster'; readonly ports: readonly number[] }
  | { readonly kind: 'postgres'; readonly url: string; readonly table: string }
  | { readonly kind: 'mysql'; readonly url: string; readonly table: string }

/** The settings of a process. */
export interface Orders {
  readonly port: number
  readonly shared: Shared
  readonly maxPerOwner: number
}

/** The end of a session that this process announced. */
export type End = readonly [publicId: string, owner: string, reason: string]

type Contents = Record<string, unknown>

const ends: End[] = []
subscribe('koa-fastsession:destroy', (message) => {
  const { publicId, owner = '', reason } = message as { publicId: string; owner?: string; reason: string }
  ends.push([publicId, owner, reason])
})

async function open(shared: Shared): Promise<SessionStore> {
  switch (shared.kind) {
    case 'sqlite': {
      const { openSqliteStore } = await import('./sqlite.ts')
      return openSqliteStore(shared.driver, shared.path)
    }
    case 'redis': {
      const [{ RedisStore }, { createClient }] = await Promise.all([
        import('../../src/stores/redis.ts'),
        import('redis'),
      ])
      return new RedisStore(
        await createClient({ url: `redis://127.0.0.1:${shared.port}` })
          .on('error', () => undefined)
          .connect(),
      )
    }
    case 'redis cluster': {
      const [{ RedisStore }, { Cluster }] = await Promise.all([import('../../src/stores/redis.ts'), import('ioredis')])
      return new RedisStore(new Cluster(shared.ports.map((port) => ({ host: '127.0.0.1', port }))))
    }
    case 'postgres': {
      const [{ PostgresStore }, { default: pg }] = await Promise.all([
        import('../../src/stores/postgres.ts'),
        import('pg'),
      ])
      return new PostgresStore(new pg.Pool({ connectionString: shared.url, max: 5 }), { table: shared.table })
    }
    case 'mysql': {
      const [{ MysqlStore }, { default: mysql }] = await Promise.all([
        import('../../src/stores/mysql.ts'),
        import('mysql2/promise'),
      ])
      return new MysqlStore(mysql.createPool({ uri: shared.url, connectionLimit: 5 }), { table: shared.table })
    }
  }
}

const released = new Promise<void>((resolve) => {
  process.once('message', () => resolve())
})

/** What answers `/verb/name`. */
type Sessions = SessionMiddleware<Contents>
const verbs: Readonly<Record<string, (session: SessionManager<Contents>, name: string, all: Sessions) => unknown>> = {
  put: ({ data }, name) => (data[name] = name),
  increment: (session, name) => session.update((data) => (data[name] = Number(data[name] ?? 0) + 1)),
  /** A change whose handler waits until the fleet releases it. */
  hold: async ({ data }, name) => {
    data[name] = name
    process.send?.('held')
    await released
  },
  login: async (session, name) => {
    await session.signIn(name)
    return session.publicId
  },
  logout: (session) => session.destroy(),
  look: ({ origin, data }) => ({ origin, data }),
  live: async (_session, name, all) => (await all.list(name)).map(({ publicId }) => publicId),
  ends: (_session, name) => ends.filter(([, owner]) => owner === name),
}

async function serve({ port, shared, maxPerOwner }: Orders): Promise<void> {
  const app = new Koa()
  app.keys = [...KEYS]
  app.silent = true
  app.use(async (ctx, next) => {
    // One connection per request: the cluster distributes connections to its processes in turn.
    ctx.res.setHeader('Connection', 'close')
    await next()
  })
  // test/processes/faults.test.ts tests the deadline. Here a slow machine must not cause an outage.
  const sessions = session<Contents>({ store: await open(shared), storeTimeout: '20s', maxPerOwner, logger: {} })
  app.use(sessions)
  app.use(async (ctx: Context) => {
    const [, verb = '', name = ''] = ctx.path.split('/')
    const body = await verbs[verb]?.(ctx.state.session as SessionManager<Contents>, name, sessions)
    ctx.body = { process: process.pid, body }
  })
  app.listen(port, '127.0.0.1')
}

const [, , orders] = process.argv
if (orders === undefined) throw new Error('test/support/fleet.ts starts this program')
// Written by the fleet.
await serve(JSON.parse(orders) as Orders)
