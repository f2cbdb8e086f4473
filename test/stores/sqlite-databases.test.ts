// The databases that a SqliteStore is given, the tables and names that it finds in them, and what is no such database.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { SqliteStore, sqliteSchema, type SqliteDatabase } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers, libsql, nodeSqlite, type Database } from '../support/sqlite.ts'

const run = promisify(execFile)
const require = createRequire(import.meta.url)

/** What a verb throws or rejects with; libsql's errors are no native ones, which AVA asks for. */
async function failure(verb: () => unknown): Promise<{ code?: string; message: string }> {
  try {
    await verb()
  } catch (error) {
    return error as { code?: string; message: string }
  }
  return { message: 'no failure' }
}

for (const driver of drivers) {
  test(`${driver.name}: a table that was dropped comes back, at a read and at a write`, async (t) => {
    const path = join(temporaryFolder(), 'sessions.db')
    const [store, other] = [new SqliteStore(driver.open(path)), driver.open(path)]
    for (let round = 0; round < 2; round++) {
      t.true(await store.create(newRecord({ owner: 'ada' }), NOW))
      other.exec('DROP TABLE sessions')
      t.is(await store.read('a', NOW), undefined)
      other.exec('DROP TABLE sessions')
    }
    t.true(await store.create(newRecord({ owner: 'ada' }), NOW))
    t.is((await store.listKeys('ada', NOW, 10, undefined)).keys.length, 1)
  })

  test(`${driver.name}: an index is made under another name where its own is taken`, async (t) => {
    const database = driver.open(':memory:')
    database.exec('CREATE TABLE sessions_owner (x); CREATE TABLE o (x); CREATE INDEX sessions_sweep ON o (x)')
    const store = new SqliteStore(database)

    await store.create(newRecord({ owner: 'ada' }), NOW)
    await new SqliteStore(database).create(newRecord({ owner: 'ada' }), NOW)

    const indexes = database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'sessions'")
      .all()
    t.is(indexes.length, 3)
    const plan = JSON.stringify(
      database.prepare("EXPLAIN QUERY PLAN SELECT key FROM sessions WHERE owner = 'a' AND key > '' ORDER BY key").all(),
    )
    t.regex(plan, /sessions_owner_2/)
  })

  test(`${driver.name}: a table that is another one is an error that says what to do, and is left as it was`, async (t) => {
    for (const createTable of [true, false]) {
      for (const columns of ['sid TEXT, sess TEXT', 'id INTEGER PRIMARY KEY, key INTEGER, owner TEXT', 'key TEXT']) {
        const database = driver.open(':memory:')
        database.exec(`CREATE TABLE sessions (${columns})`)
        const store = new SqliteStore(database, { createTable })

        for (const verb of [() => store.create(newRecord(), NOW), () => store.read('a', NOW)]) {
          const error = await failure(verb)
          t.is(error.code, 'ERR_SESSION_STORE')
          t.regex(error.message, /another table.*options\.table/)
        }
        t.is(
          database.prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").all().length,
          0,
        )
      }
    }
  })

  test(`${driver.name}: the schema for others makes what the store makes`, async (t) => {
    const [made, given] = [driver.open(':memory:'), driver.open(':memory:')]
    await new SqliteStore(made).read('a', NOW)
    given.exec(sqliteSchema())
    const names = (database: Database) => database.prepare('SELECT name FROM sqlite_master ORDER BY name').all()
    const plain = (rows: unknown[]) => rows.map((row) => (row as { name: string }).name)
    t.deepEqual(plain(names(given)), plain(names(made)))
    t.true(await new SqliteStore(given, { createTable: false }).create(newRecord(), NOW))
  })
}

test('a database that answers by callback or by promise is refused, with words', async (t) => {
  const callback = { exec: () => undefined, prepare: () => undefined, parallelize: () => undefined }
  t.throws(() => new SqliteStore(callback as unknown as SqliteDatabase), { message: /sqlite3 answers by callback/ })

  const later = { exec: () => Promise.resolve(), prepare: () => Promise.resolve() }
  const store = new SqliteStore(later as unknown as SqliteDatabase)
  t.regex((await failure(() => store.read('a', NOW))).message, /answers with a promise/)

  const silent = { exec: () => undefined, prepare: () => ({ run: () => true, get: () => undefined, all: () => [] }) }
  const other = new SqliteStore(silent as unknown as SqliteDatabase, { createTable: false })
  t.regex((await failure(() => other.delete('a'))).message, /did not say what a statement changed/)
})

test('options that the store does not know, and of other types, are refused', async (t) => {
  for (const wrong of [{ tableName: 'x' }, { filename: 'x' }, null, 'sessions', [], { table: 5 }, { createTable: 1 }]) {
    const error = await failure(() => new SqliteStore(libsql.open(':memory:'), wrong as object))
    t.regex(error.code ?? '', /^ERR_INVALID_ARG_/)
  }
})

test('a module that exports null or throws at a look, loaded before the library of a database, stops no verb', async (t) => {
  const folder = temporaryFolder()
  const { cache } = require
  const library = require.resolve('libsql')
  const loaded = cache[library]
  // The modules are looked through in the order in which they were loaded.
  Reflect.deleteProperty(cache, library)
  for (const exported of ['null', "{ get default() { throw new Error('not to be looked at') } }"]) {
    const path = join(folder, `${exported.length}.cjs`)
    writeFileSync(path, `module.exports = ${exported}`)
    require(path)
    t.teardown(() => Reflect.deleteProperty(cache, path))
  }
  cache[library] = loaded
  const database = libsql.open(join(folder, 'sessions.db'))
  const store = new SqliteStore(database)
  const record = newRecord({ meta: undefined })

  t.true(await store.create(record, NOW))
  t.deepEqual(await store.read(record.key, NOW), record)
  // The library was found behind it: a thread copies the log, and SQLite only a longer one.
  t.like(database.prepare('PRAGMA wal_autocheckpoint').get(), { wal_autocheckpoint: 4000 })
  // The connection is the app's: it gets back what SQLite does by itself.
  store.close()
  t.like(database.prepare('PRAGMA wal_autocheckpoint').get(), { wal_autocheckpoint: 1000 })
})

test('an address that is no file is refused, and so is one with parameters or without its whole path', async (t) => {
  for (const wrong of ['libsql://host/db', 'https://host/db', 'file:sessions.db', 'file:///a?mode=ro', 'a\0b', '']) {
    for (const given of URL.canParse(wrong) ? [wrong, new URL(wrong)] : [wrong]) {
      if (given instanceof URL && wrong === 'file:sessions.db') continue // a URL of it is an absolute one
      t.is((await failure(() => new SqliteStore(given))).code, 'ERR_INVALID_ARG_VALUE', wrong)
    }
  }
})

if (nodeSqlite !== undefined) {
  test('a file: URL, as a URL or as text, is opened like its path', async (t) => {
    const path = join(temporaryFolder(), 'a b.db')
    const record = newRecord({ meta: undefined })
    for (const given of [path, pathToFileURL(path), pathToFileURL(path).href]) {
      const store = new SqliteStore(given)
      await store.create(record, NOW)
      t.deepEqual(await store.read(record.key, NOW), record)
      store.close()
    }
  })

  if (process.platform === 'linux') {
    test.serial('two SQLite libraries of one process on one file are told', async (t) => {
      const path = join(temporaryFolder(), 'sessions.db')
      const app = libsql.open(path)
      app.exec('PRAGMA journal_mode = WAL')
      app.exec('CREATE TABLE orders (id)')
      const warned = once(process, 'warning') as Promise<[Error & { code?: string }]>

      const store = new SqliteStore(path)
      await store.read('a', NOW)

      const [warning] = await warned
      t.is(warning.code, 'KOA_FASTSESSION_TWO_SQLITE_LIBRARIES')
      store.close()
    })
  }
}

const bun = fileURLToPath(new URL('../../node_modules/@oven/bun-linux-x64/bin/bun', import.meta.url))
const testWithBun = existsSync(bun) ? test : test.skip

testWithBun('bun:sqlite keeps sessions as the others do', async (t) => {
  const program = join(temporaryFolder(), 'bun.ts')
  const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)))
  writeFileSync(
    program,
    `import { Database } from 'bun:sqlite'
import { storeChecks } from ${source('conformance.ts')}
import { SqliteStore } from ${source('stores/sqlite.ts')}
let passed = 0
const store = new SqliteStore(new Database(${JSON.stringify(join(temporaryFolder(), 'bun.db'))}))
for (const { title, run } of storeChecks) {
  try {
    await run(store)
    passed++
  } catch (error) {
    console.log(title, error)
  }
}
console.log(passed === storeChecks.length ? 'all' : 'not all')
`,
  )

  const { stdout } = await run(bun, [program])

  t.is(stdout.trim(), 'all')
})
