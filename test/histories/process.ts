// One process of the app, over a real store; backends.ts starts it. Its first argument says which store, and how far its
// clock is off.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SessionStore } from '../../src/index.ts'
import { historyApp } from './app.ts'

/** How the processes reach their store. */
export type Shared =
  | { readonly kind: 'memory' }
  | { readonly kind: 'sqlite'; readonly path: string; readonly driver: string }
  | { readonly kind: 'redis'; readonly port: number; readonly client: 'redis' | 'ioredis' }
  | { readonly kind: 'cluster'; readonly ports: readonly number[] }
  | { readonly kind: 'sentinel'; readonly ports: readonly number[]; readonly name: string }
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'mysql'; readonly uri: string }

export interface Orders {
  readonly shared: Shared
  /** Milliseconds. */
  readonly clockOff: number
  readonly storeTimeout: number
}

// A connection that breaks is the store's next answer: nothing to do here.
const ignore = (): void => undefined

async function open(shared: Shared): Promise<SessionStore> {
  switch (shared.kind) {
    case 'memory': {
      const { MemoryStore } = await import('../../src/index.ts')
      return new MemoryStore()
    }
    case 'sqlite': {
      const { openSqliteStore } = await import('../support/sqlite.ts')
      return openSqliteStore(shared.driver, shared.path)
    }
    case 'redis': {
      const { RedisStore } = await import('../../src/stores/redis.ts')
      if (shared.client === 'ioredis') {
        const { Redis } = await import('ioredis')
        return new RedisStore(new Redis(shared.port, '127.0.0.1', { retryStrategy: () => 50 }).on('error', ignore))
      }
      const { createClient } = await import('redis')
      const client = createClient({ url: `redis://127.0.0.1:${shared.port}`, socket: { reconnectStrategy: 50 } })
      client.on('error', ignore)
      return new RedisStore(await client.connect())
    }
    case 'cluster': {
      const [{ RedisStore }, { Cluster }] = await Promise.all([import('../../src/stores/redis.ts'), import('ioredis')])
      const nodes = shared.ports.map((port) => ({ host: '127.0.0.1', port }))
      return new RedisStore(new Cluster(nodes, { clusterRetryStrategy: () => 50 }).on('error', ignore))
    }
    case 'sentinel': {
      const [{ RedisStore }, { Redis }] = await Promise.all([import('../../src/stores/redis.ts'), import('ioredis')])
      const sentinels = shared.ports.map((port) => ({ host: '127.0.0.1', port }))
      const client = new Redis({
        sentinels,
        name: shared.name,
        sentinelRetryStrategy: () => 50,
        retryStrategy: () => 50,
      })
      return new RedisStore(client.on('error', ignore))
    }
    case 'postgres': {
      const [{ PostgresStore }, { default: pg }] = await Promise.all([
        import('../../src/stores/postgres.ts'),
        import('pg'),
      ])
      return new PostgresStore(new pg.Pool({ connectionString: shared.url, max: 8 }).on('error', ignore))
    }
    case 'mysql': {
      const [{ MysqlStore }, { default: mysql }] = await Promise.all([
        import('../../src/stores/mysql.ts'),
        import('mysql2/promise'),
      ])
      return new MysqlStore(mysql.createPool({ uri: shared.uri, connectionLimit: 8 }))
    }
  }
}

const [, , orders] = process.argv
if (orders === undefined) throw new Error('test/histories/backends.ts starts this program')
// What backends.ts wrote.
const { shared, clockOff, storeTimeout } = JSON.parse(orders) as Orders
const { app } = historyApp({ store: await open(shared), storeTimeout, now: () => Date.now() + clockOff })
const server = createServer(app.callback() as never)
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.once('disconnect', () => process.exit())
