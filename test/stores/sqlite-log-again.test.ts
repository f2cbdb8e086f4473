// A thread that copies the log may fail once, or not start: the disk was full, too many files were open, or the process has as many
// threads as it may. Later ones copy it again, so that no commit has to.
import { writeFileSync } from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import threads from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { libsql, type Database } from '../support/sqlite.ts'

const require = createRequire(import.meta.url)

/** Fills a log while no thread copies it, by `fails`, then a minute later one that a reader has kept long. */
async function copiesAgain(
  t: ExecutionContext,
  path: string,
  open: (path: string) => Database,
  fails: () => () => void,
): Promise<void> {
  t.timeout(60_000)
  const own = open(path)
  const store = new SqliteStore(own)
  const limit = (): number =>
    Number((own.prepare('PRAGMA wal_autocheckpoint').get() as Record<string, unknown>)['wal_autocheckpoint'])
  const fill = async (records: number): Promise<void> => {
    for (let made = 0; made < records; made++) await store.create(newRecord({ payload: 'x'.repeat(50_000) }), NOW)
    await sleep(60) // the length is looked at this often
    await store.create(newRecord(), NOW)
  }
  const becomes = async (wanted: number): Promise<number> => {
    for (let looks = 0; looks < 100 && limit() !== wanted; looks++) await sleep(50)
    return limit()
  }
  const works = fails()
  await fill(150)
  t.is(await becomes(1000), 1000, 'no thread copies, and SQLite does')
  works()

  const reader = open(path)
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM sessions').get()
  const now = performance.now.bind(performance)
  performance.now = () => now() + 120_000
  t.teardown(() => Reflect.deleteProperty(performance, 'now'))
  await fill(400)

  t.is(limit(), 0, 'a thread copies, and SQLite does not')
  reader.exec('COMMIT')
  reader.close()
  t.is(await becomes(4000), 4000)
  store.close()
  own.close()
}

test.serial('after a thread has failed, another one copies a log that a reader has kept long', async (t) => {
  const folder = temporaryFolder()
  const library = join(folder, 'once.cjs')
  writeFileSync(
    library,
    `const { isMainThread } = require('node:worker_threads')
     const { existsSync, writeFileSync } = require('node:fs')
     const Libsql = require(${JSON.stringify(require.resolve('libsql'))})
     const failed = ${JSON.stringify(join(folder, 'failed'))}
     module.exports = class Once extends Libsql {
       prepare(sql) {
         if (!isMainThread && sql.includes('wal_checkpoint') && !existsSync(failed)) {
           writeFileSync(failed, '')
           throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' })
         }
         return super.prepare(sql)
       }
     }`,
  )
  const Once = require(library) as new (path: string) => Database
  const open = (path: string): Database => new Once(path)
  await copiesAgain(t, join(folder, 'sessions.db'), open, () => () => undefined)
})

test.serial('a minute after a thread could not be started, another one copies that log', async (t) => {
  const { Worker } = threads
  const become = (given: unknown): void => {
    Object.assign(threads, { Worker: given })
    syncBuiltinESMExports()
  }
  t.teardown(() => become(Worker))
  const open = (path: string): Database => libsql.open(path)
  await copiesAgain(t, join(temporaryFolder(), 'sessions.db'), open, () => {
    become(function refused() {
      throw Object.assign(new Error('Worker initialization failure: EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
    })
    return () => become(Worker)
  })
})
