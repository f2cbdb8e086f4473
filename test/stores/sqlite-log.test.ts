// The thread that copies the log cannot read every file. Then nobody copies the log: it grows until the disk is full.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers, nodeSqlite, type Database } from '../support/sqlite.ts'

async function fillLog(own: Database): Promise<{ store: SqliteStore; limit: () => number }> {
  const store = new SqliteStore(own)
  for (let index = 0; index < 400; index++) await store.create(newRecord({ payload: 'x'.repeat(50_000) }), NOW)
  await sleep(60) // the length is looked at this often
  await store.create(newRecord(), NOW)
  const limit = () =>
    Number((own.prepare('PRAGMA wal_autocheckpoint').get() as Record<string, unknown>)['wal_autocheckpoint'])
  for (let looks = 0; looks < 60 && limit() === 0; looks++) await sleep(50)
  return { store, limit }
}

for (const driver of drivers) {
  test.serial(
    `${driver.name}: the log of a connection with locking_mode = EXCLUSIVE is copied by SQLite`,
    async (t) => {
      t.timeout(60_000)
      const path = join(temporaryFolder(), 'sessions.db')
      const own = driver.open(path)
      own.exec('PRAGMA locking_mode = EXCLUSIVE') // the app's, for a file that no other process opens
      const { store, limit } = await fillLog(own)

      t.not(limit(), 0)
      t.true(statSync(`${path}-wal`).size < 8 * 1024 * 1024)
      store.close()
      own.close()
    },
  )
}

if (nodeSqlite !== undefined) {
  test.serial('a log that the thread cannot read, as of an encrypted file, is left to SQLite', async (t) => {
    t.timeout(60_000)
    const folder = temporaryFolder()
    const library = join(folder, 'keyed.cjs')
    // As libsql with `encryptionKey`, or better-sqlite3-multiple-ciphers: the thread opens the file without the key.
    writeFileSync(
      library,
      `const { isMainThread } = require('node:worker_threads')
       const { DatabaseSync } = require('node:sqlite')
       module.exports = class Keyed extends DatabaseSync {
         prepare(sql) {
           if (!isMainThread && sql.includes('wal_checkpoint'))
             throw Object.assign(new Error('file is not a database'), { code: 'ERR_SQLITE_ERROR', errcode: 26 })
           return super.prepare(sql)
         }
       }`,
    )
    const Keyed = createRequire(import.meta.url)(library) as new (path: string) => Database
    const own = new Keyed(join(folder, 'sessions.db'))
    const { store, limit } = await fillLog(own)

    t.not(limit(), 0)
    store.close()
    own.close()
  })
}
