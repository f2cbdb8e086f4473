// Portions of a PostgresStore among sessions that have expired: while no process swept, there may be millions of them.
import test from 'ava'
import { PostgresStore, type PostgresClient } from '../../src/stores/postgres.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { keysListed, listed, scanned } from '../support/portions.ts'
import { keyed, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { newPool, testWithServer, stop } = await openPostgres()
test.after.always(stop)

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

testWithServer('a portion reads no more rows than it may have, however many have expired', async (t) => {
  const pool = newPool()
  const table = freshName()
  const sent: { text: string; values?: unknown[] }[] = []
  const spy: PostgresClient = {
    query: (query) => {
      sent.push(query)
      return pool.query(query)
    },
  }
  const store = new PostgresStore(spy, { table })
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
