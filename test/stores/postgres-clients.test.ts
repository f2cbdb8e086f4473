// The clients that a PostgresStore is given: what they convert, what they lack, and what is no client of its kind.
import { PGlite } from '@electric-sql/pglite'
import test from 'ava'
import pg from 'pg'
import postgresjs from 'postgres'
import { storeChecks } from '../../src/conformance.ts'
import { CorruptRecord, type SessionStore } from '../../src/store.ts'
import { PostgresStore, type PostgresClient } from '../../src/stores/postgres.ts'
import { pgbouncer } from '../support/postgres.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { newRecord, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { server, closing, newPool, testWithServer, stop } = await openPostgres()
const bouncer = server === undefined ? undefined : await pgbouncer(server)
const testWithBouncer = bouncer === undefined ? test.skip : test

test.after.always(async () => {
  await stop()
  await bouncer?.stop()
})

/** Every verb, by text and by bytes, with and without an owner. */
async function answersAsEver(store: SessionStore): Promise<string[]> {
  const wrong: string[] = []
  const same = (verb: string, got: unknown, right: unknown): void => {
    if (JSON.stringify(got) !== JSON.stringify(right)) wrong.push(verb)
  }
  const bytes = new Uint8Array(1000).map((_, index) => index)
  for (const payload of ['{"a":"\\u00e9"}', 'é漢😀\0', bytes, new Uint8Array()]) {
    const record = newRecord({ payload, owner: 'adaé漢', meta: '{"é漢":1}' })
    same('create', await store.create(record, NOW), true)
    same('create, taken', await store.create(record, NOW), false)
    same('read', await store.read(record.key, NOW), record)
    const next = { ...record, version: 2, lastSeenAt: NOW + 1 }
    same('replace, stale', await store.replace(next, 2, NOW), 'stale')
    same('replace', await store.replace(next, 1, NOW), 'done')
    same('touch', await store.touch(record.key, 2, NOW + 2, NOW + 1000, NOW), true)
    same('touch, stale', await store.touch(record.key, 1, NOW + 2, NOW + 1000, NOW), false)
    const seen = { ...next, lastSeenAt: NOW + 2 }
    same('list', (await store.list?.('adaé漢', NOW, 10, undefined))?.records, [seen])
    same('listKeys', await store.listKeys?.('adaé漢', NOW, 10, undefined), { keys: [record.key] })
    same('scan', (await store.scan?.(NOW, 10, undefined))?.records, [seen])
    same('delete', await store.delete(record.key), true)
    same('delete, missing', await store.delete(record.key), false)
    same('read, missing', await store.read(record.key, NOW), undefined)
    same('replace, gone', await store.replace(next, 1, NOW), 'gone')
    await store.create(record, NOW)
    same('deleteExpired', await store.deleteExpired?.(NOW + 9000, 10), 1)
  }
  return wrong
}

testWithServer('parsers of types that an app has set change nothing', async (t) => {
  const types = new pg.TypeOverrides()
  for (const type of ['BYTEA', 'BOOL', 'INT8', 'INT4', 'VARCHAR'] as const) {
    types.setTypeParser(pg.types.builtins[type], () => ({ another: 'value' }))
  }

  t.deepEqual(await answersAsEver(new PostgresStore(newPool({ types }), { table: freshName() })), [])
})

testWithServer('a database in LATIN1 keeps what it has no letter for, and finds its owner', async (t) => {
  const name = freshName()
  const admin = newPool()
  await admin.query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
  const url = new URL(server?.url ?? '')
  url.pathname = `/${name}`
  const store = new PostgresStore(newPool({ connectionString: url.href }))

  t.deepEqual(await answersAsEver(store), [])

  const plain = newRecord({ owner: 'é' })
  await new PostgresStore(newPool({ connectionString: url.href })).create(plain, NOW)
  const [first, second] = [store, new PostgresStore(newPool({ connectionString: url.href }))]
  await first.create(newRecord({ owner: 'é', payload: '漢' }), NOW)
  await Promise.all([
    second.create(newRecord({ owner: 'é', payload: '漢' }), NOW),
    second.create(newRecord({ owner: 'é', payload: '漢' }), NOW),
  ])
  t.is((await second.list('é', NOW, 10, undefined)).records.length, 4)
})

// Alone: it starts without letting anything else happen, and on a busy machine the server gives up connections meanwhile.
test.serial('PGlite can be passed as it is', async (t) => {
  t.timeout(300_000)
  const database = new PGlite()
  closing.push(() => database.close())

  t.deepEqual(await answersAsEver(new PostgresStore(database)), [])
  for (const { title, run } of storeChecks) await t.notThrowsAsync(run(new PostgresStore(database)), title)
})

testWithServer('postgres.js works behind the wrapper of the documentation', async (t) => {
  const sql = postgresjs(server?.url ?? '', { onnotice: () => undefined })
  closing.push(() => sql.end())
  const client: PostgresClient = {
    query: async ({ text, values }) => ({ rows: await sql.unsafe(text, values) }),
  }

  t.deepEqual(await answersAsEver(new PostgresStore(client, { table: freshName() })), [])
})

testWithBouncer('PgBouncer in transaction mode serves every verb, of several processes at once', async (t) => {
  const table = freshName()
  const stores = [1, 2, 3, 4].map(() => new PostgresStore(newPool({ connectionString: bouncer?.url }), { table }))

  const [first] = stores
  if (first === undefined) return
  t.deepEqual(await answersAsEver(first), [])
  const counts = await Promise.all(
    stores.map(async (store) => {
      for (let nth = 0; nth < 50; nth++) await store.create(newRecord({ owner: 'ada' }), NOW)
      return (await store.listKeys('ada', NOW, 1000, undefined)).keys.length
    }),
  )
  t.is(Math.max(...counts), 200)
  t.is(await first.deleteExpired(NOW + 9000, 1000), 200)
})

testWithBouncer('a pool has a query_timeout through PgBouncer, which refuses its statement_timeout', async (t) => {
  const through = (options: pg.PoolConfig) =>
    new PostgresStore(newPool({ connectionString: bouncer?.url, ...options }), { table: freshName() })

  await t.throwsAsync(through({ statement_timeout: 25_000 }).read('a', NOW), {
    message: 'unsupported startup parameter: statement_timeout',
  })
  t.deepEqual(await answersAsEver(through({ query_timeout: 30_000 })), [])
})

testWithServer('a Client that was never connected is an error that says to connect it', async (t) => {
  const client = new pg.Client({ connectionString: server?.url })
  closing.push(() => client.end())
  const store = new PostgresStore(client, { table: freshName() })

  await t.throwsAsync(store.read('a', NOW), {
    code: 'ERR_SESSION_STORE',
    message: /not connected.*client\.connect\(\)/,
  })
  const connecting = client.connect()
  t.is(await store.read('a', NOW), undefined)
  await connecting
})

test('a client of another kind is refused at its first answer, and never answers that a session is missing', async (t) => {
  const answers: [string, () => unknown, RegExp][] = [
    ['a query object, for events and callbacks', () => ({ on: () => undefined }), /promise/],
    ['nothing, since a callback was meant', () => undefined, /promise/],
    ['rows and fields, as mysql2 gives them', () => Promise.resolve([[], []]), /without rows/],
    ['nothing at all', () => Promise.resolve(undefined), /without rows/],
    ['rows as arrays', () => Promise.resolve({ rows: [['a', 1, null]] }), /columns/],
    ['another row', () => Promise.resolve({ rows: [{ sid: 'a' }] }), /columns/],
    ['values of other types', () => Promise.resolve({ rows: [{ key: 'a', version: 1 }] }), /columns/],
  ]
  for (const [what, query, message] of answers) {
    const store = new PostgresStore({ query } as unknown as PostgresClient)
    await t.throwsAsync(store.read('a', NOW), { code: 'ERR_SESSION_STORE', message }, what)
    await t.throwsAsync(store.replace(newRecord(), 1, NOW), { code: 'ERR_SESSION_STORE' }, what)
  }
})

test('a replace of a record that never stays what it was ends with an error', async (t) => {
  let asked = 0
  const query = () => {
    asked++
    return Promise.resolve({ rows: [{ done: 'false', version: '1' }] })
  }

  await t.throwsAsync(new PostgresStore({ query }).replace(newRecord(), 1, NOW), { code: 'ERR_SESSION_STORE' })
  t.true(asked < 100)
})

test('a silent connection is given up after half a minute, where the server gives up a statement first', async (t) => {
  const url = 'postgres://ada@127.0.0.1:1/shop'
  const pool = (options: pg.PoolConfig) => new pg.Pool({ connectionString: url, ...options })
  const clients: readonly [options: object, limit: number | undefined][] = [
    [{}, undefined],
    [{ options: null }, undefined],
    [pool({}), undefined],
    [pool({ statement_timeout: 25_000 }), 30_000],
    [pool({ connectionString: `${url}?application_name=shop&statement_timeout=25000` }), 30_000],
    [pool({ statement_timeout: 0 }), undefined],
    [pool({ statement_timeout: 60_000 }), undefined],
    [pool({ statement_timeout: 25_000, query_timeout: 26_000 }), undefined],
    [
      Object.assign(new pg.Client({ connectionString: url, statement_timeout: 25_000 }), { _connected: true }),
      undefined,
    ],
  ]

  for (const [client, limit] of clients) {
    const asked: unknown[] = []
    const query = ({ query_timeout: told }: { query_timeout?: number }) => {
      asked.push(told)
      return Promise.resolve({ rows: [] })
    }
    await new PostgresStore(Object.assign(client, { query })).read('a', NOW)
    t.deepEqual(asked, [limit])
  }
})

test('a sweep among records that were only touched ends', async (t) => {
  let asked = 0
  const query = () => {
    asked++
    return Promise.resolve({ rows: [{ removed: '0', postponed: '500' }] })
  }

  t.is(await new PostgresStore({ query }).deleteExpired(NOW, 1000), 0)
  t.true(asked <= 200)
})

testWithServer('a table that is another one is an error that says what to do, and is left as it was', async (t) => {
  const pool = newPool()
  for (const columns of [
    'sid text, sess json',
    'id int, key int, owner text',
    'key text, version bigint, expires_at timestamp',
  ]) {
    const table = freshName()
    await pool.query(`CREATE TABLE ${table} (${columns})`)
    const store = new PostgresStore(pool, { table })
    for (const verb of [() => store.read('a', NOW), () => store.create(newRecord(), NOW), () => store.delete('a')]) {
      await verb().catch((error: unknown) => t.regex((error as Error).message, /another table.*options\.table/))
    }
    await t.throwsAsync(store.create(newRecord(), NOW), { code: 'ERR_SESSION_STORE' })
  }
})

testWithServer('an index whose name is taken is made under another', async (t) => {
  const [pool, table] = [newPool(), freshName()]
  await pool.query(
    `CREATE TABLE ${table}_owner (x int); CREATE TABLE ${table}_o (x int); CREATE INDEX ${table}_sweep ON ${table}_o (x)`,
  )
  const store = new PostgresStore(pool, { table })

  await store.create(newRecord(), NOW)

  const { rows } = await pool.query<{ indexdef: string }>('SELECT indexdef FROM pg_indexes WHERE tablename = $1', [
    table,
  ])
  t.is(rows.length, 3)
})

testWithServer('a table that was dropped comes back', async (t) => {
  const [pool, table] = [newPool(), freshName()]
  const store = new PostgresStore(pool, { table })
  await store.create(newRecord(), NOW)

  await pool.query(`DROP TABLE ${table}`)

  t.true(await store.create(newRecord(), NOW))
  await pool.query(`DROP TABLE ${table}`)
  t.deepEqual(await store.scan(NOW, 10, undefined), { records: [], cursor: undefined })
})

testWithServer('numbers beyond those of JavaScript are one ended session, and hold nothing up', async (t) => {
  const [pool, table] = [newPool(), freshName()]
  const store = new PostgresStore(pool, { table })
  for (const column of ['version', 'created_at', 'last_seen_at', 'expires_at']) {
    for (const value of ['9223372036854775807', '9007199254740993', '-9223372036854775808']) {
      const [damaged, whole] = [newRecord({ owner: 'ada' }), newRecord({ owner: 'ada' })]
      await store.create(damaged, NOW)
      await store.create(whole, NOW)
      await pool.query(`UPDATE ${table} SET ${column} = ${value} WHERE key = $1`, [damaged.key])

      const read = await store.read(damaged.key, NOW).catch((error: unknown) => error)
      t.true(read instanceof CorruptRecord || read === undefined, `${column} ${value}`)
      t.deepEqual((await store.list('ada', NOW, 10, undefined)).records, [{ ...whole, meta: undefined }])
      t.deepEqual((await store.scan(NOW, 10, undefined)).records, [{ ...whole, meta: undefined }])
      await store.create(damaged, NOW)
      await store.replace({ ...damaged, version: 2 }, 1, NOW)
      await store.touch(damaged.key, 1, NOW, NOW + 2000, NOW)
      await store.deleteExpired(NOW + 3000, 10)
      await store.delete(damaged.key)
      t.is(await store.read(damaged.key, NOW), undefined)
    }
  }
})

test('options that the store does not know, and of other types, are refused', (t) => {
  const pool = newPool()
  const wrong: [unknown, unknown][] = [
    [pool, { tabel: 'x' }],
    [pool, { tableName: 'x' }],
    [pool, null],
    [pool, 'sessions'],
    [pool, []],
    [pool, { createTable: 'no' }],
    [pool, { subscriber: pool }],
    [pool, { subscriber: null }],
    [pool, { subscriber: 'postgres://localhost' }],
    [{ pool }, {}],
    [postgresjs, {}],
  ]
  for (const [client, options] of wrong) {
    const error = t.throws<TypeError & { code?: string }>(() => new PostgresStore(client as pg.Pool, options as object))
    t.regex(error.code ?? '', /^ERR_INVALID_ARG_/)
  }
  const client = new pg.Client()
  t.throws(() => new PostgresStore(client, { subscriber: client }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.is(new PostgresStore(pool).subscribe, undefined)
})
