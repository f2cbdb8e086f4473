// A thread that copies the log may not start: the process has as many as it may. Later ones copy it again, so that no commit has to.
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import threads from 'node:worker_threads'
import test from 'ava'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { libsql } from '../support/sqlite.ts'

test.serial(
  'a minute after a thread could not be started, another one copies a log that a reader has kept long',
  async (t) => {
    t.timeout(60_000)
    const path = join(temporaryFolder(), 'sessions.db')
    const own = libsql.open(path)
    const store = new SqliteStore(own)
    const limit = (): number =>
      Number((own.prepare('PRAGMA wal_autocheckpoint').get() as Record<string, unknown>)['wal_autocheckpoint'])
    const fill = async (records: number): Promise<void> => {
      for (let made = 0; made < records; made++) await store.create(newRecord({ payload: 'x'.repeat(50_000) }), NOW)
      await sleep(60) // the length is looked at this often
      await store.create(newRecord(), NOW)
    }
    const { Worker } = threads
    const become = (given: unknown): void => {
      Object.assign(threads, { Worker: given })
      syncBuiltinESMExports()
    }
    t.teardown(() => become(Worker))
    become(function refused() {
      throw Object.assign(new Error('Worker initialization failure: EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
    })
    await fill(150)
    t.is(limit(), 1000, 'no thread started, and SQLite copies')
    become(Worker)

    const reader = libsql.open(path)
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM sessions').get()
    const now = performance.now.bind(performance)
    performance.now = () => now() + 120_000
    t.teardown(() => Reflect.deleteProperty(performance, 'now'))
    await fill(400)

    t.is(limit(), 0, 'a thread copies, and SQLite does not')
    reader.exec('COMMIT')
    reader.close()
    for (let looks = 0; looks < 100 && limit() !== 4000; looks++) await sleep(50)
    t.is(limit(), 4000)
    store.close()
    own.close()
  },
)
