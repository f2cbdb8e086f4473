// The stores that a release and the current source both have. Their contents can be exported as JSON and imported again.
import { Keyv } from 'keyv'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { SessionStore } from '../../src/index.ts'
import { postgres } from './postgres.ts'
import { redisMakes, startRedis } from './redis.ts'
import { drivers } from './sqlite.ts'
import type { Entries } from './releases.ts'

/** A place for sessions: empty, or with imported contents. */
export interface RawStore {
  /** Opens a version's store over this place. */
  open(entries: Entries): Promise<SessionStore>
  /** Exports all contents, as a value that JSON can hold. */
  take(): Promise<unknown>
  /** Imports contents, in the place of all that was there. */
  put(content: never): Promise<void>
  close(): Promise<unknown>
}

// The module of some version: its types are not known here.
const load = async (address: string): Promise<Record<string, never>> => (await import(address)) as Record<string, never>
const made = (Store: never, ...args: unknown[]): SessionStore =>
  new (Store as new (...given: unknown[]) => SessionStore)(...args)
const adapted = (adapter: never, store: unknown): SessionStore => (adapter as (given: unknown) => SessionStore)(store)

async function redis(): Promise<RawStore | undefined> {
  const [make] = redisMakes()
  if (make === undefined) return undefined
  const server = await startRedis(make)
  const client = new Redis(server.port, '127.0.0.1')
  interface Content {
    readonly strings: Readonly<Record<string, string>>
    readonly sorted: Readonly<Record<string, readonly string[]>>
  }
  return {
    open: async ({ redis: address }) => made((await load(address))['RedisStore'] as never, client),
    async take() {
      const [strings, sorted]: [Record<string, string>, Record<string, string[]>] = [{}, {}]
      for (const key of (await client.keys('*')).sort()) {
        if ((await client.type(key)) === 'zset') sorted[key] = await client.zrange(key, '0', '-1', 'WITHSCORES')
        else strings[key] = (await client.get(key)) ?? ''
      }
      return { strings, sorted } satisfies Content
    },
    async put({ strings, sorted }: Content) {
      await client.flushall()
      for (const [key, value] of Object.entries(strings)) await client.set(key, value)
      for (const [key, members] of Object.entries(sorted))
        for (let at = 0; at < members.length; at += 2) await client.zadd(key, `${members[at + 1]}`, `${members[at]}`)
    },
    async close() {
      client.disconnect()
      await server.running.stop()
    },
  }
}

interface Table {
  /** The schema as that version created it. */
  readonly schema: string
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

async function postgresTable(): Promise<RawStore | undefined> {
  const server = await postgres()
  if (server === undefined) return undefined
  const pool = new pg.Pool({ connectionString: server.url })
  let schema = ''
  return {
    async open({ postgres: address }) {
      const { PostgresStore, postgresSchema } = await load(address)
      schema = (postgresSchema as unknown as () => string)()
      return made(PostgresStore as never, pool)
    },
    async take() {
      const { rows } = await pool.query<{ row: Record<string, unknown> }>(
        'SELECT row_to_json(sessions) AS row FROM sessions ORDER BY key',
      )
      return { schema, rows: rows.map(({ row }) => row) } satisfies Table
    },
    async put({ schema: statements, rows }: Table) {
      await pool.query('DROP TABLE IF EXISTS sessions')
      await pool.query(statements)
      for (const row of rows)
        await pool.query('INSERT INTO sessions SELECT * FROM json_populate_record(NULL::sessions, $1)', [
          JSON.stringify(row),
        ])
    },
    async close() {
      await pool.end()
      await server.stop()
    },
  }
}

function sqlite(): RawStore {
  const database = (drivers.at(-1) ?? drivers[0])?.open(':memory:')
  if (database === undefined) throw new Error('there is always a SQLite')
  const all = (sql: string): Record<string, unknown>[] => database.prepare(sql).all() as Record<string, unknown>[]
  return {
    open: async ({ sqlite: address }) => made((await load(address))['SqliteStore'] as never, database),
    take: () =>
      Promise.resolve({
        schema: all('SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid')
          .map(({ sql }) => `${String(sql)};`)
          .join('\n'),
        rows: all('SELECT * FROM sessions ORDER BY key').map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([name, value]) => [
              name,
              // The drivers return bytes as different kinds of views and buffers.
              typeof value === 'object' && value !== null
                ? { hex: Buffer.from(value as Uint8Array).toString('hex') }
                : value,
            ]),
          ),
        ),
      } satisfies Table),
    put({ schema, rows }: Table) {
      database.exec('DROP TABLE IF EXISTS sessions')
      database.exec(schema)
      for (const row of rows) {
        const values = Object.values(row).map((value) =>
          typeof value === 'object' && value !== null ? Buffer.from((value as { hex: string }).hex, 'hex') : value,
        )
        const names = Object.keys(row)
        database
          .prepare(`INSERT INTO sessions (${names.join()}) VALUES (${names.map(() => '?').join()})`)
          .run(...(values as string[]))
      }
      return Promise.resolve()
    },
    close: () => Promise.resolve(database.close()),
  }
}

type Entry = readonly [key: string, value: unknown]

/** A store of another ecosystem, which keeps values as JSON. */
function foreign(adapter: string, over: (held: Map<string, string>) => unknown): RawStore {
  const held = new Map<string, string>()
  return {
    open: async ({ adapters }) => adapted((await load(adapters))[adapter] as never, over(held)),
    take: () => Promise.resolve([...held].sort().map(([key, text]) => [key, JSON.parse(text) as unknown])),
    put(entries: readonly Entry[]) {
      held.clear()
      for (const [key, value] of entries) held.set(key, JSON.stringify(value))
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
}

const parsed = (text: string | undefined): unknown => (text === undefined ? undefined : JSON.parse(text))

const koaStore = (held: Map<string, string>): unknown => ({
  get: (key: string) => Promise.resolve(parsed(held.get(key))),
  set: (key: string, value: unknown) => Promise.resolve(void held.set(key, JSON.stringify(value))),
  destroy: (key: string) => Promise.resolve(void held.delete(key)),
})

const expressStore = (held: Map<string, string>): unknown => ({
  get: (key: string, done: (error: unknown, value?: unknown) => void) => done(null, parsed(held.get(key)) ?? null),
  set(key: string, value: unknown, done: (error?: unknown) => void) {
    held.set(key, JSON.stringify(value))
    done()
  },
  destroy(key: string, done: (error?: unknown) => void) {
    held.delete(key)
    done()
  },
})

/** Without Keyv's own expiry, which uses the real clock: only that of the records counts. */
const keyv = (held: Map<string, string>): unknown =>
  new Keyv({
    store: {
      get: (key: string) => held.get(key),
      set: (key: string, text: string) => {
        const { value } = JSON.parse(text) as { value: unknown }
        held.set(key, JSON.stringify({ value }))
      },
      delete: (key: string) => held.delete(key),
      clear: () => held.clear(),
      opts: {},
    },
    throwOnErrors: true,
  } as never)

/** An empty store of each kind; `undefined`, which is reported, if its server is not on this machine. */
export const rawStores: Readonly<Record<string, () => Promise<RawStore | undefined>>> = {
  RedisStore: redis,
  PostgresStore: postgresTable,
  SqliteStore: () => Promise.resolve(sqlite()),
  fromKoaStore: () => Promise.resolve(foreign('fromKoaStore', koaStore)),
  fromExpressStore: () => Promise.resolve(foreign('fromExpressStore', expressStore)),
  fromKeyv: () => Promise.resolve(foreign('fromKeyv', keyv)),
}
