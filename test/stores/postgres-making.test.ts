// The table of a PostgresStore that two processes make at once.
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { newPool, testWithServer, stop } = await openPostgres()
// The number of src/stores/postgres/statements.ts.
const MAKING_LOCK = 7_021_975_630

test.after.always(stop)

for (const isolation of ['read committed', 'repeatable read', 'serializable'])
  testWithServer(`two processes that start together make each index once, under ${isolation}`, async (t) => {
    const table = freshName()
    const options = `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`
    const [plain, one, other] = [newPool(), newPool({ options }), newPool({ options })]
    const holder = await plain.connect()
    await holder.query('BEGIN')
    await holder.query(`SELECT pg_advisory_xact_lock(${MAKING_LOCK})`)

    const reads = [one, other].map((pool) => new PostgresStore(pool, { table }).read('a', NOW))
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%pg_advisory_xact_lock%${table}%'`
    for (let rows = 0; rows < 2; rows = (await plain.query(waiting)).rowCount ?? 0) await sleep(10)
    await holder.query('COMMIT')
    await Promise.all(reads)

    const { rows } = await plain.query<{ indexname: string }>(
      'SELECT indexname FROM pg_indexes WHERE tablename = $1 ORDER BY 1',
      [table],
    )
    t.deepEqual(
      rows.map(({ indexname }) => indexname),
      [`${table}_owner`, `${table}_pkey`, `${table}_sweep`],
    )
    holder.release()
  })
