// This library with its defaults: only keys, a lifetime and a store are set, and nothing that it promises is switched off.
import Keygrip from 'keygrip'
import Koa from 'koa'
import { MemoryStore, session } from '../../../dist/index.js'
import { answer } from '../harness/workloads.js'

export const floor = 'koa'
export const stores = ['memory', 'memory-keygrip', 'sqlite', 'redis', 'redis-pipelined', 'node-redis', 'postgres']

/** The stores; each is opened only where it is asked for, so that no client has to be installed for the others. */
const openers = {
  memory: () => ({ store: new MemoryStore() }),
  // A Keygrip may change its keys unseen, so no signature is remembered: each request pays for its HMAC.
  'memory-keygrip': () => ({ store: new MemoryStore(), keyring: (keys) => new Keygrip(keys, 'sha256') }),

  async sqlite({ file = ':memory:' }) {
    const { SqliteStore } = await import('../../../dist/stores/sqlite.js')
    const database = await openSqlite(file)
    return { store: new SqliteStore(database), end: () => database.close() }
  },

  redis: ({ redisUrl }) => openIoredis(redisUrl, false),
  'redis-pipelined': ({ redisUrl }) => openIoredis(redisUrl, true),

  async 'node-redis'({ redisUrl }) {
    const [{ RedisStore }, { createClient }] = await Promise.all([
      import('../../../dist/stores/redis.js'),
      import('redis'),
    ])
    const client = await createClient({ url: redisUrl }).connect()
    return { store: new RedisStore(client), end: () => client.destroy() }
  },

  async postgres({ postgresUrl }) {
    const [{ PostgresStore }, { default: pg }] = await Promise.all([
      import('../../../dist/stores/postgres.js'),
      import('pg'),
    ])
    const pool = new pg.Pool({ connectionString: postgresUrl })
    pool.on('error', () => {}) // an idle connection that ends with the server
    return { store: new PostgresStore(pool), end: () => pool.end() }
  },
}

async function openIoredis(redisUrl, enableAutoPipelining) {
  const [{ RedisStore }, { Redis }] = await Promise.all([import('../../../dist/stores/redis.js'), import('ioredis')])
  const client = new Redis(redisUrl, { enableAutoPipelining })
  return { store: new RedisStore(client), end: () => client.disconnect() }
}

/** node:sqlite where this Node has it, else libsql. */
export async function openSqlite(file) {
  try {
    return new (await import('node:sqlite')).DatabaseSync(file)
  } catch {
    return new (await import('libsql')).default(file)
  }
}

/** `options` go to `session()` as they are: a clock, a rolling cookie. */
export async function build({ store, keys, ttl, redisUrl, postgresUrl, file, options }) {
  const opened = await openers[store]({ redisUrl, postgresUrl, file })
  const sessions = session({ keys: opened.keyring?.(keys) ?? keys, maxAge: ttl, store: opened.store, ...options })
  const app = new Koa()
  app.use(sessions)
  app.use((ctx) => {
    ctx.body = answer(ctx.path, () => ctx.state.session.data)
  })
  return {
    listener: app.callback(),
    sessions,
    store: opened.store,
    async close() {
      await sessions.close()
      await opened.end?.()
    },
  }
}
