// Damage below a store: what lies in the database itself was cut off, changed or put there by hand. The session has
// ended then, its cookie is no error for ever, and the other sessions of its owner can still be listed and ended.
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import type { SessionStore } from '../../src/store.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { keyIn } from '../support/mounted.ts'
import { openMysql } from '../support/mysql-clients.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { cookieOf, quick } from '../support/quick.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers } from '../support/sqlite.ts'

const SEED = 404

const [postgres, mariadb] = await Promise.all([openPostgres(), openMysql()])
test.after.always(() => Promise.all([postgres.stop(), mariadb.stop()]))

/** Writes to a record of that key behind the store's back; resolves to what was written, for a failing test to tell. */
type Damage = (key: string) => Promise<string>

async function withstands(t: ExecutionContext, store: SessionStore, damages: readonly Damage[]): Promise<void> {
  for (const damage of damages) {
    const app = quick({ store })
    const owner = `owner ${Math.random()}`
    const [cookie, other] = [
      cookieOf(await app.ask(undefined, (session) => session.signIn(owner))),
      cookieOf(await app.ask(undefined, (session) => session.signIn(owner))),
    ]
    const written = await damage(keyIn(cookie))

    const looked = await app.ask(cookie, ({ data, origin }) => `${origin} ${Object.keys(data).length}`)
    const changed = await app.ask(cookie, ({ data }) => (data['a'] = 1))
    t.deepEqual([looked.status, changed.status], [200, 200], `${written}: ${String(app.errors[0])}`)
    // An instant of long ago can be read: that session ends with its next change, and the one after that begins anew.
    const again = cookieOf(changed) || cookie
    const anew = cookieOf(await app.ask(again, ({ data }) => (data['a'] = 1))) || again
    t.is((await app.ask(anew, ({ data }) => data['a'])).result, 1, written)
    t.true(
      (await app.middleware.list(owner)).some(({ publicId }) => publicId === keyIn(other)),
      written,
    )
    t.true((await app.middleware.destroyAll(owner)) >= 1, written)
    t.is((await app.ask(other, ({ origin }) => origin)).result, 'expired', written)
  }
}

for (const make of redisMakes()) {
  test(`${make.name}: a value that was cut off, changed or is another's ends one session and no more`, async (t) => {
    t.timeout(60_000)
    const { port, running } = await startRedis(make)
    const client = new Redis(port, '127.0.0.1')
    t.teardown(async () => {
      client.disconnect()
      await running.stop()
    })
    const put =
      (change: (value: string) => string): Damage =>
      async (key) => {
        const value = change((await client.get(`session:${key}`)) ?? '')
        await client.set(`session:${key}`, value, 'KEEPTTL')
        return JSON.stringify(value)
      }
    const lines = (at: number, line: string): Damage =>
      put((value) =>
        value
          .split('\n')
          .map((old, index) => (index === at ? line : old))
          .join('\n'),
      )
    const planned = [
      put(() => ''),
      put(() => 'text'),
      put(() => '\n'.repeat(20)),
      ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((at) =>
        ['', '"', '{', 'x', '=NaN', '=x', 'null', '"\\ud800"'].map((line) => lines(at, line)),
      ),
    ]
    const cuts = fc
      .sample(fc.double({ min: 0, max: 1, noNaN: true }), { numRuns: 30, seed: SEED })
      .map((part) => put((value) => value.slice(0, Math.floor(value.length * part))))

    await withstands(t, new RedisStore(client), [...planned, ...cuts])
  })
}

for (const driver of drivers) {
  test(`${driver.name}: a column of another type, or text that is not ours, ends one session and no more`, async (t) => {
    const database = driver.open(join(temporaryFolder(), 'sessions.db'))
    t.teardown(() => database.close())
    const set =
      (column: string, value: string): Damage =>
      (key) => {
        database.prepare(`UPDATE sessions SET ${column} = ${value} WHERE key = ?`).run(key)
        return Promise.resolve(`${column} = ${value}`)
      }
    const values = [
      '5',
      '-1',
      '1e300',
      '1000000000',
      "''",
      "'x'",
      "x'00ff'",
      'char(1)',
      "char(1) || '{'",
      "char(1) || '5'",
      '\'{"__proto__":1}\'',
    ]
    const columns = ['payload', 'meta', 'version', 'created_at', 'last_seen_at']

    await withstands(
      t,
      new SqliteStore(database),
      columns.flatMap((column) => values.map((value) => set(column, value))),
    )
  })
}

postgres.testWithServer(
  'PostgreSQL: columns that are empty, or text that is not ours, end one session and no more',
  async (t) => {
    const pool = postgres.newPool()
    const table = `raw_${process.pid}_${Date.now()}`
    const set =
      (assignments: string): Damage =>
      async (key) => {
        await pool.query(`UPDATE ${table} SET ${assignments} WHERE key = $1`, [key])
        return assignments
      }
    const texts = ["''", "'x'", 'chr(1)', "chr(1) || '{'", "'[1]'", '\'{"__proto__":1}\'']
    const damages = [
      ...['payload', 'meta'].flatMap((column) => texts.map((text) => set(`${column} = ${text}`))),
      set('payload = NULL'),
      set("payload = NULL, payload_bytes = '\\x0102'"),
      set("payload_bytes = '\\x01'"),
      set('version = -5'),
      set('created_at = -1'),
      set('last_seen_at = 0'),
    ]

    await withstands(t, new PostgresStore(pool, { table }), damages)
  },
)

mariadb.testWithServer(
  'MariaDB: columns that are empty, numbers that are too large, or bytes that are no text end one session and no more',
  async (t) => {
    t.timeout(60_000)
    const pool = mariadb.clients.pool()
    const table = `raw_${process.pid}_${Date.now()}`
    const set =
      (assignments: string): Damage =>
      async (key) => {
        await pool.query(`UPDATE ${table} SET ${assignments} WHERE \`key\` = ?`, [key])
        return assignments
      }
    const texts = ["''", "'x'", "X'01'", "X'017b'", "X'ff00'", "'[1]'", '\'{"__proto__":1}\'']
    const damages = [
      ...['payload', 'meta'].flatMap((column) => texts.map((text) => set(`${column} = ${text}`))),
      set('payload = NULL'),
      set("payload = NULL, payload_bytes = X'0102'"),
      set("payload_bytes = X'01'"),
      ...['version', 'created_at', 'last_seen_at', 'expires_at'].map((column) =>
        set(`${column} = 9223372036854775807`),
      ),
      set('version = 9007199254740993'),
      set('version = -5'),
      set('created_at = -1'),
      set('last_seen_at = 0'),
      set("owner = X'ff'"),
    ]

    await withstands(t, new MysqlStore(pool, { table }), damages)
  },
)
