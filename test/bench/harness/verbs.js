// A SQL store with ten thousand small sessions, and the bare client under it. Asked for { who, verb, ms }, it answers { perSecond, cpu }, the CPU in
// microseconds of this process for one read or change. In PostgreSQL and MariaDB 16 are under way at a time, over a pool of 10 connections.
import { randomBytes } from 'node:crypto'
import { openSqlite } from '../adapters/koa-fastsession.js'

const SESSIONS = 10_000
const [kind, place] = process.argv.slice(2)
const UNDER_WAY = kind === 'sqlite' ? 1 : 16
const PAYLOAD = JSON.stringify({ user: 'alice', n: 0, roles: ['reader', 'writer'], at: 1700000000000 })

const now = Date.now()
const records = Array.from({ length: SESSIONS }, () => ({
  key: randomBytes(32).toString('base64url'),
  version: 1,
  payload: PAYLOAD,
  owner: undefined,
  createdAt: now,
  lastSeenAt: now,
  expiresAt: now + 86_400_000,
  meta: undefined,
}))

const notedKey = records[0].key

/** Notes what is sent while `fn` runs. */
const sent = []
let isNoting = false
async function noted(fn) {
  isNoting = true
  await fn()
  isNoting = false
  return sent.splice(0)
}

const { store, client, bare } = await { sqlite, postgres, mariadb }[kind]()
for (const record of records) await store.create(record, now)
const [readOf, changeOf] = bare([
  await noted(() => store.read(records[0].key, now)),
  await noted(() => store.replace(next(records[0]), records[0].version++, now)),
])

const verbs = {
  store: {
    read: (record) => store.read(record.key, now),
    change: async (record) => {
      const before = record.version
      if ((await store.replace(next(record), before, now)) !== 'done') throw new Error('a change was refused')
      record.version = before + 1
    },
  },
  bare: { read: readOf, change: changeOf },
}

function next(record) {
  return { ...record, version: record.version + 1, payload: PAYLOAD.replace('0', `${record.version}`) }
}

process.send({ client })
process.on('disconnect', () => process.exit(0))
process.on('message', async ({ who, verb, ms }) => {
  const call = verbs[who][verb]
  let n = 0
  const cpu0 = process.cpuUsage()
  const began = performance.now()
  const end = began + ms
  // Each lane has sessions of its own, so that none meets another's change.
  const drive = async (lane) => {
    for (let at = lane; performance.now() < end; at += UNDER_WAY) {
      const answer = call(records[at % SESSIONS])
      if (typeof answer?.then === 'function') await answer
      n++
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, (_, lane) => drive(lane)))
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu0)
  process.send({ perSecond: n / seconds, cpu: (user + system) / n })
})

/** With `synchronous = NORMAL`: with the default each change waits for the disk, and all clients are alike. */
async function sqlite() {
  const { SqliteStore } = await import('../../../dist/stores/sqlite.js')
  const database = await openSqlite(place)
  database.exec('PRAGMA synchronous = NORMAL')
  const bareOnes = new Map()
  const watched = {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql)
      bareOnes.set(sql, statement)
      const noting =
        (verb) =>
        (...values) => {
          if (isNoting) sent.push({ sql, verb, values })
          return statement[verb](...values)
        }
      return { run: noting('run'), get: noting('get'), all: noting('all') }
    },
  }
  const watchedStore = new SqliteStore(watched)
  return {
    client: typeof database.sync === 'function' ? 'libsql' : 'node:sqlite',
    store: {
      create: (record, at) => watchedStore.create(record, at),
      read: (key, at) => (isNoting ? watchedStore : direct()).read(key, at),
      replace: (record, version, at) => (isNoting ? watchedStore : direct()).replace(record, version, at),
    },
    bare([[reading], [changing]]) {
      // The store, which never waits within SQLite, has set it to 0: a thread of its own may hold the lock for a moment.
      database.exec('PRAGMA busy_timeout = 5000')
      return [
        (record) => bareOnes.get(reading.sql).get(record.key, now),
        (record) => {
          const values = changing.values.map((value) => changed(value, record))
          if (Number(bareOnes.get(changing.sql).run(...values).changes) !== 1) throw new Error('a change was refused')
          record.version++
        },
      ]
    },
  }

  // The measured store has nothing between it and the client.
  function direct() {
    return (sqlite.direct ??= new SqliteStore(database))
  }
}

async function postgres() {
  const [{ PostgresStore }, { default: pg }] = await Promise.all([
    import('../../../dist/stores/postgres.js'),
    import('pg'),
  ])
  const pool = new pg.Pool({ connectionString: place })
  pool.on('error', () => {})
  const watched = new PostgresStore({
    query(config) {
      if (isNoting) sent.push(config)
      return pool.query(config)
    },
  })
  const direct = new PostgresStore(pool)
  return {
    client: 'pg',
    store: {
      create: (record, at) => direct.create(record, at),
      read: (key, at) => (isNoting ? watched : direct).read(key, at),
      replace: (record, version, at) => (isNoting ? watched : direct).replace(record, version, at),
    },
    bare: ([[{ values: _, ...reading }], [{ values, ...changing }]]) => [
      (record) => pool.query({ ...reading, values: [record.key, now] }),
      async (record) => {
        const { rows } = await pool.query({ ...changing, values: values.map((value) => changed(value, record)) })
        if (rows[0].done !== 'true') throw new Error('a change was refused')
        record.version++
      },
    ],
  }
}

async function mariadb() {
  const [{ MysqlStore }, { default: mysql }] = await Promise.all([
    import('../../../dist/stores/mysql.js'),
    import('mysql2/promise'),
  ])
  const pool = mysql.createPool({ uri: place, connectionLimit: 10 })
  const watched = new MysqlStore({
    execute({ sql, values }) {
      if (isNoting) sent.push({ sql, values })
      return pool.execute(...arguments)
    },
    query: (query) => pool.query(query),
  })
  const direct = new MysqlStore(pool)
  return {
    client: 'mysql2',
    store: {
      create: (record, at) => direct.create(record, at),
      read: (key, at) => (isNoting ? watched : direct).read(key, at),
      replace: (record, version, at) => (isNoting ? watched : direct).replace(record, version, at),
    },
    bare: ([[reading], [changing]]) => [
      (record) => pool.execute(reading.sql, [Buffer.from(record.key), now]),
      async (record) => {
        const values = changing.values.map((value) => changed(value, record))
        const [{ affectedRows }] = await pool.execute(changing.sql, values)
        if (affectedRows === 0) throw new Error('a change was refused')
        record.version++
      },
    ],
  }
}

/**
 * A noted value, for another record: its key, its versions (1 became 2) and its payload stand where those of the noted one
 * stood. Numbers may be text, and text bytes.
 */
function changed(value, record) {
  if (Buffer.isBuffer(value)) return Buffer.from(changed(value.toString(), record))
  if (value === notedKey) return record.key
  if (value === 2) return record.version + 1
  if (value === 1) return record.version
  if (value === '2') return `${record.version + 1}`
  if (value === '1') return `${record.version}`
  if (typeof value === 'string' && value.startsWith('{"user"')) return PAYLOAD.replace('0', `${record.version}`)
  return value
}
