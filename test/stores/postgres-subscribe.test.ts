// What a PostgresStore announces, who hears it, and what a watcher learns while the connection is gone.
import test from 'ava'
import pg from 'pg'
import { PostgresStore, type PostgresStoreOptions } from '../../src/stores/postgres.ts'
import { Listener, type PostgresSubscriber } from '../../src/stores/postgres/listener.ts'
import { openPostgres } from '../support/postgres-clients.ts'
import { startProxy } from '../support/proxy.ts'
import { newRecord, NOW } from '../support/records.ts'
import { freshName } from '../support/service.ts'

const { server, closing, newPool, newClient, testWithServer, stop } = await openPostgres()
test.after.always(stop)
const url = new URL(server?.url ?? 'postgres://localhost')
const pool = newPool()

/** A watcher that can be waited for; an `undefined` is kept like a key. */
class Heard {
  readonly all: (string | undefined)[] = []
  #next = deferred()

  readonly onEnd = (key: string | undefined): void => {
    this.all.push(key)
    this.#next.resolve()
    this.#next = deferred()
  }

  /** Resolves once the key has been heard since the given place; the test's own deadline bounds it. */
  async of(key: string | undefined, from = 0): Promise<void> {
    while (!this.all.slice(from).includes(key)) await this.#next.promise
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}

/** Two stores of one table as two processes have them: one listens, the other only ends sessions. */
async function two(
  options: PostgresStoreOptions = {},
): Promise<{ table: string; other: PostgresStore; heard: Heard; store: PostgresStore; leave: () => void }> {
  const table = freshName()
  const other = new PostgresStore(pool, { table, schema: 'public' })
  const store = new PostgresStore(pool, { table, subscriber: await newClient(), ...options })
  const heard = new Heard()
  const leave = store.subscribe?.(heard.onEnd) ?? (() => undefined)
  await heard.of(undefined) // it listens from now on
  return { table, other, heard, store, leave }
}

testWithServer('a delete, and a replace by an expired or an empty record, are heard elsewhere', async (t) => {
  const { other, heard } = await two()
  const [deleted, expired, empty, ended] = [newRecord(), newRecord(), newRecord(), newRecord()]
  for (const record of [deleted, expired, empty, ended]) await other.create(record, NOW)

  await other.delete(deleted.key)
  await other.replace({ ...expired, version: 2, expiresAt: NOW }, 1, NOW)
  await other.replace({ ...empty, version: 2, payload: '' }, 1, NOW)
  await other.replace({ ...ended, version: 2, payload: new Uint8Array() }, 1, NOW)

  await heard.of(ended.key)
  t.deepEqual(heard.all, [undefined, deleted.key, expired.key, empty.key, ended.key])
})

testWithServer('what ends nothing is not announced, nor is an expiry', async (t) => {
  const { other, heard } = await two()
  const [kept, swept, last] = [newRecord(), newRecord({ expiresAt: NOW + 1 }), newRecord()]
  for (const record of [kept, swept, last]) await other.create(record, NOW)

  await other.replace({ ...kept, version: 2 }, 1, NOW)
  await other.replace({ ...kept, version: 3, payload: '' }, 1, NOW)
  await other.touch(kept.key, 2, NOW + 1, NOW + 2000, NOW + 1)
  await other.delete('of nobody')
  await other.deleteExpired(NOW + 2, 10)
  await other.delete(last.key)

  await heard.of(last.key)
  t.deepEqual(heard.all, [undefined, last.key])
})

testWithServer('one statement ends a session and announces it', async (t) => {
  const texts: string[] = []
  const table = freshName()
  const store = new PostgresStore(
    {
      query: (query) => {
        texts.push(query.text)
        return pool.query(query)
      },
    },
    { table },
  )
  const [one, two] = [newRecord(), newRecord()]
  for (const record of [one, two]) await store.create(record, NOW)
  texts.length = 0

  t.true(await store.delete(one.key))
  t.is(await store.replace({ ...two, version: 2, payload: '' }, 1, NOW), 'done')

  t.is(texts.length, 2)
})

testWithServer("after the last unsubscribe nothing is heard, and the connection stays the caller's", async (t) => {
  const table = freshName()
  const client = await newClient()
  const store = new PostgresStore(pool, { table, subscriber: client })
  const [first, second] = [new Heard(), new Heard()]
  const leave = [store.subscribe?.(first.onEnd), store.subscribe?.(second.onEnd)]
  await second.of(undefined)
  const record = newRecord()
  await store.create(record, NOW)
  leave[0]?.()
  await store.delete(record.key)
  await second.of(record.key)
  t.false(first.all.includes(record.key))

  leave[1]?.()
  leave[1]?.()
  store.close()

  const { rows } = await client.query('SELECT pg_listening_channels()')
  t.deepEqual(rows, [])
  t.is(client.listenerCount('notification'), 0)
})

testWithServer('a server that does not let a role announce ends its sessions all the same', async (t) => {
  const [role, table] = [freshName(), freshName()]
  await pool.query(`CREATE ROLE ${role} LOGIN`)
  const owner = new PostgresStore(pool, { table })
  await owner.create(newRecord(), NOW)
  await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${role}`)
  const limited = new URL(url)
  limited.username = role
  const poor = new pg.Pool({ connectionString: limited.href, max: 1 })
  closing.push(() => poor.end())
  const store = new PostgresStore(poor, { table, createTable: false })
  await pool.query('REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC')
  try {
    for (let round = 0; round < 3; round++) {
      const [one, two] = [newRecord(), newRecord()]
      for (const record of [one, two]) await store.create(record, NOW)

      t.true(await store.delete(one.key))
      t.is(await store.replace({ ...two, version: 2, payload: '' }, 1, NOW), 'done')
      t.is(await store.read(one.key, NOW), undefined)
    }
  } finally {
    await pool.query('GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO PUBLIC')
  }
})

test('a full queue of announcements is asked again with the next end', async (t) => {
  const texts: string[] = []
  const store = new PostgresStore({
    query: ({ text }) => {
      texts.push(text.includes('pg_notify') ? 'aloud' : 'silent')
      const full = Object.assign(new Error('too many notifications in the NOTIFY queue'), { code: '54000' })
      return text.includes('pg_notify') ? Promise.reject(full) : Promise.resolve({ rows: [{ key: 'a' }] })
    },
  })

  t.true(await store.delete('a'))
  t.true(await store.delete('a'))
  t.deepEqual(texts, ['aloud', 'silent', 'aloud', 'silent'])
})

testWithServer('a function as subscriber: a connection that was cut comes back, and that is told', async (t) => {
  t.timeout(120_000)
  const proxy = await startProxy(Number(url.port))
  closing.push(() => proxy.close())
  const clients: pg.Client[] = []
  const { other, heard, leave } = await two({ subscriber: through(proxy.port, clients) })
  for (const cut of [() => proxy.cut(), () => proxy.reset()]) {
    const from = heard.all.length
    cut()
    await heard.of(undefined, from) // cut
    await heard.of(undefined, heard.all.length) // and back
    const record = newRecord()
    await other.create(record, NOW)
    await other.delete(record.key)
    await heard.of(record.key, from)
  }
  leave()
  const connected = clients.at(-1)
  await new Promise((resolve) => connected?.once('end', resolve))
  t.is(clients.length, 3)
})

/** Clients whose way leads through a port. */
function through(port: number, made: pg.Client[]): () => pg.Client {
  return () => {
    const by = new URL(url)
    by.port = String(port)
    const client = new pg.Client({ connectionString: by.href })
    made.push(client)
    return client
  }
}

testWithServer('a connection that was cut without a word is noticed, and another one is made', async (t) => {
  t.timeout(120_000)
  const proxy = await startProxy(Number(url.port))
  closing.push(() => proxy.close())
  const made: pg.Client[] = []
  const source = through(proxy.port, made)
  const listener = new Listener(source, 'channel', { interval: 50, patience: 200 })
  const heard = new Heard()
  listener.subscribe(heard.onEnd)
  await heard.of(undefined)

  const from = heard.all.length
  proxy.mode = 'black hole'
  await heard.of(undefined, from)
  // On a busy machine the first word may still be of the connection that was made.
  while (made.length < 2) await heard.of(undefined, heard.all.length)
  proxy.mode = 'pass'
  while (!heard.all.includes('x')) {
    await pool.query("SELECT pg_notify('channel', 'x')")
  }

  t.true(made.length >= 2)
  listener.close()
})

testWithServer('a Client that was lost is no silence: its watchers are told again and again', async (t) => {
  const client = await newClient()
  const listener = new Listener(client, 'lost', { interval: 20, patience: 200 })
  const heard = new Heard()
  const leave = listener.subscribe(heard.onEnd)
  await heard.of(undefined)
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')

  await pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
  for (let times = 0; times < 4; times++) await heard.of(undefined, heard.all.length)

  leave()
  const told = heard.all.length
  await new Promise((resolve) => setTimeout(resolve, 60)) // three intervals in which nothing may be told
  t.is(heard.all.length, told)
})

testWithServer('a Client that is connected only after the first watcher came is listened to then', async (t) => {
  const client = new pg.Client({ connectionString: server?.url })
  closing.push(() => client.end())
  const listener = new Listener(client, 'late', { interval: 20, patience: 1000 })
  const heard = new Heard()
  const leave = listener.subscribe(heard.onEnd)
  await heard.of(undefined)

  await client.connect()
  while (!heard.all.includes('x')) await pool.query("SELECT pg_notify('late', 'x')")

  leave()
  t.pass()
})

test('a function that fails or never answers leaves watchers told, and close ends it', async (t) => {
  const makes: (() => PostgresSubscriber | Promise<PostgresSubscriber>)[] = [
    () => {
      throw new Error('no way there')
    },
    () => Promise.reject(new Error('no way there')),
    () => new Promise(() => undefined),
    () => new pg.Client({ host: '127.0.0.1', port: 1 }),
  ]
  for (const make of makes) {
    const listener = new Listener(make, 'never', { interval: 20, patience: 50 })
    const heard = new Heard()
    listener.subscribe(heard.onEnd)
    for (let times = 0; times < 3; times++) await heard.of(undefined, heard.all.length)
    listener.close()
    const told = heard.all.length
    await new Promise((resolve) => setTimeout(resolve, 60)) // three intervals in which nothing may be told
    t.is(heard.all.length, told)
  }
})

test('a Client that its function gives too late is ended, and nothing that it emits ends the process', async (t) => {
  const ended: Promise<void>[] = []
  const make = async (): Promise<PostgresSubscriber> => {
    const client = new pg.Client({ host: '127.0.0.1', port: 1 })
    const { promise, resolve } = deferred()
    ended.push(promise)
    client.end = async () => {
      await Promise.resolve()
      resolve()
    }
    await new Promise((late) => setTimeout(late, 300))
    setImmediate(() => client.emit('error', new Error('the server went away')))
    return client
  }
  const listener = new Listener(make, 'late', { interval: 20, patience: 10 })
  const heard = new Heard()
  listener.subscribe(heard.onEnd)
  while (ended.length < 2) await heard.of(undefined, heard.all.length)
  listener.close()

  await Promise.all(ended)
  t.pass()
})
