// A store that closed its own database: the error says so, also to calls that wait for a lock.
import { join } from 'node:path'
import test from 'ava'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { nodeSqlite } from '../support/sqlite.ts'

if (nodeSqlite === undefined) test.skip('a store that is closed', (t) => t.pass())
else
  test('a store that closed its own database says that it is not open', async (t) => {
    const path = join(temporaryFolder(), 'sessions.db')
    const store = new SqliteStore(path)
    await store.create(newRecord(), NOW)
    const other = nodeSqlite?.open(path)
    other?.exec('BEGIN IMMEDIATE')

    const waiting = Promise.resolve(store.create(newRecord(), NOW))
    store.close()

    await t.throwsAsync(waiting, { message: /not open/ })
    await t.throwsAsync(async () => store.read('a', NOW), { message: /not open/ })
    await t.throwsAsync(async () => store.list('ada', NOW, 10, undefined), { message: /not open/ })
    other?.close()
  })
