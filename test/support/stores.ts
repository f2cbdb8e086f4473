// Every store that this machine can run, for suites over all of them. Each `open` gives a new, empty store.
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { SessionStore } from '../../src/store.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { mysqlServer } from './mysql.ts'
import { postgres } from './postgres.ts'
import { redisMakes, startRedis } from './redis.ts'
import { freshName, temporaryFolder } from './service.ts'
import { drivers } from './sqlite.ts'

export interface OpenableStore {
  readonly name: string
  /** A store that shares its server, but no record, with the others of its kind. */
  open(): SessionStore
}

const closing: (() => unknown)[] = []

function sqliteStores(): OpenableStore[] {
  const folder = temporaryFolder()
  return drivers.map((driver) => {
    const database = driver.open(join(mkdtempSync(join(folder, 'scene-')), 'sessions.db'))
    closing.push(() => database.close())
    return { name: `SqliteStore over ${driver.name}`, open: () => new SqliteStore(database, { table: freshName() }) }
  })
}

export async function redisStores(): Promise<OpenableStore[]> {
  const [make] = redisMakes()
  if (make === undefined) return []
  const server = await startRedis(make)
  const client = new Redis(server.port, '127.0.0.1')
  closing.push(async () => {
    client.disconnect()
    await server.running.stop()
  })
  return [{ name: 'RedisStore', open: () => new RedisStore(client, { prefix: `${freshName()}:` }) }]
}

export async function postgresStores(): Promise<OpenableStore[]> {
  const server = await postgres()
  if (server === undefined) return []
  const pool = new pg.Pool({ connectionString: server.url }).on('error', () => undefined)
  closing.push(async () => {
    await pool.end()
    await server.stop()
  })
  return [{ name: 'PostgresStore', open: () => new PostgresStore(pool, { table: freshName() }) }]
}

export async function mysqlStores(): Promise<OpenableStore[]> {
  const server = await mysqlServer()
  if (server === undefined) return []
  const pool = mysql.createPool({ uri: server.uri, connectTimeout: 60_000 })
  closing.push(async () => {
    await pool.end()
    await server.stop()
  })
  return [{ name: 'MysqlStore', open: () => new MysqlStore(pool, { table: freshName() }) }]
}

/** Only those whose server is on this machine: `missing()` of service.ts reports the others, and in CI throws. */
export async function openableStores(): Promise<readonly OpenableStore[]> {
  // To run only one of them during development: TEST_STORE=Memory npx ava test/scenes
  const wanted = process.env['TEST_STORE']
  // The scenes test the core. They rely only on the promises of a store, which the conformance checks test for each store.
  // TEST_STORES=all, in `npm run check:long`, runs them over a second SQLite library and MariaDB as well.
  const isLong = process.env['TEST_STORES'] === 'all'
  const isWanted = (name: string): boolean => {
    if (wanted !== undefined) return name.includes(wanted)
    return isLong || !name.startsWith('Mysql')
  }
  const makes = { Redis: redisStores, Postgres: postgresStores, Mysql: mysqlStores }
  const served = await Promise.all(Object.entries(makes).map(async ([name, make]) => (isWanted(name) ? make() : [])))
  const sqlite = isLong || wanted !== undefined ? sqliteStores() : sqliteStores().slice(-1)
  const all = [{ name: 'MemoryStore', open: () => new MemoryStore() }, ...sqlite, ...served.flat()]
  if (wanted !== undefined) process.stderr.write(`*** ONLY the stores whose name contains ${wanted}\n`)
  return all.filter(({ name }) => isWanted(name))
}

/** Ends the servers and clients behind the stores. */
export async function closeStores(): Promise<void> {
  await Promise.all(
    closing.splice(0).map(async (close) => {
      await close()
    }),
  )
}
