// Where a session lies, as docs/production.md tells operators: found by its public id, readable, and who may read the files.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { Redis } from 'ioredis'
import type { SessionStore } from '../../src/index.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { openMysql } from '../support/mysql-clients.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { quick } from '../support/quick.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { newRecord, NOW } from '../support/records.ts'
import { freshName, temporaryFolder } from '../support/service.ts'
import { drivers } from '../support/sqlite.ts'

const [make] = redisMakes()
const [redis, postgres, mariadb] = await Promise.all([make && startRedis(make), openPostgres(), openMysql()])
test.after.always(() => Promise.all([redis?.running.stop(), postgres.stop(), mariadb.stop()]))
const testWithRedis = redis === undefined ? test.skip : test

/** Signs ada in with a cart; resolves to what logs show of that session. */
async function signedIn(store: SessionStore): Promise<string> {
  const { result = '' } = await quick({ store, storeTimeout: '20s' }).ask(undefined, async (session) => {
    session.data['cart'] = ['book']
    await session.signIn('ada')
    return session.publicId
  })
  return result
}

const DATA = '{"cart":["book"]}'

testWithRedis(
  'Redis: a session is eight lines and its payload under its public id, and its owner an index under a hash',
  async (t) => {
    const client = new Redis(redis?.port ?? 0, '127.0.0.1')
    t.teardown(() => client.disconnect())
    const publicId = await signedIn(new RedisStore(client))

    const lines = (await client.get(`session:${publicId}`))?.split('\n') ?? []
    t.is(lines.length, 9)
    t.regex(lines[0] ?? '', /^t\d+$/)
    t.true(Math.abs(parseInt(lines[2] ?? '', 36) - Date.now()) < 600_000)
    t.is(lines[5], '"ada"')
    t.is(lines[8], DATA)
    const [index = '', ...others] = await client.keys('session:owner:*')
    t.deepEqual(others, [])
    t.false(index.includes('ada'))
    t.deepEqual(await client.zrange(index, '0', '-1'), [publicId])
  },
)

postgres.testWithServer(
  'PostgreSQL: a session is the row of its public id, its owner a column, its instants epoch milliseconds',
  async (t) => {
    const pool = postgres.newPool()
    const table = freshName()
    const publicId = await signedIn(new PostgresStore(pool, { table }))

    const { rows } = await pool.query<{ key: string; created_at: string }>(
      `SELECT key, created_at FROM ${table} WHERE owner = 'ada' AND expires_at > extract(epoch FROM now()) * 1000`,
    )
    t.deepEqual(
      rows.map(({ key }) => key),
      [publicId],
    )
    t.true(Math.abs(Date.now() - Number(rows[0]?.created_at)) < 600_000)
  },
)

mariadb.testWithServer('MariaDB: a session is the row of its public id, its owner is bytes of UTF-8', async (t) => {
  const pool = mariadb.clients.pool()
  const table = freshName()
  const publicId = await signedIn(new MysqlStore(pool, { table }))

  const [rows] = await pool.query(`SELECT CONVERT(owner USING utf8mb4) AS owner FROM ${table} WHERE \`key\` = ?`, [
    publicId,
  ])
  t.deepEqual(JSON.stringify(rows), '[{"owner":"ada"}]')
})

for (const driver of drivers) {
  test(`${driver.name}: a session is the row of its public id, its owner and its data are columns`, async (t) => {
    const database = driver.open(':memory:')
    t.teardown(() => void database.close())
    const publicId = await signedIn(new SqliteStore(database))

    const rows = database.prepare('SELECT owner, payload FROM sessions WHERE key = ?').all(publicId)
    t.is(JSON.stringify(rows), JSON.stringify([{ owner: 'ada', payload: DATA }]))
  })

  if (process.platform !== 'win32')
    // The umask belongs to the process.
    test.serial(`${driver.name}: the three files have the modes that the umask of the process leaves`, async (t) => {
      for (const [umask, mode] of [
        [0o077, 0o600],
        [0o022, 0o644],
      ] as const) {
        const before = process.umask(umask)
        try {
          const path = join(temporaryFolder(), 'sessions.db')
          const database = driver.open(path)
          t.teardown(() => void database.close())
          await new SqliteStore(database).create(newRecord(), NOW)
          for (const file of [path, `${path}-wal`, `${path}-shm`]) t.is(statSync(file).mode & 0o777, mode, file)
        } finally {
          process.umask(before)
        }
      }
    })

  test(`${driver.name}: the space of ended sessions is used again`, async (t) => {
    const database = driver.open(join(temporaryFolder(), 'sessions.db'))
    t.teardown(() => void database.close())
    database.exec('PRAGMA synchronous = OFF')
    const store = new SqliteStore(database)
    const sizes: number[] = []
    for (let round = 0; round < 4; round++) {
      const now = NOW + round * 10_000
      for (let at = 0; at < 500; at++)
        await store.create(newRecord({ payload: 'x'.repeat(300), expiresAt: now + 1000 }), now)
      t.is(await store.deleteExpired(now + 120_000, 1000), 500)
      // Of the whole, whether it lies in the file or still in its log.
      const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number }
      sizes.push(pages)
    }

    t.true((sizes[3] ?? Infinity) < 1.25 * (sizes[0] ?? 0), sizes.join(', '))
  })
}
