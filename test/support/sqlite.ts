// The SQLite drivers of this machine: libsql everywhere, node:sqlite where this Node has it. Run as a program, this is one of
// several processes on one file, which wait for a message so that all of them begin at once.
import { once } from 'node:events'
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import Libsql from 'libsql'
import { SqliteStore, type SqliteDatabase } from '../../src/stores/sqlite.ts'
import { isLocked } from '../../src/stores/sqlite/database.ts'
import { endWithUs } from './service.ts'

export type Database = SqliteDatabase & { close(): unknown }

export interface Driver {
  readonly name: string
  open(path: string): Database
}

// The types of the oldest supported Node do not have this module.
const builtin = process.getBuiltinModule('node:sqlite' as 'node:fs') as unknown as
  { DatabaseSync: new (path: string, options?: object) => Database } | undefined

export const libsql: Driver = { name: 'libsql', open: (path) => new Libsql(path) }

export const nodeSqlite: Driver | undefined = builtin && {
  name: 'node:sqlite',
  open: (path) => new builtin.DatabaseSync(path),
}

export const drivers: readonly Driver[] = nodeSqlite === undefined ? [libsql] : [libsql, nodeSqlite]

/** A store over a file. The driver is given by name, as it comes from another process. */
export function openSqliteStore(driverName: string, path: string): SqliteStore {
  const driver = drivers.find(({ name }) => name === driverName)
  if (driver === undefined) throw new Error(`this Node has no ${driverName}`)
  return new SqliteStore(driver.open(path))
}

export interface Worker {
  readonly process: ChildProcess
  /** Tells the process to begin. */
  readonly begin: () => void
  /** Resolves when the process has ended by itself. */
  readonly ended: () => Promise<void>
}

/** Resolves when the process is ready to begin. */
export async function worker(
  driver: Driver,
  task: 'count' | 'write',
  path: string,
  key: string,
  times: number,
): Promise<Worker> {
  const loader = new URL('loader.js', import.meta.url).href
  const child = fork(fileURLToPath(import.meta.url), [driver.name, task, path, key, String(times)], {
    execArgv: ['--import', loader, '--disable-warning=ExperimentalWarning'],
  })
  endWithUs(child)
  await once(child, 'message')
  const ended = once(child, 'exit')
  return {
    process: child,
    begin: () => {
      child.send('begin')
    },
    ended: async () => {
      const [code] = (await ended) as [number | null]
      if (code !== 0) throw new Error(`the worker ended with ${String(code)}`)
    },
  }
}

/**
 * A store gives up a write if the lock was held for 1.8 seconds, with nothing written. On a busy machine that happens, so the
 * write is tried again.
 */
async function patiently<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!isLocked(error) || tries === 60) throw error
    }
  }
}

async function main([name, task, path = '', key = '', times = '0']: readonly string[]): Promise<void> {
  const driver = drivers.find((one) => one.name === name) ?? libsql
  const tell = (message: unknown) =>
    new Promise<void>((resolve) =>
      process.send?.(message, () => {
        resolve()
      }),
    )
  const word = once(process, 'message')
  await tell('ready')
  await word
  const database = driver.open(path)
  const store = new SqliteStore(database)
  const now = Date.now()
  const first = {
    key,
    version: 1,
    payload: '0',
    owner: 'ada',
    createdAt: now,
    lastSeenAt: now,
    expiresAt: now + 600_000,
  }
  await patiently(() => store.create(first, now))
  for (let done = 0; done < Number(times);) {
    const held = await patiently(() => store.read(key, now))
    if (held === undefined) throw new Error('the record is gone')
    const next = { ...held, version: held.version + 1, payload: String(Number(held.payload) + 1) }
    if ((await patiently(() => store.replace(next, held.version, now))) !== 'done') continue
    done++
    if (task === 'write') await tell(next.version)
  }
  database.close()
  process.disconnect()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
