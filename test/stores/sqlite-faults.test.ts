// What another process's lock leaves behind in a SqliteStore. The other process is a second connection.
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers, type Database, type Driver } from '../support/sqlite.ts'

/** A store, and another connection to its file. */
function sharing(driver: Driver): [SqliteStore, Database] {
  const path = join(temporaryFolder(), 'sessions.db')
  const store = new SqliteStore(driver.open(path))
  void store.read('a', NOW)
  return [store, driver.open(path)]
}

for (const driver of drivers) {
  // libsql leaves a statement that met a lock under way, and with it a view of the past: the store must not.
  test(`${driver.name}: a read sees that another process ended the session, also while a change waits for its lock`, async (t) => {
    const [store, other] = sharing(driver)
    const [held, ended] = [newRecord(), newRecord()]
    for (const record of [held, ended]) await store.create(record, NOW)
    other.exec('BEGIN IMMEDIATE')
    const over = Promise.allSettled([store.replace({ ...held, version: 2 }, 1, NOW)])
    await store.read(ended.key, NOW)
    other.exec(`DELETE FROM sessions WHERE key = '${ended.key}'`)
    other.exec('COMMIT')

    t.is(await store.read(ended.key, NOW), undefined)
    await over
  })

  test(`${driver.name}: different changes that met another process's lock are all made when it is gone`, async (t) => {
    const [store, other] = sharing(driver)
    const held = newRecord()
    await store.create(held, NOW)
    other.exec('BEGIN IMMEDIATE')
    const creating = Promise.resolve(store.create(newRecord(), NOW))
    const replacing = Promise.resolve(store.replace({ ...held, version: 2 }, 1, NOW))
    await store.read(held.key, NOW)
    other.exec('CREATE TABLE elsewhere (x)')
    other.exec('COMMIT')

    t.deepEqual(await Promise.all([creating, replacing]), [true, 'done'])
    t.is((await store.read(held.key, NOW))?.version, 2)
  })

  // The first use makes the table, and SqliteStore's reads do not wait for a lock.
  test(`${driver.name}: a first read that meets the lock of a process which makes the table waits for it`, async (t) => {
    const path = join(temporaryFolder(), 'sessions.db')
    const [store, other] = [new SqliteStore(driver.open(path)), driver.open(path)]
    other.exec('PRAGMA journal_mode = WAL')
    other.exec('BEGIN IMMEDIATE')

    const reading = Promise.resolve().then(() => store.read('a', NOW))
    await nextTurn()
    other.exec('COMMIT')

    t.is(await reading, undefined)
  })
}
