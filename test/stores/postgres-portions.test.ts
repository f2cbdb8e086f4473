// Portions of a PostgresStore's sessions: complete, one statement each, by an index, and without payloads where only keys
// are asked for; and no longer where most sessions have expired: while no process swept, there may be millions of them.
import test from 'ava'
import { PostgresStore, type PostgresClient } from '../../src/stores/postgres.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { checkPortions, keysListed, listed, scanned, timesScanned } from '../support/portions.ts'
import { keyed, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { newPool, testWithServer, stop } = await openPostgres()
test.after.always(stop)
const pool = newPool()

/** A store, and the statements that it sends. */
function spied() {
  const table = freshName()
  const sent: { text: string; values?: unknown[] }[] = []
  const spy: PostgresClient = {
    query: (query) => {
      sent.push(query)
      return pool.query(query)
    },
  }
  return { sent, store: new PostgresStore(spy, { table }), table }
}

interface Plan {
  readonly 'Actual Rows': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Plan[]
}

/** The rows that a plan has looked at. */
function looked(plan: Plan): number {
  const inner = (plan.Plans ?? []).map(looked)
  return Math.max(plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0), ...inner)
}

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
    const { sent, store, table } = spied()
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

testWithServer('a portion reads no more rows than it may have, however many have expired', async (t) => {
  const { sent, store, table } = spied()
  await store.create(keyed('z', { owner: 'ada' }), NOW)
  await pool.query(
    `INSERT INTO ${table} (key, version, owner, created_at, last_seen_at, expires_at, sweep_at, payload)
     SELECT md5(n::text), 1, 'ada', 0, 0, ${NOW}, ${NOW}, repeat('x', 300) FROM generate_series(1, 5000) AS n`,
  )
  await pool.query(`ANALYZE ${table}`)
  sent.length = 0

  await store.scan(NOW, 100, undefined)
  await store.list('ada', NOW, 100, undefined)
  await store.listKeys('ada', NOW, 100, undefined)

  for (const { text, values } of sent) {
    const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>({
      text: `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
      values: values ?? [],
    })
    t.is(looked(rows[0]?.['QUERY PLAN'][0].Plan ?? t.fail()), 100, text)
  }
  const keys = [
    ...(await scanned(store, NOW)).map(({ key }) => key),
    ...(await listed(store, 'ada', NOW)).map(({ key }) => key),
    ...(await keysListed(store, 'ada', NOW)),
  ]
  t.deepEqual(keys, ['z', 'z', 'z'])
})
