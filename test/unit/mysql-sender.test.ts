import test from 'ava'
import { Sender, type MysqlConnection, type MysqlQuery } from '../../src/stores/mysql/sender.ts'

/** A connection whose own options are these, and what it was asked. */
function connectionOf(own: Pick<MysqlConnection, 'config'>) {
  const asked: MysqlQuery[] = []
  const answer = (query: MysqlQuery): Promise<[unknown, unknown]> => {
    asked.push(query)
    return Promise.resolve([[], []])
  }
  return { ...own, asked, execute: answer, query: answer }
}

const castIn = async (
  own: Pick<MysqlConnection, 'config'>,
  isPool: boolean,
): Promise<MysqlQuery['typeCast'] | undefined> => {
  const connection = connectionOf(own)
  const pool = {
    getConnection: () => Promise.resolve({ ...connection, release: () => undefined, destroy: () => undefined }),
  }
  await new Sender(isPool ? pool : connection, undefined).rows({ sql: 'SELECT 1', values: [] })
  return connection.asked[0]?.typeCast
}

for (const [place, isPool] of Object.entries({ 'a connection': false, 'a pool': true })) {
  test(`${place}: an app's own typeCast sees no column of a session`, async (t) => {
    for (const own of [{ config: { typeCast: () => 'nothing' } }, {}]) {
      const cast = await castIn(own, isPool)

      t.is(typeof cast === 'function' && cast('field', () => 'value'), 'value')
    }
  })

  test(`${place}: where the client has no function of columns, none is asked for, which would cost half of a read`, async (t) => {
    for (const typeCast of [true, false, undefined]) t.is(await castIn({ config: { typeCast } }, isPool), true)
  })
}
