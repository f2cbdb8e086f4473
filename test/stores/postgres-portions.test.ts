// Portions of a PostgresStore's sessions: complete, one statement each, by an index, and without payloads where only keys
// are asked for.
import test from 'ava'
import { PostgresStore, type PostgresClient } from '../../src/stores/postgres.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { checkPortions, timesScanned } from '../support/portions.ts'
import { NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { newPool, testWithServer, stop } = await openPostgres()
test.after.always(stop)
const pool = newPool()

testWithServer('portions of every size give each live session once, and no other', async (t) => {
  const store = new PostgresStore(pool, { table: freshName() })

  await checkPortions(t, store, [1, 7, 120, 121, 1000])
})

testWithServer('a session that lives through a scan comes once, whatever else comes and goes', async (t) => {
  const store = new PostgresStore(pool, { table: freshName() })

  t.deepEqual(await timesScanned(store, 100, 10), [1])
})

testWithServer(
  'a portion is one statement, found by an index and not sorted; that of keys reads no payload',
  async (t) => {
    const table = freshName()
    const sent: { text: string; values?: unknown[] }[] = []
    const spy: PostgresClient = {
      query: (query) => {
        sent.push(query)
        return pool.query(query)
      },
    }
    const store = new PostgresStore(spy, { table })
    await store.read('a', NOW)
    await pool.query(
      `INSERT INTO ${table} (key, version, owner, created_at, last_seen_at, expires_at, sweep_at, payload)
     SELECT md5(n::text), 1, 'owner ' || n % 20, 0, 0, ${NOW + 1000}, ${NOW + 1000}, repeat('x', 300)
     FROM generate_series(1, 20000) AS n`,
    )
    await pool.query(`ANALYZE ${table}`)
    sent.length = 0

    t.is((await store.list('owner 1', NOW, 100, '5')).records.length, 100)
    t.is((await store.listKeys('owner 1', NOW, 100, '5')).keys.length, 100)
    t.is((await store.scan(NOW, 100, '5')).records.length, 100)

    t.is(sent.length, 3)
    for (const { text, values } of sent) {
      const { rows } = await pool.query({ text: `EXPLAIN ${text}`, values: values ?? [] })
      const plan = JSON.stringify(rows)
      t.regex(plan, /Index Scan/)
      t.notRegex(plan, /Sort|Seq Scan/)
    }
    t.false(sent[1]?.text.includes('payload'))
  },
)
