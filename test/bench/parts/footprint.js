// What a small session costs a server: bytes at rest, bytes on the wire for each verb, and the server's own CPU for each verb.
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { openSqlite } from '../adapters/koa-fastsession.js'
import { MysqlStore } from '../../../dist/stores/mysql.js'
import { PostgresStore } from '../../../dist/stores/postgres.js'
import { RedisStore } from '../../../dist/stores/redis.js'
import { SqliteStore } from '../../../dist/stores/sqlite.js'
import { inject } from '../harness/mock.js'
import { build } from '../harness/registry.js'
import { startMariadb, startPostgres, startRedis, temporaryFolder } from '../harness/services.js'
import { round } from '../harness/stats.js'

export const title = 'Footprint'

const SESSIONS = 20_000
const UNDER_WAY = 32
const PAYLOAD = JSON.stringify({ user: 'alice', n: 0, roles: ['reader', 'writer'], at: 1700000000000 })

export async function measure({ say }) {
  const rows = []
  for (const [name, open, isOwned] of [
    ['redis', redis],
    ['redis, owned', redis, true],
    ['sqlite', sqlite],
    ['postgres', postgres],
    ['postgres, owned', postgres, true],
    ['mariadb', mariadb],
    ['mariadb, owned', mariadb, true],
  ]) {
    say(name)
    const opened = await open()
    if (opened === undefined) return { missing: name.startsWith('redis') ? 'redis-server' : name.split(',', 1)[0] }
    const { store, close, gauge, atRest } = opened
    const now = Date.now()
    const records = Array.from({ length: SESSIONS }, (_, at) => ({
      key: randomBytes(32).toString('base64url'),
      version: 1,
      payload: PAYLOAD,
      owner: isOwned ? `user-${at}` : undefined,
      createdAt: now,
      lastSeenAt: now,
      expiresAt: now + 86_400_000,
      meta: undefined,
    }))
    const verbs = {
      create: (record) => store.create(record, now),
      read: (record) => store.read(record.key, now),
      change: (record) => store.replace({ ...record, version: 2 }, 1, now),
      touch: (record) => store.touch(record.key, 2, now + 1000, now + 86_401_000, now),
    }
    await store.read('nothing', now) // makes the table
    const empty = await atRest()
    const row = { store: name, sessions: SESSIONS, verbs: {} }
    for (const [verb, call] of Object.entries(verbs)) {
      const before = await gauge()
      await each(records, call)
      const after = await gauge()
      row.verbs[verb] = Object.fromEntries(
        Object.entries(after).map(([what, value]) => [what, round((value - before[what]) / SESSIONS)]),
      )
      if (verb === 'create') row.bytes = round(((await atRest()) - empty) / SESSIONS)
    }
    row.bytesAfterChanges = round(((await atRest()) - empty) / SESSIONS)
    rows.push(row)
    await close()
  }
  const app = await build('koa-fastsession', 'memory')
  const [set] = (await inject(app.listener, '/login')).setCookie
  await app.close()
  return {
    rows,
    cookies: { request: `Cookie: ${set.split(';', 1)[0]}\r\n`.length, response: `Set-Cookie: ${set}\r\n`.length },
  }
}

async function each(records, call) {
  let at = 0
  const drive = async () => {
    while (at < records.length) {
      const answer = await call(records[at++])
      if (answer === false || answer === undefined || answer === 'stale' || answer === 'gone')
        throw new Error('a verb was refused')
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, drive))
}

async function redis() {
  const server = await startRedis()
  if (server === undefined) return undefined
  const [client, admin] = [new Redis(server.url), new Redis(server.url)]
  const info = async () =>
    Object.fromEntries(
      [...(await admin.info('all')).matchAll(/^(\w+):([\d.]+)\r$/gm)].map(([, field, value]) => [field, Number(value)]),
    )
  return {
    store: new RedisStore(client),
    atRest: async () => (await info()).used_memory,
    // The answer to the question itself is spread over all sessions: a third of a byte each.
    async gauge() {
      const { used_cpu_user, used_cpu_sys, total_net_input_bytes, total_net_output_bytes } = await info()
      return {
        cpu: 1e6 * (used_cpu_user + used_cpu_sys),
        toServer: total_net_input_bytes,
        fromServer: total_net_output_bytes,
      }
    },
    async close() {
      client.disconnect()
      admin.disconnect()
      await server.stop()
    },
  }
}

async function postgres() {
  const server = await startPostgres()
  if (server === undefined) return undefined
  const streams = []
  const pool = new pg.Pool({ connectionString: server.url, max: 4 })
  pool.on('error', () => {})
  pool.on('connect', (client) => streams.push(client.connection.stream))
  const admin = new pg.Client({ connectionString: server.url })
  admin.on('error', () => {})
  await admin.connect()
  const one = async (text) => Number(Object.values((await admin.query(text)).rows[0])[0])
  return {
    store: new PostgresStore(pool),
    async atRest() {
      await admin.query('VACUUM sessions')
      return one(`SELECT pg_total_relation_size('sessions')`)
    },
    gauge: async () => ({
      cpu: cpuOf((_, parent) => parent === server.pid),
      toServer: streams.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
      fromServer: streams.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      log: await one(`SELECT pg_current_wal_insert_lsn() - '0/0'`),
    }),
    async close() {
      await pool.end()
      await admin.end()
      await server.stop()
    },
  }
}

async function mariadb() {
  const server = await startMariadb()
  if (server === undefined) return undefined
  const streams = []
  const pool = mysql.createPool({ uri: server.url, connectionLimit: 4 })
  pool.on('connection', ({ stream }) => streams.push(stream))
  const admin = await mysql.createConnection(server.url)
  const one = async (text) => Number((await admin.query({ sql: text, rowsAsArray: true }))[0][0].at(-1))
  return {
    store: new MysqlStore(pool),
    // Of the file, which grows by whole extents.
    atRest: () => one("SELECT file_size FROM information_schema.innodb_sys_tablespaces WHERE name = 'test/sessions'"),
    gauge: async () => ({
      cpu: cpuOf((pid) => pid === server.pid),
      toServer: streams.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
      fromServer: streams.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      log: await one("SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'"),
    }),
    async close() {
      await pool.end()
      await admin.end()
      await server.stop()
    },
  }
}

async function sqlite() {
  const file = `${temporaryFolder()}/sessions.db`
  const database = await openSqlite(file)
  database.exec('PRAGMA synchronous = NORMAL')
  return {
    store: new SqliteStore(database),
    atRest() {
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      return statSync(file).size
    },
    gauge() {
      const { user, system } = process.cpuUsage()
      return { cpu: user + system }
    },
    close: () => database.close(),
  }
}

/** Microseconds of the processes that `isMeant` says so of, on Linux; elsewhere NaN, which is left out. */
function cpuOf(isMeant) {
  try {
    const stats = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => {
        try {
          const fields = readFileSync(`/proc/${name}/stat`, 'latin1')
            .replace(/^.*\) /, '')
            .split(' ')
          return { pid: Number(name), fields }
        } catch {
          return { fields: [] } // it has ended
        }
      })
    // Clock ticks of a hundredth of a second.
    return stats
      .filter(({ pid, fields }) => isMeant(pid, Number(fields[1])))
      .reduce((sum, { fields }) => sum + 10_000 * (Number(fields[11]) + Number(fields[12])), 0)
  } catch {
    return NaN
  }
}
