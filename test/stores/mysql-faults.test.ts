// What happens to a MysqlStore when its server or its connections die, or the server undoes what it was doing. Each test
// has the server to itself.
import test from 'ava'
import type mysql from 'mysql2/promise'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { checkRestartUnderLoad, lasting } from '../support/killed-server.ts'
import { openMysql } from '../support/mysql-clients.ts'
import { startProxy } from '../support/proxy.ts'
import { NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { server, clients, stop } = await openMysql()
const restart = server?.restart
const testWithServer = server === undefined ? test.skip : test.serial
// A server that the tests did not start is not theirs to kill.
const testWithOwnServer = restart === undefined ? test.skip : test.serial
test.after.always(stop)

const table = freshName()
const admin = clients.pool()
const store = new MysqlStore(clients.pool(), { table })

/** Resolves once a statement on the table runs or stands in line, with the connection that it came by. */
async function running(): Promise<number> {
  const sql = 'SELECT ID AS id FROM information_schema.PROCESSLIST WHERE INSTR(INFO, ?) > 0 AND ID <> CONNECTION_ID()'
  for (const end = Date.now() + 10_000; ;) {
    const [[first]] = await admin.query<mysql.RowDataPacket[]>(sql, [table])
    if (first !== undefined) return Number(first['id'])
    if (Date.now() > end) throw new Error('nobody waits')
  }
}

/** Locks a record in a transaction of another connection, until `release`. */
async function lock(key: string): Promise<() => Promise<void>> {
  const holder = await admin.getConnection()
  await holder.query('BEGIN')
  await holder.query(`SELECT 1 FROM ${table} WHERE \`key\` = ? FOR UPDATE`, [key])
  return async () => {
    await holder.query('ROLLBACK')
    holder.release()
  }
}

testWithServer('a connection that is killed under a statement is a loud error, and the next call works', async (t) => {
  await store.create(lasting('a'), NOW)
  const release = await lock('a')

  const answer = t.throwsAsync(store.replace(lasting('a', { version: 2 }), 1, NOW))
  await admin.query(`KILL CONNECTION ${await running()}`)
  await answer
  await release()

  t.is((await store.read('a', NOW))?.version, 1)
  t.is(await store.replace(lasting('a', { version: 2 }), 1, NOW), 'done')
})

testWithServer('a lost connection fails every call, and never answers that a session is missing', async (t) => {
  const connection = await clients.connection()
  connection.on('error', () => undefined) // the loss that is meant
  const alone = new MysqlStore(connection, { table })
  await alone.create(lasting('c'), NOW)
  const ended = new Promise((resolve) => connection.once('end', resolve))

  await admin.query(`KILL CONNECTION ${connection.threadId}`)
  await ended

  await t.throwsAsync(alone.read('c', NOW))
  await t.throwsAsync(alone.replace(lasting('c', { version: 2 }), 1, NOW))
})

testWithServer('a lock that is held too long is an error with its code, and nothing was written', async (t) => {
  const impatient = new MysqlStore(clients.pool({}, ['innodb_lock_wait_timeout = 1']), { table })
  await impatient.create(lasting('d'), NOW)
  const release = await lock('d')
  const began = performance.now()

  await t.throwsAsync(impatient.delete('d'), { code: 'ER_LOCK_WAIT_TIMEOUT' as never })

  // Without the setting it would be fifty seconds.
  t.true(performance.now() - began < 40_000)
  await release()
  t.is((await store.read('d', NOW))?.version, 1)
})

testWithServer('a lock that comes free in time is waited for, beyond the time that the server waits', async (t) => {
  const impatient = new MysqlStore(clients.pool({}, ['innodb_lock_wait_timeout = 1']), { table })
  await impatient.create(lasting('e'), NOW)
  const release = await lock('e')
  const refusals = async (): Promise<number> => {
    const [[row]] = await admin.query<mysql.RowDataPacket[]>(
      "SELECT COUNT AS count FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_timeouts'",
    )
    return Number(row?.['count'])
  }
  await admin.query("SET GLOBAL innodb_monitor_enable = 'lock_timeouts'")
  const before = await refusals()

  const answer = impatient.delete('e')
  for (const end = Date.now() + 5000; (await refusals()) === before && Date.now() < end;);
  await release()

  t.true(await answer)
  t.true((await refusals()) > before)
})

for (const isolation of ['REPEATABLE READ', 'READ COMMITTED', 'SERIALIZABLE']) {
  testWithServer(`${isolation}: many that write, end and sweep the same records at once deadlock nobody`, async (t) => {
    t.timeout(60_000)
    const many = Array.from(
      { length: 4 },
      () =>
        new MysqlStore(clients.pool({ connectionLimit: 4 }, [`SESSION TRANSACTION ISOLATION LEVEL ${isolation}`]), {
          table,
        }),
    )
    const keys = Array.from({ length: 6 }, (_, index) => `${isolation}${index}`)
    let [created, done, deleted] = [0, 0, 0]
    const work = async (of: MysqlStore, turn: number): Promise<void> => {
      for (let round = 0; round < 40; round++) {
        const key = keys[(turn * 7 + round * 5) % keys.length] ?? ''
        const owner = round % 3 === 0 ? undefined : `owner${(turn + round) % 4}`
        if (await of.create(lasting(key, { owner, expiresAt: NOW + 5 + (round % 9) }), NOW)) created++
        const held = await of.read(key, NOW)
        if (held !== undefined) {
          const next = { ...held, version: held.version + 1, owner: `owner${round % 4}` }
          if ((await of.replace(next, held.version, NOW)) === 'done') done++
          await of.touch(key, held.version + 1, NOW + 1, NOW + 20, NOW)
        }
        if (round % 4 === 0 && (await of.delete(key))) deleted++
        if (round % 5 === 0) deleted += await of.deleteExpired(NOW + 10, 3)
      }
    }

    await Promise.all(many.flatMap((one, at) => [0, 1, 2, 3].map((turn) => work(one, at * 4 + turn))))

    let left = 0
    for (const key of keys) if (await store.delete(key)) left++
    // A create that takes the place of an expired record removes that one.
    t.true(done > 0 && created >= deleted + left, `${created} made, ${deleted} deleted, ${left} left`)
  })

  testWithServer(
    `${isolation}: of many creates of one key, and of many replaces of one version, one succeeds`,
    async (t) => {
      const settings = [`SESSION TRANSACTION ISOLATION LEVEL ${isolation}`]
      const many = Array.from(
        { length: 5 },
        () => new MysqlStore(clients.pool({ connectionLimit: 4 }, settings), { table }),
      )
      const all = [...many, ...many, ...many, ...many]
      for (let round = 0; round < 20; round++) {
        const key = `one ${isolation} ${round}`

        const made = await Promise.all(all.map((one) => one.create(lasting(key), NOW)))
        const done = await Promise.all(
          all.map((one) => one.replace(lasting(key, { version: 2, owner: 'ada' }), 1, NOW)),
        )
        // An expired record gives way to exactly one.
        const again = await Promise.all(
          all.map((one) => one.create(lasting(key, { expiresAt: NOW * 2 }), NOW + 1_000_000)),
        )
        const removed = await Promise.all(all.map((one) => one.delete(key)))

        const count = (answers: readonly unknown[], wanted: unknown): number =>
          answers.filter((one) => one === wanted).length
        t.deepEqual([count(made, true), count(done, 'done'), count(again, true), count(removed, true)], [1, 1, 1, 1])
        t.is(count(done, 'stale'), all.length - 1)
      }
    },
  )
}

testWithServer('connections that are cut are loud errors, and the pool connects again', async (t) => {
  const proxy = await startProxy(server?.port ?? 0)
  t.teardown(() => proxy.close())
  const cut = new MysqlStore(clients.pool({ port: proxy.port }), { table })
  await cut.create(lasting('cut'), NOW)
  for (let version = 1; version <= 5; version++) {
    proxy.reset()
    // The pool learns of it in its own time; until then a call may fail, and then one after it does not.
    for (let tries = 0; ; tries++) {
      const answer = await cut.replace(lasting('cut', { version: version + 1 }), version, NOW).catch(() => undefined)
      if (answer === 'done') break
      t.is(answer, undefined)
      if (tries > 20) throw new Error('the pool does not connect again')
    }
  }
  t.is((await store.read('cut', NOW))?.version, 6)
})

testWithServer('an answer that is lost is an error, and the write may have been done', async (t) => {
  const proxy = await startProxy(server?.port ?? 0)
  t.teardown(() => proxy.close())
  const single = new MysqlStore(clients.pool({ port: proxy.port, connectionLimit: 1 }), { table })
  await single.create(lasting('lost'), NOW)
  await single.replace(lasting('lost', { version: 2 }), 1, NOW) // prepared from now on
  const lost = proxy.loseAnswer()

  await t.throwsAsync(single.replace(lasting('lost', { version: 3 }), 2, NOW))
  await lost
  await t.throwsAsync(single.read('lost', NOW))
  proxy.mode = 'pass'

  t.is((await single.read('lost', NOW))?.version, 3)
})

testWithServer(
  'a server that swallows everything keeps nobody for ever, and is served again when it is back',
  async (t) => {
    const proxy = await startProxy(server?.port ?? 0)
    t.teardown(() => proxy.close())
    const pool = clients.pool({ port: proxy.port, connectionLimit: 2 })
    const swallowed = new MysqlStore(pool, { table })
    await swallowed.create(lasting('hole'), NOW)
    proxy.mode = 'black hole'
    const answers = [1, 2, 3].map(() => t.throwsAsync(swallowed.read('hole', NOW)))
    await new Promise((resolve) => setImmediate(resolve))

    // What stands in line behind the two gets a connection of its own once they are ended.
    proxy.mode = 'refuse'
    proxy.cut()
    await Promise.all(answers)
    proxy.mode = 'pass'

    t.is((await swallowed.read('hole', NOW))?.version, 1)
  },
)

for (const [signal, manner] of [
  ['SIGTERM', 'stopped'],
  ['SIGKILL', 'killed'],
] as const) {
  testWithOwnServer(
    `a server that is ${manner} under load loses no acknowledged change, and all works when it is back`,
    async (t) => {
      t.timeout(60_000)
      await checkRestartUnderLoad(
        t,
        store,
        signal,
        async () => restart?.(signal),
        (key) => store.read(key, NOW).catch(() => store.read(key, NOW)),
      )
    },
  )
}
