// A proxy that does not prepare statements may answer with error 1047, as Mycat does, and not with 1295.
import test from 'ava'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { NOW } from '../support/records.ts'

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
