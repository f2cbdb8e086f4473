// Stores whose stored bytes can be read in full: what a thief of the database, or of a backup, has.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { SessionStore } from '../../src/store.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { postgres } from './postgres.ts'
import { redisMakes, startRedis } from './redis.ts'
import { freshName, temporaryFolder } from './service.ts'
import { SpiedStore } from './spied-store.ts'
import { drivers } from './sqlite.ts'

export interface Opened {
  readonly store: SessionStore
  /** All data at rest behind the store. */
  dump(): Promise<Buffer>
  close(): Promise<unknown>
}

export interface Dumpable {
  readonly name: string
  /** An empty store with its own server or file. */
  open(): Promise<Opened>
}

function memory(): Opened {
  const store = new SpiedStore()
  const parts = (): Buffer[] =>
    store.given.flatMap((record) => [
      Buffer.from(inspect({ ...record, payload: '' })),
      Buffer.from(record.payload as Uint8Array),
    ])
  return { store, dump: () => Promise.resolve(Buffer.concat(parts())), close: () => Promise.resolve() }
}

const sqlite: readonly Dumpable[] = drivers.map((driver) => ({
  name: `SqliteStore over ${driver.name}`,
  open() {
    const path = join(temporaryFolder(), 'sessions.db')
    const database = driver.open(path)
    return Promise.resolve({
      store: new SqliteStore(database),
      // The database, its write-ahead log, and the index of the log.
      dump: () =>
        Promise.resolve(
          Buffer.concat(readdirSync(dirname(path)).map((name) => readFileSync(join(dirname(path), name)))),
        ),
      close: () => Promise.resolve(database.close()),
    })
  },
}))

const redis: readonly Dumpable[] = redisMakes().map((make) => ({
  name: make.name,
  async open() {
    // Uncompressed, so that texts can be found in a DUMP.
    const { port, running } = await startRedis(make, ['--rdbcompression', 'no'])
    const client = new Redis(port, '127.0.0.1')
    return {
      store: new RedisStore(client),
      async dump() {
        const parts: Buffer[] = []
        for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
          const [next, keys] = await client.scan(cursor)
          for (const key of keys) parts.push(Buffer.from(`${key}\n`), await client.dumpBuffer(key))
          cursor = next
        }
        return Buffer.concat(parts)
      },
      async close() {
        client.disconnect()
        await running.stop()
      },
    }
  },
}))

const server = await postgres()

const postgresStores: readonly Dumpable[] =
  server === undefined
    ? []
    : [
        {
          name: 'PostgresStore',
          open() {
            const pool = new pg.Pool({ connectionString: server.url }).on('error', () => undefined)
            const table = freshName()
            return Promise.resolve({
              store: new PostgresStore(pool, { table }),
              async dump() {
                const { rows } = await pool.query<{ row: string; bytes: Buffer | null }>(
                  `SELECT held::text AS row, payload_bytes AS bytes FROM ${table} AS held`,
                )
                return Buffer.concat(rows.flatMap(({ row, bytes }) => [Buffer.from(row), bytes ?? Buffer.alloc(0)]))
              },
              close: () => pool.end(),
            })
          },
        },
      ]

/** Only those whose server is on this machine. */
export const dumpable: readonly Dumpable[] = [
  { name: 'MemoryStore', open: () => Promise.resolve(memory()) },
  ...sqlite,
  ...redis,
  ...postgresStores,
]

/** Ends the server that outlives its stores. */
export async function closeDumps(): Promise<void> {
  await server?.stop()
}
