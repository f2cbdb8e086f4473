import test from 'ava'
import mysql from 'mysql2/promise'
import callbackMysql from 'mysql2'
import { mock } from 'node:test'
import { storeChecks } from '../../src/conformance.ts'
import {
  MysqlStore,
  mysqlSchema,
  type MysqlClient,
  type MysqlConnection,
  type MysqlQuery,
} from '../../src/stores/mysql.ts'
import { CorruptRecord, type SessionRecord } from '../../src/store.ts'
import { mysqlServer } from '../support/mysql.ts'

const NOW = 1_800_000_000_000

// Defaults in which case and accents do not count, and a table without another word would not be transactional.
const server = await mysqlServer([
  '--character-set-server=latin1',
  '--collation-server=latin1_general_ci',
  '--default-storage-engine=MyISAM',
])
const testWithServer = server === undefined ? test.skip : test

const clients: { end(): Promise<void> }[] = []
function newPool(options: mysql.PoolOptions = {}, settings: readonly string[] = []): mysql.Pool {
  const pool = mysql.createPool({ uri: server?.uri ?? 'mysql://127.0.0.1:1/none', ...options })
  // The core's connection queues statements: these come before all others.
  pool.on('connection', (connection) => settings.forEach((setting) => void connection.query(`SET ${setting}`)))
  clients.push(pool)
  return pool
}
async function newConnection(options: mysql.ConnectionOptions = {}): Promise<mysql.Connection> {
  const connection = await mysql.createConnection({ uri: server?.uri ?? '', ...options })
  clients.push(connection)
  return connection
}

// A server that was there may hold tables of an earlier run.
const run = `t${process.pid.toString(36)}${Date.now().toString(36)}`
let tables = 0
function newTable(): string {
  return `${run}_${tables++}`
}

function record(key: string, changes: Partial<SessionRecord> = {}): SessionRecord {
  const instants = { createdAt: NOW, lastSeenAt: NOW, expiresAt: NOW + 1000 }
  return { key, version: 1, payload: '{}', owner: undefined, meta: undefined, ...instants, ...changes }
}

/** A client that notes what is sent through it. */
function counted(client: mysql.Pool): MysqlConnection & { texts: string[] } {
  const texts: string[] = []
  const noted = (verb: 'execute' | 'query') => (query: MysqlQuery) => {
    texts.push(query.sql)
    return client[verb](query)
  }
  return { texts, execute: noted('execute'), query: noted('query') }
}

/** A client in front of a server that prepares no statements. */
function unprepared(client: mysql.Pool): MysqlConnection {
  const refusal = { code: 'ER_UNSUPPORTED_PS', errno: 1295, sqlState: 'HY000' }
  return {
    execute: () => Promise.reject(Object.assign(new Error('This command is not supported'), refusal)),
    query: (query) => client.query(query),
  }
}

const pool = newPool()
const connection = server === undefined ? pool : await newConnection()

test.after.always(async () => {
  await Promise.allSettled(clients.map((one) => one.end()))
  await server?.stop()
})

// Every option of a client that converts what is read or sent, and a second set, which says the opposite.
const ODD: mysql.PoolOptions = {
  rowsAsArray: true,
  nestTables: true,
  namedPlaceholders: true,
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  decimalNumbers: true,
  typeCast: (field) => field.string()?.toUpperCase() ?? 'nothing',
  charset: 'latin1',
  timezone: '+14:00',
  flags: ['-FOUND_ROWS'],
  maxPreparedStatements: 1,
  queryFormat: (sql: string, values: object) =>
    sql.replace(/:(\w+)/g, (text, name: string) => (name in values ? '1' : text)),
}
const OTHER: mysql.PoolOptions = { nestTables: '_', typeCast: false, supportBigNumbers: true, stringifyObjects: true }

const shared: [string, () => MysqlStore][] = [
  ['a pool', () => new MysqlStore(pool, { table: newTable() })],
  ['a connection', () => new MysqlStore(connection, { table: newTable() })],
  ["a callback pool's promise()", () => new MysqlStore(promised(), { table: newTable() })],
  ['no prepared statements', () => new MysqlStore(unprepared(pool), { table: newTable() })],
  [
    'a client of odd options, READ COMMITTED, another time zone, no strict mode',
    () => {
      const modes = "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,NO_ZERO_DATE,HIGH_NOT_PRECEDENCE'"
      const settings = [modes, 'SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', "time_zone = '-11:00'"]
      return new MysqlStore(newPool(ODD, settings), { table: newTable() })
    },
  ],
  [
    'other odd options, SERIALIZABLE, assignments at one time',
    () => {
      const settings = [
        "sql_mode = 'SIMULTANEOUS_ASSIGNMENT,STRICT_ALL_TABLES'",
        'SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE',
      ]
      return new MysqlStore(newPool(OTHER, settings), { table: newTable() })
    },
  ],
]
function promised(): mysql.Pool {
  const core = callbackMysql.createPool({ uri: server?.uri ?? 'mysql://127.0.0.1:1/none' })
  const promises = core.promise()
  clients.push(promises)
  return promises
}
for (const [name, open] of shared) {
  const store = open()
  for (const { title, run } of storeChecks) {
    testWithServer(`${name}: ${title}`, async (t) => {
      await t.notThrowsAsync(run(store))
    })
  }
}

testWithServer('each verb is one statement, whatever it answers; a create whose key is taken needs two', async (t) => {
  const spy = counted(pool)
  const store = new MysqlStore(spy, { table: newTable() })
  await store.read('a', NOW)
  const verbs: [string, () => Promise<unknown>, unknown, number?][] = [
    ['create', () => store.create(record('a', { owner: 'ada' }), NOW), true],
    ['create, taken', () => store.create(record('a'), NOW), false, 2],
    ['create, expired', () => store.create(record('a', { expiresAt: NOW + 5000 }), NOW + 1000), true, 2],
    ['replace', () => store.replace(record('a', { version: 2, owner: 'bob' }), 1, NOW), 'done'],
    ['replace, stale', () => store.replace(record('a', { version: 2 }), 1, NOW), 'stale'],
    ['replace, gone', () => store.replace(record('b', { version: 2 }), 1, NOW), 'gone'],
    ['replace, expired', () => store.replace(record('a', { version: 3 }), 2, NOW + 1000), 'gone'],
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
    const store = new MysqlStore(newPool({ flags: [flags] }), { table: newTable() })
    const same = record('a', { expiresAt: NOW + 2000 })
    await store.create(same, NOW)

    t.true(await store.touch('a', 1, NOW, NOW + 2000, NOW))
    t.true(await store.touch('a', 1, NOW - 5, NOW + 9000, NOW))
    t.is(await store.replace(same, 1, NOW), 'done')
    t.is(await store.replace(same, 2, NOW), 'stale')
    t.false(await store.create(same, NOW))
    t.deepEqual(await store.read('a', NOW), same)
  })
}

testWithServer('text of every kind comes back as it was, and finds its owner', async (t) => {
  const store = new MysqlStore(newPool(ODD), { table: newTable() })
  const emoji = '\u{1f600}'
  const texts = [
    'a\0b',
    '\0',
    '\ud800',
    'x\udfffy',
    '\u0001',
    '\u0001"x"',
    '\u0001\0',
    "'; DROP TABLE x; -- ?",
    '\\',
    '?',
  ]
  const longest = [emoji.repeat(127) + 'x', '\0'.repeat(255), '\udfff'.repeat(255), '\uffff'.repeat(255)]
  for (const [index, text] of [...texts, ...longest, ' ', 'a', 'a ', 'A', 'ä', 'a\u0308', '\ufeffa'].entries()) {
    const odd = record(`key${index}`, { payload: text, owner: text, meta: text })

    t.true(await store.create(odd, NOW))

    t.deepEqual(await store.read(odd.key, NOW), odd)
    t.deepEqual(await store.list(text, NOW, 100, undefined), { records: [odd], cursor: undefined })
    t.deepEqual(await store.listKeys(text, NOW, 100, undefined), { keys: [odd.key], cursor: undefined })
  }
})

testWithServer('keys are the same only byte for byte', async (t) => {
  const store = new MysqlStore(pool, { table: newTable() })
  const keys = ['a', 'A', 'a ', 'á', 'a\0', "a'", 'a"', 'a`']

  for (const key of keys) t.true(await store.create(record(key, { payload: key }), NOW), key)

  for (const key of keys) t.is((await store.read(key, NOW))?.payload, key)
})

testWithServer('a payload of megabytes comes back, as text and as bytes', async (t) => {
  const store = new MysqlStore(pool, { table: newTable() })
  const bytes = new Uint8Array(3_000_000).map((_, at) => at % 251)
  for (const payload of ['ü'.repeat(1_500_000), bytes, '', new Uint8Array()]) {
    const large = record(`key${payload.length}${typeof payload}`, { payload })

    await store.create(large, NOW)

    t.deepEqual(await store.read(large.key, NOW), large)
  }
})

testWithServer('a payload above max_allowed_packet is an error with its code, and the next call works', async (t) => {
  const store = new MysqlStore(newPool({ connectionLimit: 1 }), { table: newTable() })
  await store.create(record('a'), NOW)

  const error = await t.throwsAsync(store.replace(record('a', { version: 2, payload: 'x'.repeat(17_000_000) }), 1, NOW))

  t.is((error as Error & { code: unknown }).code, 'ER_NET_PACKET_TOO_LARGE')
  t.deepEqual(await store.read('a', NOW), record('a'))
})

testWithServer('what the table cannot hold is refused, also where the server would cut it', async (t) => {
  const store = new MysqlStore(newPool({}, ["sql_mode = ''"]), { table: newTable() })
  const wrong: Partial<SessionRecord>[] = [
    { key: 'k'.repeat(256) },
    { owner: 'x'.repeat(1601) },
    { meta: 'x'.repeat(2 ** 24) },
    { version: 2 ** 53 },
    { expiresAt: NOW + 0.5 },
    { lastSeenAt: NaN },
    { createdAt: Infinity },
  ]
  for (const changes of wrong) {
    await t.throwsAsync(store.create(record('a', changes), NOW), { instanceOf: RangeError })
  }
  t.deepEqual(await store.scan(NOW, 10, undefined), { records: [], cursor: undefined })
})

testWithServer('an error shows no key, owner or data, prepared or not, and keeps its code', async (t) => {
  const table = newTable()
  await pool.query(`CREATE TABLE ${table} (\`key\` INT PRIMARY KEY, owner INT NOT NULL)`)
  for (const client of [pool, unprepared(pool)]) {
    const store = new MysqlStore(client, { table })
    const secret = record('a-secret-key', {
      owner: 'a-secret-owner',
      payload: 'a-secret-payload',
      meta: 'a-secret-note',
    })

    const error = await t.throwsAsync(store.create(secret, NOW))

    t.regex(error.message, /ER_BAD_FIELD_ERROR \(1054, SQLSTATE 42S22\).*options\.table/)
    t.like(error, { code: 'ER_BAD_FIELD_ERROR', errno: 1054, sqlState: '42S22' })
    const shown = `${String(error.stack)} ${JSON.stringify(error)} ${Object.values(error).join(' ')}`
    t.false(/secret|INSERT/.test(shown) || shown.includes(Buffer.from('a-secret').toString('hex')))
  }
})

testWithServer('a write inside a transaction of the app is an error: nobody has committed it', async (t) => {
  const own = await newConnection()
  const store = new MysqlStore(own, { table: newTable() })
  await store.create(record('a'), NOW)

  await own.beginTransaction()
  await t.throwsAsync(store.replace(record('a', { version: 2 }), 1, NOW), { message: /transaction/ })
  await own.rollback()

  t.is(await store.replace(record('a', { version: 2 }), 1, NOW), 'done')
  const off = new MysqlStore(newPool({}, ['autocommit = 0']), { table: newTable() })
  await t.throwsAsync(off.create(record('a'), NOW), { message: /autocommit/ })
})

// Alone, for the whole server prepares none meanwhile.
const testAlone = server === undefined ? test.skip : test.serial
testAlone('a server that prepares no more statements is served without', async (t) => {
  const spy = counted(pool)
  const limited = newPool()
  const store = new MysqlStore(
    { execute: (query) => limited.execute(query), query: (query) => spy.query(query) },
    { table: newTable() },
  )
  await store.create(record('a'), NOW)
  await pool.query('SET GLOBAL max_prepared_stmt_count = 0')
  t.teardown(() => pool.query('SET GLOBAL max_prepared_stmt_count = DEFAULT'))
  spy.texts.length = 0

  t.is(await store.replace(record('a', { version: 2, payload: "it's" }), 1, NOW), 'done')
  t.is((await store.read('a', NOW))?.payload, "it's")

  t.is(spy.texts.length, 2)
})

testWithServer('processes that start together make the table once', async (t) => {
  const table = newTable()
  const stores = Array.from({ length: 8 }, () => new MysqlStore(newPool({ connectionLimit: 1 }), { table }))

  const answers = await Promise.all(stores.map((store, index) => store.create(record(`key${index}`), NOW)))

  t.deepEqual(answers, Array(8).fill(true))
  const [[made]] = await pool.query<mysql.RowDataPacket[]>(
    'SELECT ENGINE AS engine, ROW_FORMAT AS format FROM information_schema.TABLES WHERE TABLE_NAME = ?',
    [table],
  )
  t.deepEqual({ ...made }, { engine: 'InnoDB', format: 'Dynamic' })
})

testWithServer(
  'the first verbs of a process share one making of the table, and a dropped table comes back',
  async (t) => {
    const spy = counted(pool)
    const table = newTable()
    const store = new MysqlStore(spy, { table })

    await Promise.all(Array.from({ length: 10 }, (_, index) => store.create(record(`key${index}`), NOW)))
    t.is(spy.texts.filter((text) => text.includes('CREATE TABLE')).length, 1)

    await pool.query(`DROP TABLE ${table}`)
    t.is(await store.replace(record('key1', { version: 2 }), 1, NOW), 'gone')
    t.true(await store.create(record('key1'), NOW))
  },
)

testWithServer('a table that could not be made is made by a later call', async (t) => {
  const other = newTable()
  const table = newTable()
  await pool.query(`CREATE USER ${other} IDENTIFIED BY 'x'`)
  await pool.query(`GRANT SELECT, INSERT ON test.* TO ${other}`)
  const store = new MysqlStore(newPool({ user: other, password: 'x' }), { table })
  await t.throwsAsync(store.create(record('a'), NOW), { code: 'ER_TABLEACCESS_DENIED_ERROR' as never })

  await pool.query(`GRANT CREATE ON test.${table} TO ${other}`)

  t.true(await store.create(record('a'), NOW))
})

testWithServer('with createTable false the table is for others to make, and four rights are enough', async (t) => {
  const table = newTable()
  const user = newTable()
  await pool.query(`CREATE USER ${user} IDENTIFIED BY 'x'`)
  await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO ${user}`)
  const store = new MysqlStore(newPool({ user, password: 'x' }), { table, createTable: false })
  await t.throwsAsync(store.create(record('a'), NOW), { code: 'ER_NO_SUCH_TABLE' as never })

  for (let times = 0; times < 2; times++) await pool.query(mysqlSchema({ table }))

  t.true(await store.create(record('a'), NOW))
  t.is(await store.replace(record('a', { version: 2 }), 1, NOW), 'done')
  t.is(await store.deleteExpired(NOW + 1000, 5), 1)
})

testWithServer(
  'list, listKeys and scan give portions of the limit, each live record once, in the order of no clock',
  async (t) => {
    const table = newTable()
    const store = new MysqlStore(pool, { table })
    for (let index = 0; index < 25; index++) {
      await store.create(record(`key${index}`, { owner: index % 5 === 0 ? undefined : 'ada' }), NOW)
      await store.create(record(`dead${index}`, { owner: 'ada', expiresAt: NOW + 1 }), NOW)
    }
    const all = async (portion: (cursor: string | undefined) => Promise<[string[], string | undefined]>) => {
      const keys: string[] = []
      let [portions, cursor]: [number, string | undefined] = [0, undefined]
      do {
        const [more, next] = await portion(cursor)
        t.true(more.length <= 7)
        keys.push(...more)
        cursor = next
      } while (cursor !== undefined && portions++ < 100)
      return keys.sort()
    }
    const live = Array.from({ length: 25 }, (_, index) => `key${index}`).sort()
    const owned = live.filter((key) => Number(key.slice(3)) % 5 !== 0)

    const keysOf = (records: readonly SessionRecord[]): string[] => records.map(({ key }) => key)
    const listed = await all(async (cursor) => {
      const page = await store.list('ada', NOW + 1, 7, cursor)
      return [keysOf(page.records), page.cursor]
    })
    const listedKeys = await all(async (cursor) => {
      const page = await store.listKeys('ada', NOW + 1, 7, cursor)
      return [[...page.keys], page.cursor]
    })
    const scanned = await all(async (cursor) => {
      const page = await store.scan(NOW + 1, 7, cursor)
      return [keysOf(page.records), page.cursor]
    })

    t.deepEqual(listed, owned)
    t.deepEqual(listedKeys, owned)
    t.deepEqual(scanned, live)
    for (const limit of [0, -1, NaN, 1e9]) {
      const page = await store.list('ada', NOW + 1, limit, undefined)
      t.true(page.records.length === (limit === 1e9 ? 20 : page.records.length))
    }
    const cursor = "'; DROP TABLE x; --"
    t.is((await store.scan(NOW, 1, cursor)).records.length, 1)
  },
)

testWithServer('a portion of an owner is found by the index, whatever else the table holds', async (t) => {
  const table = newTable()
  await pool.query(mysqlSchema({ table }))
  for (let from = 0; from < 20_000; from += 1000) {
    const rows = Array.from({ length: 1000 }, (_, at) => {
      const owner = (from + at) % 2000 === 0 ? 'ada' : `owner${from + at}`
      return `(SHA1(${from + at}), 1, 1, 1, ${NOW + 1000}, ${NOW + 1000}, '${owner}', '{}')`
    })
    const columns = '`key`, version, created_at, last_seen_at, expires_at, sweep_at, owner, payload'
    await pool.query(`INSERT INTO ${table} (${columns}) VALUES ${rows.join()}`)
  }
  await pool.query(`ANALYZE TABLE ${table}`)
  const own = newPool({ connectionLimit: 1 })
  const store = new MysqlStore(own, { table })
  const read = async (verb: () => Promise<unknown>): Promise<number> => {
    await own.query('FLUSH STATUS')
    await verb()
    const [counters] = await own.query<mysql.RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return counters.reduce((sum, { Value: value }) => sum + Number(value), 0)
  }

  t.true((await read(() => store.list('ada', NOW, 50, undefined))) <= 30)
  t.true((await read(() => store.listKeys('owner7', NOW, 50, undefined))) <= 5)
  t.true((await read(() => store.scan(NOW, 50, undefined))) <= 110)
  t.true((await read(() => store.read('x', NOW))) <= 5)
  t.true((await read(() => store.deleteExpired(NOW, 50))) <= 5)
})

testWithServer('sweeps of several processes remove each record once', async (t) => {
  const table = newTable()
  const stores = [1, 2, 3].map(() => new MysqlStore(newPool({ connectionLimit: 1 }), { table }))
  await stores[0]?.read('a', NOW)
  const three = stores.map(async (store, nth) => {
    for (let index = 0; index < 500; index++) await store.create(record(`key${nth}-${index}`), NOW)
  })
  await Promise.all(three)

  const counts: number[] = []
  for (let round = 0; round < 3; round++) {
    counts.push(...(await Promise.all(stores.map((store) => store.deleteExpired(NOW + 1000, 5000)))))
  }

  t.is(
    counts.reduce((sum, count) => sum + count),
    1500,
  )
})

testWithServer('a sweep does not wait for a record that another process holds', async (t) => {
  const table = newTable()
  const store = new MysqlStore(pool, { table })
  const holder = await newConnection()
  for (const key of ['a', 'b', 'c']) await store.create(record(key), NOW)
  await holder.query('BEGIN')
  await holder.query(`SELECT 1 FROM ${table} WHERE \`key\` = 'b' FOR UPDATE`)

  t.is(await store.deleteExpired(NOW + 1000, 10), 2)

  await holder.query('COMMIT')
  t.is(await store.deleteExpired(NOW + 1000, 10), 1)
})

testWithServer('a sweep gets past any number of records that were touched since they were made', async (t) => {
  const store = new MysqlStore(pool, { table: newTable() })
  await store.read('a', NOW)
  const touched = Array.from({ length: 1100 }, async (_, index) => {
    await store.create(record(`live${index}`), NOW)
    await store.touch(`live${index}`, 1, NOW + 1, NOW + 9000, NOW + 1)
  })
  await Promise.all(touched)
  await store.create(record('ended', { expiresAt: NOW + 1001 }), NOW)

  t.is(await store.deleteExpired(NOW + 2000, 1), 1)

  t.false(await store.delete('ended'))
  t.is(await store.deleteExpired(NOW + 9000, 5000), 1100)
})

for (const isolation of ['REPEATABLE READ', 'READ COMMITTED']) {
  testWithServer(`${isolation}: a replace that waits for a record which is then removed is gone`, async (t) => {
    const table = newTable()
    const store = new MysqlStore(newPool({}, [`SESSION TRANSACTION ISOLATION LEVEL ${isolation}`]), { table })
    const holder = await newConnection()
    await store.create(record('a'), NOW)
    await holder.query('BEGIN')
    await holder.query(`DELETE FROM ${table} WHERE \`key\` = 'a'`)

    const answers = [store.replace(record('a', { version: 2 }), 1, NOW), store.touch('a', 1, NOW, NOW + 5000, NOW)]
    await waitingForALock(table, 2)
    await holder.query('COMMIT')

    t.deepEqual(await Promise.all(answers as Promise<unknown>[]), ['gone', false])
  })

  testWithServer(`${isolation}: a replace that waits for a record which is then replaced is stale`, async (t) => {
    const table = newTable()
    const store = new MysqlStore(newPool({}, [`SESSION TRANSACTION ISOLATION LEVEL ${isolation}`]), { table })
    const holder = await newConnection()
    await store.create(record('a'), NOW)
    await holder.query('BEGIN')
    await holder.query(`UPDATE ${table} SET version = 2 WHERE \`key\` = 'a'`)

    const answer = store.replace(record('a', { version: 2 }), 1, NOW)
    await waitingForALock(table, 1)
    await holder.query('COMMIT')

    t.is(await answer, 'stale')
  })
}

testWithServer('a row that is not what was written is one ended session, and the rest can be listed', async (t) => {
  const table = newTable()
  const store = new MysqlStore(newPool({ supportBigNumbers: false }), { table })
  const damages = [
    'version = 9007199254740993',
    'version = 9223372036854775807',
    'expires_at = 9223372036854775807',
    'created_at = -9223372036854775808',
    "payload = X'ff'",
    "meta = X'c328'",
  ]
  await store.create(record('whole', { owner: 'ada' }), NOW)
  for (const [index, damage] of damages.entries()) {
    await store.create(record(`key${index}`, { owner: 'ada' }), NOW)
    await pool.query(`UPDATE ${table} SET ${damage} WHERE \`key\` = 'key${index}'`)

    await t.throwsAsync(store.read(`key${index}`, NOW), { instanceOf: CorruptRecord }, damage)
  }

  t.deepEqual((await store.list('ada', NOW, 100, undefined)).records, [record('whole', { owner: 'ada' })])
  t.deepEqual((await store.scan(NOW, 100, undefined)).records, [record('whole', { owner: 'ada' })])
  t.is((await store.listKeys('ada', NOW, 100, undefined)).keys.length, damages.length + 1)
})

testWithServer('tables know nothing of one another', async (t) => {
  const table = newTable()
  const [one, other] = [new MysqlStore(pool, { table }), new MysqlStore(pool, { table: `${table}_b` })]
  await one.create(record('a', { owner: 'ada' }), NOW)

  t.is(await other.read('a', NOW), undefined)
  t.deepEqual(await other.list('ada', NOW, 10, undefined), { records: [], cursor: undefined })
  t.is(await other.deleteExpired(NOW + 9000, 10), 0)
  t.false(await other.delete('a'))
  t.deepEqual(await one.read('a', NOW), record('a', { owner: 'ada' }))
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

    await t.throwsAsync(store.read('a', NOW), { instanceOf: TypeError })
    await t.throwsAsync(store.replace(record('a'), 1, NOW), { instanceOf: TypeError })
    await t.throwsAsync(store.delete('a'), { instanceOf: TypeError })
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

// That the types of mysql2 fit.
test('a pool, a connection, a cluster and a part of one are clients', (t) => {
  const cluster = mysql.createPoolCluster()
  const fits: MysqlClient[] = [pool, connection, cluster, cluster.of('*')]
  for (const client of fits) t.notThrows(() => new MysqlStore(client))
})

/** Resolves once so many statements on that table stand in line. */
async function waitingForALock(table: string, count: number): Promise<void> {
  const sql =
    "SELECT trx_id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND INSTR(trx_query, ?) > 0"
  for (const end = Date.now() + 20_000; ;) {
    const [rows] = await pool.query<mysql.RowDataPacket[]>(sql, [table])
    if (rows.length >= count) return
    if (Date.now() > end) throw new Error('nobody waits for a lock')
    // InnoDB refreshes this table ten times a second.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
