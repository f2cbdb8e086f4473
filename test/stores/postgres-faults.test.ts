// What happens to a PostgresStore when its server or its connections die. Each test has the server to itself.
import test from 'ava'
import pg from 'pg'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { checkRestartUnderLoad, lasting } from '../support/killed-server.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { server, newPool, stop } = await openPostgres({ cutsConnections: true })
test.after.always(stop)
const restart = server?.restart
const testWithServer = server === undefined ? test.skip : test.serial
// A server that the tests did not start is not theirs to kill.
const testWithOwnServer = restart === undefined ? test.skip : test.serial

const table = freshName()
const options = { connectionTimeoutMillis: 2000 }
const admin = newPool(options)
const store = new PostgresStore(newPool(options), { table })

/** Resolves once a statement on the table stands in line, with the process that runs it. */
async function waiting(): Promise<number> {
  const sql = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position($1 in query) > 0"
  for (;;) {
    const { rows } = await admin.query<{ pid: number }>(sql, [table])
    if (rows[0] !== undefined) return rows[0].pid
  }
}

testWithServer('a connection that is killed under a statement is a loud error, and the next call works', async (t) => {
  await store.create(lasting('a'), NOW)
  const holder = await admin.connect()
  await holder.query('BEGIN')
  await holder.query(`SELECT FROM ${table} WHERE key = 'a' FOR UPDATE`)

  const answer = t.throwsAsync(store.replace(lasting('a', { version: 2 }), 1, NOW))
  await admin.query('SELECT pg_terminate_backend($1)', [await waiting()])
  await answer
  await holder.query('COMMIT')
  holder.release()

  t.is((await store.read('a', NOW))?.version, 1)
  t.is(await store.replace(lasting('a', { version: 2 }), 1, NOW), 'done')
})

testWithServer('idle connections that were killed are noticed by nobody', async (t) => {
  await store.create(lasting('b'), NOW)

  await admin.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE position($1 in query) > 0 AND pid <> pg_backend_pid()',
    [table],
  )
  await new Promise((resolve) => setImmediate(resolve))

  // The pool learns of it in its own time; until then a call may fail, and then the next one does not.
  const read = await store.read('b', NOW).catch(() => store.read('b', NOW))
  t.is(read?.version, 1)
})

testWithServer(
  'a Client that has lost its connection fails every call, and never answers that a session is missing',
  async (t) => {
    const client = new pg.Client({ connectionString: server?.url })
    client.on('error', () => undefined) // the loss that is meant
    await client.connect()
    const alone = new PostgresStore(client, { table })
    await alone.create(lasting('c'), NOW)
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const ended = new Promise((resolve) => client.once('end', resolve))

    await admin.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    await ended

    await t.throwsAsync(alone.read('c', NOW))
    await t.throwsAsync(alone.replace(lasting('c', { version: 2 }), 1, NOW))
  },
)

for (const [signal, manner] of [
  ['SIGINT', 'stopped'],
  ['SIGQUIT', 'stopped at once'],
  ['SIGKILL', 'killed'],
] as const) {
  testWithOwnServer(
    `a server that is ${manner} under load loses no acknowledged change, and all works when it is back`,
    async (t) => {
      await checkRestartUnderLoad(
        t,
        store,
        signal,
        async () => restart?.(signal),
        (key) => store.read(key, NOW),
      )
    },
  )
}
