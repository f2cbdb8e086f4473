// The table of a MysqlStore: who makes it, how it is read in portions and swept, and what happens where it is locked.
import test from 'ava'
import type mysql from 'mysql2/promise'
import { MysqlStore, mysqlSchema } from '../../src/stores/mysql.ts'
import type { SessionRecord } from '../../src/store.ts'
import { FOREIGN_DEFAULTS, noting, openMysql } from '../support/mysql-clients.ts'
import { keyed, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'
import { checkSweepPastTouched, checkSweepsAtOnce } from '../support/sweep.ts'

const { clients, testWithServer, stop } = await openMysql(FOREIGN_DEFAULTS)
const pool = clients.pool()
test.after.always(stop)

testWithServer('a write inside a transaction of the app is an error: nobody has committed it', async (t) => {
  const own = await clients.connection()
  const store = new MysqlStore(own, { table: freshName() })
  await store.create(keyed('a'), NOW)

  await own.beginTransaction()
  await t.throwsAsync(store.replace(keyed('a', { version: 2 }), 1, NOW), { message: /transaction/ })
  await own.rollback()

  t.is(await store.replace(keyed('a', { version: 2 }), 1, NOW), 'done')
  const off = new MysqlStore(clients.pool({}, ['autocommit = 0']), { table: freshName() })
  await t.throwsAsync(off.create(keyed('a'), NOW), { message: /autocommit/ })
})

/** A store whose only connection the app gave back with an open transaction, and one beside it; `a` is stored. */
async function leaking(): Promise<readonly [leaking: MysqlStore, store: MysqlStore]> {
  const table = freshName()
  const [one, store] = [clients.pool({ connectionLimit: 1 }), new MysqlStore(pool, { table })]
  await store.create(keyed('a'), NOW)
  const given = await one.getConnection()
  await given.beginTransaction()
  given.release()
  return [new MysqlStore(one, { table }), store]
}

testWithServer(
  'a connection that the app gave back with an open transaction fails one write, and is given up',
  async (t) => {
    const [store, beside] = await leaking()
    t.is((await store.read('a', NOW))?.version, 1)
    await beside.replace(keyed('a', { version: 2 }), 1, NOW)

    await t.throwsAsync(store.create(keyed('b'), NOW), { message: /transaction/ })

    t.is((await store.read('a', NOW))?.version, 2)
    t.true(await store.create(keyed('b'), NOW))
  },
)

testWithServer(
  'what is read in a transaction that the app left open may have ended, until a write meets it',
  async (t) => {
    const [store, beside] = await leaking()
    t.truthy(await store.read('a', NOW))
    t.true(await beside.delete('a'))

    t.truthy(await store.read('a', NOW))
    await t.throwsAsync(store.delete('a'), { message: /transaction/ })
    t.is(await store.read('a', NOW), undefined)
  },
)

testWithServer('processes that start together make the table once', async (t) => {
  const table = freshName()
  const stores = Array.from({ length: 8 }, () => new MysqlStore(clients.pool({ connectionLimit: 1 }), { table }))

  const answers = await Promise.all(stores.map((store, index) => store.create(keyed(`key${index}`), NOW)))

  t.deepEqual(answers, Array(8).fill(true))
  const [[made]] = await pool.query<mysql.RowDataPacket[]>(
    'SELECT ENGINE AS engine, ROW_FORMAT AS format FROM information_schema.TABLES WHERE TABLE_NAME = ?',
    [table],
  )
  t.deepEqual({ ...made }, { engine: 'InnoDB', format: 'Dynamic' })
})

testWithServer(
  'the first verbs of a process share one making of the table, and a dropped table comes back',
  async (t) => {
    // Over one connection they all fail before the table is made; over several, one might be told only afterwards.
    const spy = noting(clients.pool({ connectionLimit: 1 }))
    const table = freshName()
    const store = new MysqlStore(spy, { table })

    await Promise.all(Array.from({ length: 10 }, (_, index) => store.create(keyed(`key${index}`), NOW)))
    t.is(spy.texts.filter((text) => text.includes('CREATE TABLE')).length, 1)

    await pool.query(`DROP TABLE ${table}`)
    t.is(await store.replace(keyed('key1', { version: 2 }), 1, NOW), 'gone')
    t.true(await store.create(keyed('key1'), NOW))
  },
)

testWithServer('a table that could not be made is made by a later call', async (t) => {
  const other = freshName()
  const table = freshName()
  await pool.query(`CREATE USER ${other} IDENTIFIED BY 'x'`)
  await pool.query(`GRANT SELECT, INSERT ON test.* TO ${other}`)
  const store = new MysqlStore(clients.pool({ user: other, password: 'x' }), { table })
  const denied = { code: 'ER_TABLEACCESS_DENIED_ERROR' as never, message: /rights .* create .* mysqlSchema/ }
  await t.throwsAsync(store.create(keyed('a'), NOW), denied)

  await pool.query(`GRANT CREATE ON test.${table} TO ${other}`)

  t.true(await store.create(keyed('a'), NOW))
})

testWithServer('with createTable false the table is for others to make, and four rights are enough', async (t) => {
  const table = freshName()
  const user = freshName()
  await pool.query(`CREATE USER ${user} IDENTIFIED BY 'x'`)
  await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO ${user}`)
  const store = new MysqlStore(clients.pool({ user, password: 'x' }), { table, createTable: false })
  await t.throwsAsync(store.create(keyed('a'), NOW), { code: 'ER_NO_SUCH_TABLE' as never })

  for (let times = 0; times < 2; times++) await pool.query(mysqlSchema({ table }))

  t.true(await store.create(keyed('a'), NOW))
  t.is(await store.replace(keyed('a', { version: 2 }), 1, NOW), 'done')
  t.is(await store.deleteExpired(NOW + 1000, 5), 1)
})

testWithServer(
  'list, listKeys and scan give portions of the limit, each live record once, in the order of no clock',
  async (t) => {
    const table = freshName()
    const store = new MysqlStore(pool, { table })
    for (let index = 0; index < 25; index++) {
      await store.create(keyed(`key${index}`, { owner: index % 5 === 0 ? undefined : 'ada' }), NOW)
      await store.create(keyed(`dead${index}`, { owner: 'ada', expiresAt: NOW + 1 }), NOW)
    }
    const all = async (portion: (cursor: string | undefined) => Promise<[string[], string | undefined]>) => {
      const keys: string[] = []
      let [portions, cursor]: [number, string | undefined] = [0, undefined]
      do {
        const [more, next] = await portion(cursor)
        t.true(more.length <= 7)
        keys.push(...more)
        cursor = next
      } while (cursor !== undefined && portions++ < 100)
      return keys.sort()
    }
    const live = Array.from({ length: 25 }, (_, index) => `key${index}`).sort()
    const owned = live.filter((key) => Number(key.slice(3)) % 5 !== 0)

    const keysOf = (records: readonly SessionRecord[]): string[] => records.map(({ key }) => key)
    const listed = await all(async (cursor) => {
      const page = await store.list('ada', NOW + 1, 7, cursor)
      return [keysOf(page.records), page.cursor]
    })
    const listedKeys = await all(async (cursor) => {
      const page = await store.listKeys('ada', NOW + 1, 7, cursor)
      return [[...page.keys], page.cursor]
    })
    const scanned = await all(async (cursor) => {
      const page = await store.scan(NOW + 1, 7, cursor)
      return [keysOf(page.records), page.cursor]
    })

    t.deepEqual(listed, owned)
    t.deepEqual(listedKeys, owned)
    t.deepEqual(scanned, live)
    for (const limit of [0, -1, NaN, 1e9]) {
      const page = await store.list('ada', NOW + 1, limit, undefined)
      t.true(page.records.length === (limit === 1e9 ? 20 : page.records.length))
    }
    const cursor = "'; DROP TABLE x; --"
    t.is((await store.scan(NOW, 1, cursor)).records.length, 1)
  },
)

testWithServer('a portion of an owner is found by the index, whatever else the table holds', async (t) => {
  const table = freshName()
  await pool.query(mysqlSchema({ table }))
  for (let from = 0; from < 20_000; from += 1000) {
    const rows = Array.from({ length: 1000 }, (_, at) => {
      const owner = (from + at) % 2000 === 0 ? 'ada' : `owner${from + at}`
      return `(SHA2(${from + at}, 256), 1, 1, 1, ${NOW + 1000}, ${NOW + 1000}, '${owner}', '{}')`
    })
    const columns = '`key`, version, created_at, last_seen_at, expires_at, sweep_at, owner, payload'
    await pool.query(`INSERT INTO ${table} (${columns}) VALUES ${rows.join()}`)
  }
  await pool.query(`ANALYZE TABLE ${table}`)
  const own = clients.pool({ connectionLimit: 1 })
  const store = new MysqlStore(own, { table })
  const read = async (verb: () => Promise<unknown>): Promise<number> => {
    await own.query('FLUSH STATUS')
    await verb()
    const [counters] = await own.query<mysql.RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return counters.reduce((sum, { Value: value }) => sum + Number(value), 0)
  }

  t.true((await read(() => store.list('ada', NOW, 50, undefined))) <= 30)
  t.true((await read(() => store.listKeys('owner7', NOW, 50, undefined))) <= 5)
  t.true((await read(() => store.scan(NOW, 50, undefined))) <= 110)
  t.true((await read(() => store.read('x', NOW))) <= 5)
  t.true((await read(() => store.deleteExpired(NOW, 50))) <= 5)
})

testWithServer('sweeps of several processes remove each record once', async (t) => {
  const table = freshName()
  const stores = [1, 2, 3].map(() => new MysqlStore(clients.pool({ connectionLimit: 1 }), { table }))
  await stores[0]?.read('a', NOW)

  await checkSweepsAtOnce(t, stores, 3)
})

testWithServer('a sweep does not wait for a record that another process holds', async (t) => {
  const table = freshName()
  const store = new MysqlStore(pool, { table })
  const holder = await clients.connection()
  for (const key of ['a', 'b', 'c']) await store.create(keyed(key), NOW)
  await holder.query('BEGIN')
  await holder.query(`SELECT 1 FROM ${table} WHERE \`key\` = 'b' FOR UPDATE`)

  t.is(await store.deleteExpired(NOW + 1000, 10), 2)

  await holder.query('COMMIT')
  t.is(await store.deleteExpired(NOW + 1000, 10), 1)
})

testWithServer('a sweep removes and postpones records where the server has sql_safe_updates', async (t) => {
  const store = new MysqlStore(clients.pool({}, ['sql_safe_updates = 1']), { table: freshName() })
  for (const key of ['a', 'b', 'c', 'd']) await store.create(keyed(key), NOW)
  await store.touch('d', 1, NOW + 1, NOW + 9000, NOW + 1)

  t.is(await store.deleteExpired(NOW + 1000, 2), 2)
  t.is(await store.deleteExpired(NOW + 1000, 10), 1)
  t.not(await store.read('d', NOW + 1000), undefined)
  t.is(await store.deleteExpired(NOW + 9000, 10), 1)
})

testWithServer('a sweep gets past any number of records that were touched since they were made', async (t) => {
  const store = new MysqlStore(pool, { table: freshName() })
  await store.read('a', NOW)

  await checkSweepPastTouched(t, store)
})

/** A store with a record `a`, and a transaction of somebody else that has changed it and is still open. */
async function changedElsewhere(isolation: string, change: (table: string) => string) {
  const table = freshName()
  const store = new MysqlStore(clients.pool({}, [`SESSION TRANSACTION ISOLATION LEVEL ${isolation}`]), { table })
  const holder = await clients.connection()
  await store.create(keyed('a'), NOW)
  await holder.query('BEGIN')
  await holder.query(change(table))
  return { table, store, holder }
}

for (const isolation of ['REPEATABLE READ', 'READ COMMITTED']) {
  testWithServer(`${isolation}: a replace that waits for a record which is then removed is gone`, async (t) => {
    const { table, store, holder } = await changedElsewhere(
      isolation,
      (name) => `DELETE FROM ${name} WHERE \`key\` = 'a'`,
    )

    const answers = [store.replace(keyed('a', { version: 2 }), 1, NOW), store.touch('a', 1, NOW, NOW + 5000, NOW)]
    await waitingForALock(table, 2)
    await holder.query('COMMIT')

    t.deepEqual(await Promise.all(answers as Promise<unknown>[]), ['gone', false])
  })

  testWithServer(`${isolation}: a replace that waits for a record which is then replaced is stale`, async (t) => {
    const { table, store, holder } = await changedElsewhere(
      isolation,
      (name) => `UPDATE ${name} SET version = 2 WHERE \`key\` = 'a'`,
    )

    const answer = store.replace(keyed('a', { version: 2 }), 1, NOW)
    await waitingForALock(table, 1)
    await holder.query('COMMIT')

    t.is(await answer, 'stale')
  })
}

testWithServer('tables know nothing of one another', async (t) => {
  const table = freshName()
  const [one, other] = [new MysqlStore(pool, { table }), new MysqlStore(pool, { table: `${table}_b` })]
  await one.create(keyed('a', { owner: 'ada' }), NOW)

  t.is(await other.read('a', NOW), undefined)
  t.deepEqual(await other.list('ada', NOW, 10, undefined), { records: [], cursor: undefined })
  t.is(await other.deleteExpired(NOW + 9000, 10), 0)
  t.false(await other.delete('a'))
  t.deepEqual(await one.read('a', NOW), keyed('a', { owner: 'ada' }))
})

/** Resolves once so many statements on that table stand in line. */
async function waitingForALock(table: string, count: number): Promise<void> {
  const sql =
    "SELECT trx_id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND INSTR(trx_query, ?) > 0"
  for (const end = Date.now() + 20_000; ;) {
    const [rows] = await pool.query<mysql.RowDataPacket[]>(sql, [table])
    if (rows.length >= count) return
    if (Date.now() > end) throw new Error('nobody waits for a lock')
    // InnoDB refreshes this table ten times a second.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
