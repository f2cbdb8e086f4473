// Portions of a SqliteStore's sessions: complete, without what is over or damaged, and never long at a time.
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import test from 'ava'
import { CorruptRecord } from '../../src/store.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { checkPortions, keysListed, listed, scanned, timesScanned } from '../support/portions.ts'
import { newRecord, NOW } from '../support/records.ts'
import { temporaryFolder } from '../support/service.ts'
import { drivers, type Database, type Driver } from '../support/sqlite.ts'

/** Many sessions at once, in one transaction of another connection. */
function fill(
  database: Database,
  count: number,
  fields: { owner: string | null; expiresAt: number; payload: string },
): void {
  database.exec('BEGIN')
  const insert = database.prepare(
    `INSERT INTO sessions (key, version, owner, created_at, last_seen_at, expires_at, sweep_at, payload)
     VALUES (?, 1, ?, ${NOW}, ${NOW}, ?, ?, ?)`,
  )
  for (let index = 0; index < count; index++) {
    const { key } = newRecord()
    insert.run(key, fields.owner, fields.expiresAt, fields.expiresAt, fields.payload)
  }
  database.exec('COMMIT')
}

function storeOf(driver: Driver): { store: SqliteStore; database: Database; own: Database; path: string } {
  const path = join(temporaryFolder(), 'sessions.db')
  const own = driver.open(path)
  const store = new SqliteStore(own)
  void store.read('a', NOW)
  const database = driver.open(path)
  database.exec('PRAGMA synchronous = OFF')
  return { store, database, own, path }
}

/** A store whose log has grown, since a reader still needs the oldest of it; `limit` is the length at which SQLite copies. */
function longLogOf(driver: Driver) {
  const { store, database, path, own } = storeOf(driver)
  fill(database, 2000, { owner: null, expiresAt: NOW + 1000, payload: 'x'.repeat(1500) })
  const reader = driver.open(path)
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) AS count FROM sessions').get()
  database.exec('PRAGMA wal_autocheckpoint = 0')
  for (let round = 0; round < 6; round++) {
    database.exec("UPDATE sessions SET version = version + 1, payload = payload || 'y'")
  }
  const limit = () =>
    Number((own.prepare('PRAGMA wal_autocheckpoint').get() as Record<string, unknown>)['wal_autocheckpoint'])
  return { store, database, own, path, reader, limit }
}

/** What a piece of work answers, the turns of the event loop in it, and the longest of them in milliseconds. */
async function during<Answer>(
  work: () => Promise<Answer>,
): Promise<{ answer: Answer; turns: number; longest: number }> {
  let [turns, longest, last, isOver] = [0, 0, performance.now(), false]
  const turn = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    turns++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  const answer = await work()
  isOver = true
  return { answer, turns, longest }
}

for (const driver of drivers) {
  test(`${driver.name}: portions of every size give each live session once, and no other`, async (t) => {
    const { store } = storeOf(driver)

    await checkPortions(t, store, [1, 7, 50, 120, 121, 1000])

    t.deepEqual(await listed(store, 'nobody', NOW, 10), [])
  })

  test(`${driver.name}: a session that lives through a scan comes once, whatever else comes and goes`, async (t) => {
    const { store, database } = storeOf(driver)

    const times = await timesScanned(store, 200, 20, (portion) => {
      if (portion === 4) database.exec('VACUUM')
    })

    t.deepEqual(times, [1])
  })

  test(`${driver.name}: what was damaged is one ended session, passed over by list and scan, and holds up no verb`, async (t) => {
    const { store, database } = storeOf(driver)
    const whole = newRecord({ owner: 'ada', meta: undefined })
    await store.create(whole, NOW)
    const values = [
      '9223372036854775807',
      '-9223372036854775808',
      '9007199254740993',
      '1e300',
      '0.5',
      "'x'",
      "CAST(x'ff00' AS TEXT)",
      "x'ff00'",
      "char(1) || '{'",
      'zeroblob(100)',
    ]
    for (const column of [
      'version',
      'owner',
      'created_at',
      'last_seen_at',
      'expires_at',
      'meta',
      'payload',
      'sweep_at',
    ]) {
      for (const value of values) {
        const damaged = newRecord({ owner: 'ada' })
        await store.create(damaged, NOW)
        database.exec(`UPDATE sessions SET ${column} = ${value} WHERE key = '${damaged.key}'`)
        const what = `${column} = ${value}`

        try {
          await store.read(damaged.key, NOW)
        } catch (error) {
          t.true(error instanceof CorruptRecord, `${what}: ${String(error)}`)
        }
        t.true(
          (await listed(store, 'ada', NOW, 10)).some(({ key }) => key === whole.key),
          what,
        )
        t.true(
          (await scanned(store, NOW, 10)).some(({ key }) => key === whole.key),
          what,
        )
        t.true((await keysListed(store, 'ada', NOW, 10)).includes(whole.key), what)
        await store.create(damaged, NOW)
        await store.replace({ ...damaged, version: 2 }, 1, NOW)
        await store.touch(damaged.key, 2, NOW, NOW + 1000, NOW)
        await store.deleteExpired(NOW, 10)
        t.true(await store.delete(damaged.key), what)
        t.is(await store.read(damaged.key, NOW), undefined, what)
      }
    }
    const keyed = newRecord({ owner: 'ada' })
    await store.create(keyed, NOW)
    database.exec(`UPDATE sessions SET key = x'ff' WHERE key = '${keyed.key}'`)
    t.deepEqual(await listed(store, 'ada', NOW, 10), [whole])
    t.deepEqual(await scanned(store, NOW, 10), [whole])
  })

  test.serial(`${driver.name}: 100,000 sessions of one owner leave the process its turns`, async (t) => {
    t.timeout(120_000)
    const { store, database } = storeOf(driver)
    fill(database, 100_000, { owner: 'ada', expiresAt: NOW + 1000, payload: 'x'.repeat(300) })

    const keys = await during(() => keysListed(store, 'ada', NOW, 500))
    const list = await during(() => listed(store, 'ada', NOW, 500))
    const scan = await during(() => scanned(store, NOW, 500))

    t.log(driver.name, { keys: keys.longest, list: list.longest, scan: scan.longest })
    t.deepEqual([keys.answer.length, list.answer.length, scan.answer.length], [100_000, 100_000, 100_000])
    t.true(keys.turns >= 400, `${keys.turns} turns for 100,000 keys`)
    t.true(list.turns >= 2000 && scan.turns >= 2000, `${list.turns}, ${scan.turns} turns for 100,000 sessions`)
  })

  test.serial(
    `${driver.name}: sessions that have expired are passed by in batches, and their payloads not read`,
    async (t) => {
      const { store, database } = storeOf(driver)
      fill(database, 10_000, { owner: 'ada', expiresAt: NOW, payload: 'x'.repeat(300) })

      const list = await during(() => listed(store, 'ada', NOW, 10))

      t.deepEqual(list.answer, [])
      t.true(list.turns >= 200)
    },
  )

  test(`${driver.name}: a statement reads few rows where payloads are large, and many again where they are small`, async (t) => {
    const { store, database, own } = storeOf(driver)
    const looks: { rows: number; length: number }[] = []
    const prepare = own.prepare.bind(own)
    const watched = new SqliteStore({
      exec: (sql) => own.exec(sql),
      prepare: (sql) => {
        const statement = prepare(sql)
        return {
          run: (...values: unknown[]) => statement.run(...values),
          get: (...values: unknown[]) => statement.get(...values),
          all: (...values: unknown[]) => {
            const rows = statement.all(...values) as { payload?: string | Uint8Array | null }[]
            looks.push({
              rows: rows.length,
              length: rows.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0),
            })
            return rows
          },
        }
      },
    })
    const large = 400_000
    fill(database, 60, { owner: 'ada', expiresAt: NOW + 1000, payload: 'x'.repeat(large) })

    t.is((await listed(watched, 'ada', NOW, 20)).length, 60)
    t.is((await scanned(watched, NOW, 200)).length, 60)
    const read = looks.splice(0).filter(({ length }) => length > 0)
    t.true(read.length > 1)
    t.deepEqual(
      read.filter(({ rows }) => rows > 16),
      [],
    )
    // Of sizes that are known a megabyte at most.
    t.deepEqual(
      read.slice(1).filter(({ length }) => length > 1024 * 1024),
      [],
    )

    database.exec("UPDATE sessions SET payload = 'x'")
    fill(database, 400, { owner: 'ada', expiresAt: NOW + 1000, payload: 'x' })
    t.is((await listed(watched, 'ada', NOW, 500)).length, 460)
    t.is(looks.at(-3)?.rows, 50)
    await store.delete('a')
  })

  test.serial(`${driver.name}: a sweep of 20,000 sessions leaves the process its turns, and ends`, async (t) => {
    t.timeout(120_000)
    const { store, database } = storeOf(driver)
    fill(database, 20_000, { owner: 'ada', expiresAt: NOW, payload: 'x'.repeat(1000) })

    const sweep = await during(async () => {
      let removed = 0
      while (removed < 20_000) removed += await store.deleteExpired(NOW, 5000)
      return removed
    })

    t.log(driver.name, sweep.longest)
    t.is(sweep.answer, 20_000)
    t.true(sweep.turns >= 800)
  })

  test.serial(
    `${driver.name}: a log that a reader has kept long is copied beside the process, and is short again`,
    async (t) => {
      t.timeout(120_000)
      const { store, database, reader, limit, path } = longLogOf(driver)
      reader.exec('COMMIT')
      t.true(statSync(`${path}-wal`).size > 16 * 1024 * 1024)
      t.is(limit(), 4000)

      await sleep(60) // the length is looked at this often
      await store.create(newRecord(), NOW)
      t.is(limit(), 0) // SQLite copies nothing by itself meanwhile
      while (limit() === 0) {
        await store.create(newRecord(), NOW)
        await sleep(10)
      }

      t.is(limit(), 4000)
      t.true(statSync(`${path}-wal`).size < 4 * 1024 * 1024)
      database.close()
    },
  )

  test.serial(
    `${driver.name}: a log that a reader still holds when the copying gives up is not left to a commit, but after close()`,
    async (t) => {
      t.timeout(120_000)
      const { store, database, reader, limit, path } = longLogOf(driver)
      await sleep(60) // the length is looked at this often
      await store.create(newRecord(), NOW)
      t.is(limit(), 0)

      // The reader stays: the thread, asked to end, leaves the log as it is, and SQLite has it only as the store closes.
      store.close()
      while (limit() === 0) await sleep(10)
      t.is(limit(), 1000)
      t.true(statSync(`${path}-wal`).size > 16 * 1024 * 1024)
      reader.exec('COMMIT')
      database.close()
    },
  )

  test.serial(
    `${driver.name}: the thread that a write begins on a database which the app has closed is listened to, and ends`,
    async (t) => {
      const { store, database, own, reader } = longLogOf(driver)
      const begun = once(process, 'worker') as Promise<[Worker]>
      own.close()

      t.throws(() => store.create(newRecord(), NOW), { any: true, message: /not open/ })

      const [thread] = await begun
      // An error that nobody hears ends the process.
      t.deepEqual([thread.listenerCount('error'), thread.listenerCount('exit')], [1, 1])
      thread.ref() // by itself it does not hold the process
      const ended = once(thread, 'exit')
      store.close()
      await ended
      reader.exec('COMMIT')
      database.close()
    },
  )
}
