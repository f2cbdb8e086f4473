// However many sessions are due, a sweep of a SQL store ends in time for the deadline of its call, and the next one goes on.
import test from 'ava'
import { MysqlStore, type MysqlConnection } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { newRecord, NOW } from '../support/records.ts'
import { libsql } from '../support/sqlite.ts'
import { stopClock } from '../support/stopped-clock.ts'

test.serial('PostgreSQL: a sweep of sessions that still live begins no batch after a second', async (t) => {
  const advance = stopClock(t)
  let asked = 0
  const query = () => {
    asked++
    advance(300)
    return Promise.resolve({ rows: [{ removed: '0', postponed: '500' }] })
  }
  const store = new PostgresStore({ query })

  t.is(await store.deleteExpired(NOW, 1000), 0)
  t.is(asked, 4)
  t.is(await store.deleteExpired(NOW, 1000), 0)
  t.is(asked, 8)
})

test.serial('MySQL: a sweep of sessions that still live begins no batch after a second', async (t) => {
  const advance = stopClock(t)
  let asked = 0
  const rows = Array.from({ length: 500 }, (_, index) => ({ key: Buffer.from(`${index}`), expires_at: `${NOW + 1}` }))
  const query: MysqlConnection['query'] = ({ sql }) => {
    asked++
    advance(300)
    return Promise.resolve([sql.includes('SELECT') ? rows : { affectedRows: 500, insertId: 0, serverStatus: 2 }, []])
  }
  const store = new MysqlStore({ query, execute: query })

  t.is(await store.deleteExpired(NOW, 1000), 0)
  t.is(asked, 4)
  t.is(await store.deleteExpired(NOW, 1000), 0)
  t.is(asked, 8)
})

test.serial('SQLite: a sweep of sessions that still live begins no batch after a second', async (t) => {
  const database = libsql.open(':memory:')
  const store = new SqliteStore(database)
  for (let index = 0; index < 400; index++) {
    const { key } = newRecord()
    await store.create(newRecord({ key, expiresAt: NOW + 1000 }), NOW)
    await store.touch(key, 1, NOW + 1, NOW + 9000, NOW + 1)
  }
  const counting = database.prepare('SELECT count(*) AS due FROM sessions WHERE sweep_at <= ?')
  const due = () => (counting.get(NOW + 2000) as { due: number }).due
  const advance = stopClock(t)
  const slow = {
    exec: (text: string) => database.exec(text),
    prepare(text: string) {
      const statement = database.prepare(text)
      const run = statement.run.bind(statement)
      statement.run = (...values: number[]) => {
        advance(100)
        return run(...values)
      }
      return statement
    },
  }
  const sweeping = new SqliteStore(slow)

  t.is(await sweeping.deleteExpired(NOW + 2000, 1000), 0)
  t.is(due(), 150)
  t.is(await sweeping.deleteExpired(NOW + 2000, 1000), 0)
  t.is(due(), 0)
})
