// Error 1047, an unknown command: a node of a Galera cluster that has lost the others answers each statement with it and keeps
// its connections, and Mycat, a proxy, answers it to what prepares a statement.
import test from 'ava'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { keyed, NOW } from '../support/records.ts'

test('a connection to a node that serves no more is given up, so that the next one may reach another node', async (t) => {
  const given = { released: 0, destroyed: 0 }
  const refusal = {
    code: 'ER_UNKNOWN_COM_ERROR',
    errno: 1047,
    sqlState: '08S01',
  }
  const refuse = () =>
    Promise.reject(Object.assign(new Error('WSREP has not yet prepared node for application use'), refusal))
  const pool = {
    execute: refuse,
    query: refuse,
    getConnection: () =>
      Promise.resolve({
        config: {},
        execute: refuse,
        query: refuse,
        release: () => given.released++,
        destroy: () => given.destroyed++,
      }),
  }
  const store = new MysqlStore(pool)

  await t.throwsAsync(store.read('a', NOW), {
    code: 'ER_UNKNOWN_COM_ERROR' as never,
  })
  await t.throwsAsync(store.create(keyed('a'), NOW), {
    code: 'ER_UNKNOWN_COM_ERROR' as never,
  })

  t.deepEqual(given, { released: 0, destroyed: 2 })
})

test('statements are sent whole where a proxy does not know the command that prepares', async (t) => {
  const given = { released: 0, destroyed: 0 }
  const refusal = { code: 'ER_UNKNOWN_COM_ERROR', errno: 1047, sqlState: 'HY000' }
  const connection = {
    config: {},
    execute: () => Promise.reject(Object.assign(new Error('Prepare unsupported!'), refusal)),
    query: () => Promise.resolve<[unknown, unknown]>([[], []]),
    release: () => given.released++,
    destroy: () => given.destroyed++,
  }
  const store = new MysqlStore({ ...connection, getConnection: () => Promise.resolve(connection) })

  t.is(await store.read('a', NOW), undefined)
  t.is(await store.read('a', NOW), undefined)

  t.deepEqual(given, { released: 2, destroyed: 1 })
})
