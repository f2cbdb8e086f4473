// What sessions take in a SQL database: table, indexes, and the room between rows.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { SessionStore } from '../../src/store.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { newRecord, NOW } from '../support/records.ts'
import { freshName, temporaryFolder } from '../support/service.ts'
import { drivers } from '../support/sqlite.ts'

const SESSIONS = 2000

/** Stores sessions of 300 bytes, a quarter of them with an owner, and changes each once. */
async function fill(store: SessionStore): Promise<void> {
  for (let at = 0; at < SESSIONS; at++) {
    const record = newRecord({ payload: 'x'.repeat(300), owner: at % 4 === 0 ? `owner ${at}` : undefined })
    await store.create(record, NOW)
    await store.replace({ ...record, version: 2 }, 1, NOW)
  }
}

const { newPool, testWithServer, stop } = await openPostgres()
test.after.always(stop)
const pool = newPool()

for (const driver of drivers) {
  test(`${driver.name}: a session of 300 bytes takes at most 700 in the file`, async (t) => {
    const path = join(temporaryFolder(), 'sessions.db')
    const database = driver.open(path)
    database.exec('PRAGMA synchronous = OFF')
    await fill(new SqliteStore(database))
    database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()

    const bytes = statSync(path).size / SESSIONS

    t.log(`${Math.round(bytes)} bytes for 300`)
    t.true(bytes <= 700)
  })
}

testWithServer('PostgreSQL: a session of 300 bytes takes at most 1300 in the table and its indexes', async (t) => {
  const table = freshName()
  await fill(new PostgresStore(pool, { table }))

  const { rows } = await pool.query<{ size: string }>('SELECT pg_total_relation_size($1) AS size', [table])
  const bytes = Number(rows[0]?.size) / SESSIONS

  t.log(`${Math.round(bytes)} bytes for 300`)
  t.true(bytes <= 1300)
})
