// MysqlStore over every kind of client, and under every option of one.
import { mock } from 'node:test'
import test from 'ava'
import callbackMysql from 'mysql2'
import mysql from 'mysql2/promise'
import { storeChecks } from '../../src/conformance.ts'
import { MysqlStore, mysqlSchema, type MysqlClient } from '../../src/stores/mysql.ts'
import { noting, ODD_OPTIONS, openMysql, OTHER_OPTIONS, unprepared } from '../support/mysql-clients.ts'
import { keyed, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { server, clients, testWithServer, stop } = await openMysql()
const pool = clients.pool()
const connection = server === undefined ? pool : await clients.connection()
test.after.always(stop)

const shared: [string, () => MysqlStore][] = [
  ['a pool', () => new MysqlStore(pool, { table: freshName() })],
  ['a connection', () => new MysqlStore(connection, { table: freshName() })],
  ['no prepared statements', () => new MysqlStore(unprepared(pool), { table: freshName() })],
  [
    'a client of odd options, READ COMMITTED, another time zone, no strict mode',
    () => {
      const modes = "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,NO_ZERO_DATE,HIGH_NOT_PRECEDENCE'"
      const settings = [modes, 'SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', "time_zone = '-11:00'"]
      return new MysqlStore(clients.pool(ODD_OPTIONS, settings), { table: freshName() })
    },
  ],
  [
    'other odd options, SERIALIZABLE, assignments at one time',
    () => {
      const settings = [
        // MySQL does not know the first.
        `sql_mode = '${server?.isMariadb === false ? '' : 'SIMULTANEOUS_ASSIGNMENT,'}STRICT_ALL_TABLES'`,
        'SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE',
      ]
      return new MysqlStore(clients.pool(OTHER_OPTIONS, settings), { table: freshName() })
    },
  ],
]
for (const [name, open] of shared) {
  const store = open()
  for (const { title, run } of storeChecks) {
    testWithServer(`${name}: ${title}`, async (t) => {
      await t.notThrowsAsync(run(store))
    })
  }
}

testWithServer('each verb is one statement, whatever it answers; a create whose key is taken needs two', async (t) => {
  const spy = noting(pool)
  const store = new MysqlStore(spy, { table: freshName() })
  await store.read('a', NOW)
  const verbs: [string, () => Promise<unknown>, unknown, number?][] = [
    ['create', () => store.create(keyed('a', { owner: 'ada' }), NOW), true],
    ['create, taken', () => store.create(keyed('a'), NOW), false, 2],
    ['create, expired', () => store.create(keyed('a', { expiresAt: NOW + 5000 }), NOW + 1000), true, 2],
    ['replace', () => store.replace(keyed('a', { version: 2, owner: 'bob' }), 1, NOW), 'done'],
    ['replace, stale', () => store.replace(keyed('a', { version: 2 }), 1, NOW), 'stale'],
    ['replace, gone', () => store.replace(keyed('b', { version: 2 }), 1, NOW), 'gone'],
    ['replace, expired', () => store.replace(keyed('a', { version: 3 }), 2, NOW + 1000), 'gone'],
    ['touch', () => store.touch('a', 2, NOW + 1, NOW + 2000, NOW + 1), true],
    ['touch, older', () => store.touch('a', 2, NOW, NOW + 1500, NOW + 1), true],
    ['touch, stale', () => store.touch('a', 1, NOW + 1, NOW + 2000, NOW + 1), false],
    ['touch, expired', () => store.touch('a', 2, NOW + 1, NOW + 9000, NOW + 2000), false],
    ['delete', () => store.delete('a'), true],
    ['delete, missing', () => store.delete('a'), false],
  ]
  for (const [name, verb, answer, statements = 1] of verbs) {
    spy.texts.length = 0
    t.is(await verb(), answer, name)
    t.is(spy.texts.length, statements, name)
  }
})

for (const flags of ['FOUND_ROWS', '-FOUND_ROWS']) {
  testWithServer(`with ${flags} a write that changes nothing is done as well`, async (t) => {
    const store = new MysqlStore(clients.pool({ flags: [flags] }), { table: freshName() })
    const same = keyed('a', { expiresAt: NOW + 2000 })
    await store.create(same, NOW)

    t.true(await store.touch('a', 1, NOW, NOW + 2000, NOW))
    t.true(await store.touch('a', 1, NOW - 5, NOW + 9000, NOW))
    t.is(await store.replace(same, 1, NOW), 'done')
    t.is(await store.replace(same, 2, NOW), 'stale')
    t.false(await store.create(same, NOW))
    t.deepEqual(await store.read('a', NOW), same)
  })
}

// Alone, for the whole server prepares none meanwhile.
const testAlone = server === undefined ? test.skip : test.serial
testAlone('a server that prepares no more statements is served without', async (t) => {
  const spy = noting(pool)
  const limited = clients.pool()
  const store = new MysqlStore(
    { execute: (query) => limited.execute(query), query: (query) => spy.query(query) },
    { table: freshName() },
  )
  await store.create(keyed('a'), NOW)
  await pool.query('SET GLOBAL max_prepared_stmt_count = 0')
  t.teardown(() => pool.query('SET GLOBAL max_prepared_stmt_count = DEFAULT'))
  spy.texts.length = 0

  t.is(await store.replace(keyed('a', { version: 2, payload: "it's" }), 1, NOW), 'done')
  t.is((await store.read('a', NOW))?.payload, "it's")

  t.is(spy.texts.length, 2)
})

test.serial('a pooled connection that never answers is given up, and one that answers is put back', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const seen: string[] = []
  let answers = [new Promise<never>(() => undefined), Promise.resolve([[], []] as [unknown, unknown])]
  const given = {
    execute: () => answers.shift() ?? Promise.reject(new Error('asked too often')),
    query: () => Promise.reject(new Error('not asked')),
    release: () => void seen.push('released'),
    destroy: () => void seen.push('destroyed'),
  }
  const client = { ...given, getConnection: () => Promise.resolve(given) }
  const store = new MysqlStore(client)

  const silent = t.throwsAsync(store.read('a', NOW), { code: 'ETIMEDOUT' as never })
  await new Promise((resolve) => setImmediate(resolve))
  mock.timers.tick(30_000)
  await silent
  t.is(await store.read('a', NOW), undefined)

  t.deepEqual(seen, ['destroyed', 'released'])
  answers = []
})

for (const [what, answer] of Object.entries<unknown>({
  nothing: undefined,
  'rows alone, as the package mariadb does': [],
  'a number': 5,
  'no count': [{}, undefined],
})) {
  test(`a client that answers with ${what} is an error, and never means that there is no session`, async (t) => {
    const client = { execute: () => answer, query: () => answer } as never
    const store = new MysqlStore(client)

    await t.throwsAsync(store.read('a', NOW), { code: 'ERR_SESSION_STORE', message: /mysql2/ })
    await t.throwsAsync(store.replace(keyed('a'), 1, NOW), { code: 'ERR_SESSION_STORE', message: /mysql2/ })
    await t.throwsAsync(store.delete('a'), { code: 'ERR_SESSION_STORE', message: /mysql2/ })
  })
}

test('a statement that the server undoes for ever is an error in the end', async (t) => {
  let asked = 0
  const deadlock = Object.assign(new Error('Deadlock found'), {
    code: 'ER_LOCK_DEADLOCK',
    errno: 1213,
    sqlState: '40001',
  })
  const refuse = (): Promise<never> => {
    asked++
    return Promise.reject(deadlock)
  }
  const store = new MysqlStore({ execute: refuse, query: refuse })

  await t.throwsAsync(store.delete('a'), { code: 'ER_LOCK_DEADLOCK' as never })

  t.true(asked > 5 && asked <= 21, String(asked))
})

test('what is no promise client of mysql2 is refused when the store is made', (t) => {
  for (const wrong of [undefined, null, 5, {}, 'mysql://localhost', { query: () => undefined }]) {
    t.throws(() => new MysqlStore(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  const callback = callbackMysql.createPool({ uri: 'mysql://127.0.0.1:1/none' })
  t.teardown(() => callback.end())
  for (const byCallback of [callback, callbackMysql.createPoolCluster().of('*')]) {
    t.throws(() => new MysqlStore(byCallback as never), { code: 'ERR_INVALID_ARG_VALUE', message: /promise/ })
  }
  const ofMariadb = { execute: () => undefined, query: () => undefined, batch: () => undefined }
  t.throws(() => new MysqlStore(ofMariadb as never), { code: 'ERR_INVALID_ARG_VALUE', message: /mariadb/ })
})

test('a table name that is no plain identifier is refused, and not repeated', (t) => {
  for (const table of ['', 'a b', 'a"b', 'a.b', 'a`b', 'a;drop table x', '1a', 'x'.repeat(65), 'é']) {
    for (const refused of [() => new MysqlStore(pool, { table }), () => mysqlSchema({ table })]) {
      const error = t.throws(refused, { code: 'ERR_INVALID_ARG_VALUE' })
      t.true(table === '' || !error.message.includes(`${table} `))
    }
  }
  for (const options of [{ table: 5 }, { createTable: 'no' }, null, 'sessions', []]) {
    t.throws(() => new MysqlStore(pool, options as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('an option that the store does not know is refused', (t) => {
  for (const options of [{ tabel: 'x' }, { schema: 'x' }, { createtable: false }]) {
    t.throws(() => new MysqlStore(pool, options as never), { code: 'ERR_INVALID_ARG_VALUE' })
    t.throws(() => mysqlSchema(options as never), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  t.throws(() => mysqlSchema({ createTable: true } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  t.notThrows(() => new MysqlStore(pool, { table: undefined, createTable: undefined }))
})

testWithServer('the promise() of a callback pool is a client', async (t) => {
  const core = callbackMysql.createPool(server?.uri ?? '')
  const store = new MysqlStore(clients.keep(core.promise()), { table: freshName() })

  t.true(await store.create(keyed('a'), NOW))

  t.deepEqual(await store.read('a', NOW), keyed('a'))
})

// That the types of mysql2 fit.
test('a pool, a connection, a cluster and a part of one are clients', (t) => {
  const cluster = mysql.createPoolCluster()
  const fits: MysqlClient[] = [pool, connection, cluster, cluster.of('*')]
  for (const client of fits) t.notThrows(() => new MysqlStore(client))
})
