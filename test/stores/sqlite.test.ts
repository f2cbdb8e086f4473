import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import { SqliteStore, sqliteSchema, type SqliteDatabase } from '../../src/stores/sqlite.ts'
import { keyed as record, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers, libsql, nodeSqlite, worker, type Database, type Driver } from '../support/sqlite.ts'
import { swept } from '../support/sweep.ts'

const folder = temporaryFolder()

let files = 0
function newFile(): string {
  return join(folder, `${files++}.db`)
}

function pages(path: string): number {
  return Math.floor(statSync(`${path}-wal`).size / 4096)
}

for (const driver of drivers) {
  const shared = new SqliteStore(driver.open(newFile()))

  for (const { title, run } of storeChecks) {
    test(`${driver.name}, a file: ${title}`, async (t) => {
      await t.notThrowsAsync(run(shared))
    })

    test(`${driver.name}, in memory: ${title}`, async (t) => {
      await t.notThrowsAsync(run(new SqliteStore(driver.open(':memory:'))))
    })
  }

  test(`${driver.name}: the file is in WAL mode, and SQLite itself never waits`, (t) => {
    const database = driver.open(newFile())
    database.exec('PRAGMA busy_timeout = 5000')

    void new SqliteStore(database).read('a', NOW)

    t.like(database.prepare('PRAGMA journal_mode').get(), { journal_mode: 'wal' })
    t.like(database.prepare('PRAGMA busy_timeout').get(), { timeout: 0 })
  })

  test.serial(`${driver.name}: a change waits for another process's without stopping this one`, async (t) => {
    const [store, other] = lockedBy(driver)

    const answer = store.create(record('a'), NOW)
    t.true(answer instanceof Promise)
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    other.exec('COMMIT')

    t.true(await answer)
    t.is((await store.read('a', NOW))?.version, 1)
  })

  test(`${driver.name}: a read does not wait for another process's change`, (t) => {
    const [store] = lockedBy(driver)

    t.is(store.read('a', NOW), undefined)
  })

  test.serial(
    `${driver.name}: a database that stays locked is SQLite's own error in the end, and nothing is written`,
    async (t) => {
      const [store, other] = lockedBy(driver)

      t.regex(await failure(() => store.create(record('a'), NOW)), /database is locked/)
      other.exec('COMMIT')

      t.is(await store.read('a', NOW), undefined)
      t.true(await store.create(record('a'), NOW))
    },
  )

  test(`${driver.name}: processes that start together make the table once, and of their changes none is lost`, async (t) => {
    const path = newFile()
    const workers = await Promise.all([1, 2, 3].map(() => worker(driver, 'count', path, 'a', 100)))

    for (const { begin } of workers) begin()
    await Promise.all(workers.map(({ ended }) => ended()))

    const held = await new SqliteStore(driver.open(path)).read('a', Date.now())
    t.like(held, { payload: '300', version: 301 })
  })

  test(`${driver.name}: a process killed while it writes has lost no change that it knew of`, async (t) => {
    const path = newFile()
    const { process: child, begin } = await worker(driver, 'write', path, 'a', 1_000_000)
    let known = 0
    const enough = new Promise<void>((resolve) => {
      child.on('message', (version) => {
        known = Number(version)
        if (known === 200) resolve()
      })
    })

    begin()
    await enough
    child.kill('SIGKILL')
    await once(child, 'exit')

    const database = driver.open(path)
    const held = await new SqliteStore(database).read('a', Date.now())
    t.true(held !== undefined && held.version >= known, `${String(held?.version)} is older than ${known}`)
    t.is(held?.payload, String(held === undefined ? 0 : held.version - 1))
    t.like(database.prepare('PRAGMA integrity_check').get(), { integrity_check: 'ok' })
  })

  test(`${driver.name}: a touch and a plain replace write one page each, and no index`, async (t) => {
    const path = newFile()
    const store = new SqliteStore(driver.open(path))
    await store.create(record('a', { owner: 'ada' }), NOW)
    const before = pages(path)

    await store.touch('a', 1, NOW + 1, NOW + 9000, NOW + 1)
    const touched = pages(path)
    await store.replace(record('a', { version: 2, owner: 'ada', expiresAt: NOW + 9000 }), 1, NOW + 1)

    t.is(touched - before, 1)
    t.is(pages(path) - touched, 1)
  })

  test(`${driver.name}: text that UTF-8 cannot hold comes back as it was, and finds its owner`, async (t) => {
    const store = new SqliteStore(driver.open(':memory:'))
    for (const [index, text] of ['a\0b', '\0', '\ud800', 'x\udfffy', '\u0001', '\u0001"x"', '\u0001\0'].entries()) {
      const odd = record(`key${index}`, { payload: text, owner: text, meta: text })

      await store.create(odd, NOW)

      t.deepEqual(await store.read(odd.key, NOW), odd)
      t.deepEqual((await store.list(text, NOW, 500, undefined)).records, [odd])
    }
  })

  test(`${driver.name}: all sessions of an owner are listed, however many`, async (t) => {
    const store = new SqliteStore(driver.open(':memory:'))
    const names = Array.from({ length: 250 }, (_, index) => `key${index}`)
    for (const key of names) await store.create(record(key, { owner: 'ada' }), NOW)
    await store.create(record('other', { owner: 'bob' }), NOW)

    const listed = (await store.list('ada', NOW, 500, undefined)).records

    t.deepEqual(listed.map(({ key }) => key).sort(), names.sort())
  })

  test(`${driver.name}: a long sweep lets the process work between its steps`, async (t) => {
    const store = new SqliteStore(driver.open(':memory:'))
    for (let index = 0; index < 1000; index++) await store.create(record(`key${index}`), NOW)
    let turns = 0
    let sweeping = true
    const count = (): void => {
      turns++
      if (sweeping) setImmediate(count)
    }
    count()

    const removed = await swept(store, NOW + 1000, 5000)
    sweeping = false

    t.is(removed, 1000)
    t.true(turns >= 9)
  })

  test(`${driver.name}: a sweep gets past any number of records that were touched since they were made`, async (t) => {
    const store = new SqliteStore(driver.open(':memory:'))
    for (let index = 0; index < 300; index++) {
      await store.create(record(`live${index}`), NOW)
      await store.touch(`live${index}`, 1, NOW + 1, NOW + 9000, NOW + 1)
    }
    await store.create(record('ended', { expiresAt: NOW + 1001 }), NOW)

    t.is(await swept(store, NOW + 2000, 1), 1)

    t.false(await store.delete('ended'))
    t.is(await swept(store, NOW + 9000, 1000), 300)
  })

  test(`${driver.name}: two tables of one database know nothing of one another`, async (t) => {
    const database = driver.open(':memory:')
    const [one, two] = [new SqliteStore(database, { table: 'one' }), new SqliteStore(database, { table: 'Two_2' })]
    await one.create(record('a', { owner: 'ada' }), NOW)

    t.is(await two.read('a', NOW), undefined)
    t.deepEqual((await two.list('ada', NOW, 500, undefined)).records, [])
    t.is(await two.deleteExpired(NOW + 9000, 10), 0)
    t.true(await two.create(record('a'), NOW))
    t.true(await one.delete('a'))
    t.not(await two.read('a', NOW), undefined)
  })

  test(`${driver.name}: with createTable false the table is the app's to make, and a failed first use is not remembered`, async (t) => {
    const database = driver.open(':memory:')
    const store = new SqliteStore(database, { table: 'mine', createTable: false })
    t.regex(await failure(() => store.read('a', NOW)), /no such table: mine/)

    database.exec(sqliteSchema('mine'))

    t.true(await store.create(record('a'), NOW))
  })

  test(`${driver.name}: close leaves the caller's database open`, async (t) => {
    const database = driver.open(':memory:')
    const store = new SqliteStore(database)
    await store.create(record('a'), NOW)

    store.close()

    t.like(database.prepare('SELECT count(*) AS count FROM sessions').get(), { count: 1 })
  })
}

/** How a verb fails; an error of libsql's is no native one, which AVA asks for. */
async function failure(verb: () => unknown): Promise<string> {
  try {
    await verb()
  } catch (error) {
    return (error as Error).message
  }
  return 'no failure'
}

/** A store whose file is locked by a transaction on another connection. */
function lockedBy(driver: Driver): [SqliteStore, SqliteDatabase] {
  const path = newFile()
  const store = new SqliteStore(driver.open(path))
  void store.read('a', NOW)
  const other = driver.open(path)
  other.exec('BEGIN IMMEDIATE')
  return [store, other]
}

test('a database that reads whole numbers as bigint still gives numbers', async (t) => {
  const database = libsql.open(':memory:') as Database & { defaultSafeIntegers(on: boolean): void }
  database.defaultSafeIntegers(true)
  const store = new SqliteStore(database)

  await store.create(record('a', { owner: 'ada' }), NOW)

  t.deepEqual(await store.read('a', NOW), record('a', { owner: 'ada' }))
  t.deepEqual((await store.list('ada', NOW, 500, undefined)).records, [record('a', { owner: 'ada' })])
  t.is(await store.replace(record('a', { version: 3 }), 2, NOW), 'stale')
})

if (nodeSqlite === undefined) {
  test('a path where Node has no node:sqlite is refused with the way out', (t) => {
    t.throws(() => new SqliteStore(newFile()), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /node:sqlite.*Node 22\.13.*better-sqlite3 or libsql/,
    })
  })
} else {
  test('a database opened from a path survives a restart and is closed with its store', async (t) => {
    const path = newFile()
    const store = new SqliteStore(path)
    await store.create(record('a'), NOW)
    store.close()
    store.close()

    t.throws(() => store.read('a', NOW), { message: /not open|finalized/ })
    const again = new SqliteStore(path)
    t.not(await again.read('a', NOW), undefined)
    again.close()
  })
}

test('what is neither a path nor a database is refused', (t) => {
  for (const wrong of [undefined, null, 5, {}, { exec: () => undefined }, []]) {
    t.throws(() => new SqliteStore(wrong as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.throws(() => new SqliteStore(''), { code: 'ERR_INVALID_ARG_VALUE' })
})

test('sqliteSchema takes the table as the store does, or its name alone, and refuses what it does not know', (t) => {
  t.is(sqliteSchema({ table: 'mine' }), sqliteSchema('mine'))
  t.is(sqliteSchema({ table: undefined }), sqliteSchema())
  t.throws(() => sqliteSchema({ tabel: 'mine' } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const wrong of [null, 5, []]) {
    t.throws(() => sqliteSchema(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

test('a table name that is no plain identifier is refused, and not repeated', (t) => {
  for (const table of ['', 'a b', 'a"b', 'a;drop table x', '1a', 'sqlite_a', 'x'.repeat(64), 'é']) {
    const error = t.throws(() => new SqliteStore(libsql.open(':memory:'), { table }), { code: 'ERR_INVALID_ARG_VALUE' })
    t.true(table === '' || !error.message.includes(`${table} `))
    t.throws(() => sqliteSchema(table), { code: 'ERR_INVALID_ARG_VALUE' })
    t.throws(() => sqliteSchema({ table }), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  const wrong = { table: 5, createTable: 'no' } as object
  t.throws(() => new SqliteStore(libsql.open(':memory:'), wrong), { code: 'ERR_INVALID_ARG_TYPE' })
})
