// A subscriber's function that hands out the app's Pool, or a connection of it.
import { EventEmitter } from 'node:events'
import test from 'ava'
import pg from 'pg'
import { PostgresStore } from '../../src/stores/postgres.ts'
import type { PostgresSubscriber } from '../../src/stores/postgres/listener.ts'
import { postgres } from '../support/postgres.ts'
import { NOW } from '../support/records.ts'
import { freshName, until } from '../support/service.ts'

const server = await postgres()
const testWithServer = server === undefined ? test.skip : test

function newPool(max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: server?.url, max, connectionTimeoutMillis: 2000 })
  return pool.on('error', () => undefined)
}

test.after.always(() => server?.stop())

testWithServer('the Pool of the app is not ended with the store, and counts for no subscription', async (t) => {
  const pool = newPool(2)
  t.teardown(() => void pool.end().catch(() => undefined))
  const store = new PostgresStore(pool, { table: freshName(), subscriber: () => pool as unknown as PostgresSubscriber })
  const heard: unknown[] = []
  store.subscribe?.((key) => heard.push(key))
  // LISTEN on a connection of the Pool would be confirmed by `undefined`, and nothing would be heard over it.
  await store.read('a', NOW)
  await store.read('a', NOW)

  store.close()
  await new Promise((resolve) => setImmediate(resolve))

  t.deepEqual(heard, [])
  t.is(await store.read('a', NOW), undefined)
})

testWithServer('lost connections of pool.connect() take up no place of the Pool', async (t) => {
  const [pool, admin] = [newPool(2), newPool(1)]
  t.teardown(() => void Promise.all([pool.end(), admin.end()]))
  const pids: unknown[] = []
  let failure: unknown
  const store = new PostgresStore(pool, {
    table: freshName(),
    subscriber: async () => {
      const client = await pool.connect().catch((error: unknown) => {
        failure = error
        throw error
      })
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
      pids.push(rows[0]?.pid)
      return client
    },
  })
  store.subscribe?.(() => undefined)
  const made = async (times: number) => {
    await until(
      () => pids.length >= times || failure !== undefined,
      () => `made ${pids.length} connections`,
    )
    t.is(failure, undefined)
  }

  for (let cut = 1; cut <= 2; cut++) {
    await made(cut)
    await admin.query('SELECT pg_terminate_backend($1)', [pids.at(-1)])
  }
  await made(3)

  store.close()
})

testWithServer('a connection of pool.connect() that listened does not go back to the Pool', async (t) => {
  const pool = newPool(2)
  t.teardown(() => pool.end())
  const store = new PostgresStore(pool, { table: freshName(), subscriber: () => pool.connect() })
  await new Promise<void>((resolve) => store.subscribe?.(() => resolve()))
  const released = new Promise((resolve) => pool.once('release', resolve))
  store.close()
  t.is(await released, true)

  const { rows } = await pool.query('SELECT pg_listening_channels()')
  t.deepEqual(rows, [])
})

/** What the types ask of a listening connection, and what a Client of pg.native has: it has no `escapeIdentifier`. */
class Connection extends EventEmitter implements PostgresSubscriber {
  isEnded = false
  readonly asked: string[] = []

  query({ text }: { text: string }): Promise<unknown> {
    this.asked.push(text)
    return Promise.resolve({ rows: [] })
  }

  end(): Promise<void> {
    this.isEnded = true
    return Promise.resolve()
  }
}

test('a connection of another make, such as a Client of pg.native, listens, and is ended with the store', async (t) => {
  const made: Connection[] = []
  const client = { query: () => Promise.resolve({ rows: [] }) }
  const subscriber = () => {
    const connection = new Connection()
    made.push(connection)
    return connection
  }
  const store = new PostgresStore(client, { table: freshName(), subscriber })
  const told = new Promise<void>((resolve) => store.subscribe?.(() => resolve()))
  await told
  store.close()
  await new Promise((resolve) => setImmediate(resolve))

  t.deepEqual(
    made.map(({ asked, isEnded }) => [asked.length, isEnded]),
    [[1, true]],
  )
})
