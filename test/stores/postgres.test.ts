import test from 'ava'
import pg from 'pg'
import { storeChecks } from '../../src/conformance.ts'
import { PostgresStore, postgresSchema, type PostgresClient } from '../../src/stores/postgres.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { keyed, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'
import { checkSweepPastTouched, checkSweepsAtOnce } from '../support/sweep.ts'

const { server, newPool, newClient, testWithServer, stop } = await openPostgres()

/** A client that counts what is sent through it. */
function counted(client: PostgresClient): PostgresClient & { texts: string[] } {
  const texts: string[] = []
  return {
    texts,
    query: (query) => {
      texts.push(query.text)
      return client.query(query)
    },
  }
}

const pool = newPool()
const client = server === undefined ? undefined : await newClient()

test.after.always(stop)

// The strictest isolation, and a zone whose clock is 14 hours away: neither is for the store to notice.
const strange = newPool({ options: '-c default_transaction_isolation=serializable -c TimeZone=Pacific/Kiritimati' })
const shared: [string, PostgresStore][] = [
  ['a Pool', new PostgresStore(pool, { table: freshName() })],
  ['a Client', new PostgresStore(client ?? pool, { table: freshName() })],
  ['serializable, another time zone', new PostgresStore(strange, { table: freshName(), schema: 'public' })],
]
for (const [name, store] of shared) {
  for (const { title, run } of storeChecks) {
    testWithServer(`${name}: ${title}`, async (t) => {
      await t.notThrowsAsync(run(store))
    })
  }
}

testWithServer('each verb is one statement, whatever it answers', async (t) => {
  const spy = counted(pool)
  const store = new PostgresStore(spy, { table: freshName() })
  await store.read('a', NOW)
  const verbs: [string, () => Promise<unknown>, unknown][] = [
    ['create', () => store.create(keyed('a', { owner: 'ada' }), NOW), true],
    ['create, taken', () => store.create(keyed('a'), NOW), false],
    ['replace', () => store.replace(keyed('a', { version: 2, owner: 'bob' }), 1, NOW), 'done'],
    ['replace, stale', () => store.replace(keyed('a', { version: 2 }), 1, NOW), 'stale'],
    ['replace, gone', () => store.replace(keyed('b', { version: 2 }), 1, NOW), 'gone'],
    ['touch', () => store.touch('a', 2, NOW + 1, NOW + 2000, NOW + 1), true],
    ['touch, stale', () => store.touch('a', 1, NOW + 1, NOW + 2000, NOW + 1), false],
    ['delete', () => store.delete('a'), true],
    ['delete, missing', () => store.delete('a'), false],
  ]
  for (const [name, verb, answer] of verbs) {
    spy.texts.length = 0
    t.is(await verb(), answer, name)
    t.is(spy.texts.length, 1, name)
  }
})

testWithServer('touches and plain replaces write no index', async (t) => {
  const table = freshName()
  const own = await newClient()
  const store = new PostgresStore(own, { table })
  // So few that all their states fit on one page, even while another test's transaction keeps the dead ones there.
  for (let index = 0; index < 3; index++) await store.create(keyed(`key${index}`, { owner: 'ada' }), NOW)

  for (let round = 1; round <= 5; round++) {
    const moved = { lastSeenAt: NOW + round, expiresAt: NOW + round * 7_200_000, owner: 'ada' }
    for (let index = 0; index < 3; index++) {
      await store.touch(`key${index}`, round, moved.lastSeenAt, moved.expiresAt, NOW + round)
      await store.replace(keyed(`key${index}`, { ...moved, version: round + 1 }), round, NOW + round)
    }
  }

  // A backend reports its own numbers when it is asked to, at the latest when it ends.
  await own.end()
  const stats = async (): Promise<Record<string, number>> => {
    const { rows } = await pool.query<Record<string, number>>(
      'SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = $1',
      [table],
    )
    return rows[0]?.['updates'] === 0 ? stats() : (rows[0] ?? {})
  }
  t.deepEqual(await stats(), { updates: 30, hot: 30 })
})

testWithServer('text that the server cannot hold comes back as it was, and finds its owner', async (t) => {
  const store = new PostgresStore(pool, { table: freshName() })
  for (const [index, text] of ['a\0b', '\0', '\ud800', 'x\udfffy', '\u0001', '\u0001"x"', '\u0001\0'].entries()) {
    const odd = keyed(`key${index}`, { payload: text, owner: text, meta: text })

    await store.create(odd, NOW)

    t.deepEqual(await store.read(odd.key, NOW), odd)
    t.deepEqual((await store.list(text, NOW, 500, undefined)).records, [odd])
  }
})

testWithServer('instants are the same whatever the time zone of a connection', async (t) => {
  const table = freshName()
  const east = new PostgresStore(newPool({ options: '-c TimeZone=Pacific/Kiritimati' }), { table })
  const west = new PostgresStore(newPool({ options: '-c TimeZone=Pacific/Niue' }), { table })

  await east.create(keyed('a'), NOW)

  t.deepEqual(await west.read('a', NOW + 999), keyed('a'))
  t.is(await west.read('a', NOW + 1000), undefined)
})

testWithServer('processes that start together make the table once', async (t) => {
  const table = freshName()
  const stores = Array.from({ length: 8 }, () => new PostgresStore(newPool({ max: 1 }), { table }))

  const answers = await Promise.all(stores.map((store, index) => store.create(keyed(`key${index}`), NOW)))

  t.deepEqual(answers, Array(8).fill(true))
  const { rows } = await pool.query('SELECT indexname FROM pg_indexes WHERE tablename = $1 ORDER BY 1', [table])
  t.deepEqual(rows, [{ indexname: `${table}_owner` }, { indexname: `${table}_pkey` }, { indexname: `${table}_sweep` }])
})

testWithServer('the first verbs of a process share one making of the table', async (t) => {
  // Over one connection they all fail before the table is made; over several, one might be told only afterwards.
  const spy = counted(newPool({ max: 1 }))
  const store = new PostgresStore(spy, { table: freshName() })

  await Promise.all(Array.from({ length: 10 }, (_, index) => store.create(keyed(`key${index}`), NOW)))

  t.is(spy.texts.filter((text) => text.includes('CREATE TABLE')).length, 1)
})

testWithServer('a table that could not be made is made by a later call', async (t) => {
  const schema = freshName()
  const store = new PostgresStore(pool, { schema })
  await t.throwsAsync(store.create(keyed('a'), NOW), { code: '3F000' })

  await pool.query(`CREATE SCHEMA ${schema}`)

  t.true(await store.create(keyed('a'), NOW))
})

testWithServer('with createTable false the table is for others to make', async (t) => {
  const table = freshName()
  const store = new PostgresStore(pool, { table, createTable: false })
  await t.throwsAsync(store.create(keyed('a'), NOW), { code: '42P01' })

  await pool.query(postgresSchema({ table, schema: 'public' }))

  t.true(await store.create(keyed('a'), NOW))
})

testWithServer('tables, and tables of one name in two schemas, know nothing of one another', async (t) => {
  const [table, schema] = [freshName(), freshName()]
  await pool.query(`CREATE SCHEMA ${schema}`)
  const one = new PostgresStore(pool, { table })
  const others = [new PostgresStore(pool, { table: `${table}_B` }), new PostgresStore(pool, { table, schema })]
  await one.create(keyed('a', { owner: 'ada' }), NOW)

  for (const other of others) {
    t.is(await other.read('a', NOW), undefined)
    t.deepEqual((await other.list('ada', NOW, 500, undefined)).records, [])
    t.is(await other.deleteExpired(NOW + 9000, 10), 0)
    t.true(await other.create(keyed('a'), NOW))
    t.true(await other.delete('a'))
  }
  t.deepEqual(await one.read('a', NOW), keyed('a', { owner: 'ada' }))
})

testWithServer('sweeps of several processes remove each record once', async (t) => {
  const table = freshName()
  const stores = [1, 2, 3].map(() => new PostgresStore(newPool({ max: 1 }), { table }))

  await checkSweepsAtOnce(t, stores)
})

testWithServer('a sweep does not wait for a record that another process holds', async (t) => {
  const table = freshName()
  const store = new PostgresStore(pool, { table })
  const holder = await newClient()
  for (const key of ['a', 'b', 'c']) await store.create(keyed(key), NOW)
  await holder.query('BEGIN')
  await holder.query(`SELECT FROM ${table} WHERE key = 'b' FOR UPDATE`)

  t.is(await store.deleteExpired(NOW + 1000, 10), 2)

  await holder.query('COMMIT')
  t.is(await store.deleteExpired(NOW + 1000, 10), 1)
})

testWithServer('a sweep gets past any number of records that were touched since they were made', async (t) => {
  const store = new PostgresStore(pool, { table: freshName() })

  await checkSweepPastTouched(t, store)
})

testWithServer('a replace that waits for a record which is then removed is gone', async (t) => {
  const table = freshName()
  const store = new PostgresStore(pool, { table })
  const holder = await newClient()
  await store.create(keyed('a'), NOW)
  await holder.query('BEGIN')
  await holder.query(`DELETE FROM ${table} WHERE key = 'a'`)

  const answer = store.replace(keyed('a', { version: 2 }), 1, NOW)
  await waitingForALock(table)
  await holder.query('COMMIT')

  t.is(await answer, 'gone')
})

testWithServer('a pooler that forgets prepared statements is served without them', async (t) => {
  const single = newPool({ max: 1 })
  const store = new PostgresStore(single, { table: freshName() })
  await store.create(keyed('a'), NOW)
  await store.read('a', NOW)

  const names = async (): Promise<number | null> => (await single.query('SELECT FROM pg_prepared_statements')).rowCount
  t.is(await names(), 2)

  await single.query('DEALLOCATE ALL')

  t.deepEqual(await store.read('a', NOW), keyed('a'))
  t.is(await store.replace(keyed('a', { version: 2 }), 1, NOW), 'done')
  t.is(await names(), 0)
})

testWithServer('numbers come back as numbers where the app has pg parse them otherwise', async (t) => {
  const table = freshName()
  const types = new pg.TypeOverrides()
  types.setTypeParser(pg.types.builtins.INT8, BigInt)
  const store = new PostgresStore(newPool({ types }), { table })

  await store.create(keyed('a'), NOW)

  t.deepEqual(await store.read('a', NOW), keyed('a'))
  t.is(await store.replace(keyed('a', { version: 3 }), 2, NOW), 'stale')
})

test('a Client is never given a statement while it runs another', async (t) => {
  let running = 0
  let most = 0
  const busy: PostgresClient & { escapeIdentifier: unknown; escapeLiteral: unknown } = {
    escapeIdentifier: () => undefined,
    escapeLiteral: () => undefined,
    query: async () => {
      most = Math.max(most, ++running)
      await new Promise(setImmediate)
      running--
      return { rows: [], rowCount: 0 }
    },
  }
  const store = new PostgresStore(busy)

  await Promise.all(['a', 'b', 'c'].map((key) => store.read(key, NOW)))

  t.is(most, 1)
})

test('what is no Pool and no Client is refused', (t) => {
  for (const wrong of [undefined, null, 5, {}, 'postgres://localhost']) {
    t.throws(() => new PostgresStore(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('postgresSchema refuses what it does not know', (t) => {
  t.throws(() => postgresSchema({ tabel: 'mine' } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const wrong of [null, 'mine', []]) {
    t.throws(() => postgresSchema(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('a table or schema name that is no plain identifier is refused, and not repeated', (t) => {
  for (const name of ['', 'a b', 'a"b', 'a.b', 'a;drop table x', '1a', 'x'.repeat(64), 'é']) {
    for (const options of [{ table: name }, { schema: name }]) {
      const error = t.throws(() => new PostgresStore(pool, options), { code: 'ERR_INVALID_ARG_VALUE' })
      t.true(name === '' || !error.message.includes(`${name} `))
      t.throws(() => postgresSchema(options), { code: 'ERR_INVALID_ARG_VALUE' })
    }
  }
  t.throws(() => new PostgresStore(pool, { table: 'x'.repeat(57) }), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const options of [{ table: 5 }, { schema: null }, { createTable: 'no' }]) {
    t.throws(() => new PostgresStore(pool, options as object), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

/** Resolves once a statement on that table stands in line. */
async function waitingForALock(table: string): Promise<void> {
  const sql = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position($1 in query) > 0"
  for (;;) if ((await pool.query(sql, [table])).rowCount) return
}
