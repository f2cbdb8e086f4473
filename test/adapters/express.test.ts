import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore as ConnectRedis } from 'connect-redis'
import expressSession from 'express-session'
import { fromExpressStore, type ExpressSession, type ExpressStore } from '../../src/adapters/index.ts'
import { storeChecks } from 'koa-fastsession/conformance'
import memorystore from 'memorystore'
import pg from 'pg'
import { createClient } from 'redis'
import sessionFileStore from 'session-file-store'
import { MemoryStore as MemoryStoreOfOurs, session } from '../../src/index.ts'
import { CorruptRecord } from '../../src/store.ts'
import { MongoShape, type Callback } from '../support/mongo-shape.ts'
import { mounted } from '../support/mounted.ts'
import { postgres } from '../support/postgres.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/service.ts'
import { assertLives } from '../support/lives-over-http.ts'
import { newRecord, NOW } from '../support/records.ts'

/** As better-sqlite3-session-store does it: everything at once, and a lifetime from cookie.maxAge. */
class SqliteShape implements ExpressStore {
  readonly rows = new Map<string, { sess: string; expire: number }>()

  get(sid: string, callback: Callback): void {
    const row = this.rows.get(sid)
    callback(null, row !== undefined && Date.now() < row.expire ? JSON.parse(row.sess) : null)
  }

  set(sid: string, given: ExpressSession, callback: Callback): void {
    this.rows.set(sid, { sess: JSON.stringify(given), expire: Date.now() + given.cookie.maxAge })
    callback(null, { changes: 1 })
  }

  destroy(sid: string, callback: Callback): void {
    callback(null, { changes: this.rows.delete(sid) ? 1 : 0 })
  }
}

const MemoryStore = memorystore(expressSession)
const FileStore = sessionFileStore(expressSession)
const folder = temporaryFolder()

const foreign: Record<string, () => ExpressStore> = {
  'the shape of connect-mongo': () => new MongoShape(),
  'the shape of better-sqlite3-session-store': () => new SqliteShape(),
  "express-session's MemoryStore": () => new expressSession.MemoryStore(),
  memorystore: () => new MemoryStore({}),
  // It tries to read a missing file six times, by default.
  'session-file-store': () =>
    new FileStore({ path: mkdtempSync(join(folder, 'files-')), retries: 0, reapInterval: -1, logFn: () => undefined }),
}

const [make] = redisMakes()
// AVA takes tests and hooks only as long as nothing was awaited after the first of them.
const [redis, database] = await Promise.all([make && startRedis(make), postgres()])

if (redis !== undefined) {
  const client = createClient({ url: `redis://127.0.0.1:${redis.port}` }).on('error', () => undefined)
  const connected = client.connect()
  test.before(async () => {
    await connected
  })
  test.after.always(async () => {
    client.destroy()
    await redis.running.stop()
  })
  foreign['connect-redis'] = () => new ConnectRedis({ client })
}

if (database !== undefined) {
  const pool = new pg.Pool({ connectionString: database.url }).on('error', () => undefined)
  const store = new (connectPgSimple(expressSession))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
  test.after.always(async () => {
    await pool.end()
    await database.stop()
  })
  foreign['connect-pg-simple'] = () => store
}

for (const [name, open] of Object.entries(foreign)) {
  for (const { title, run } of storeChecks)
    test(`${name}: ${title}`, (t) => t.notThrowsAsync(run(fromExpressStore(open()))))

  test(`${name}: a session goes on, and ends, over HTTP`, (t) => assertLives(t, fromExpressStore(open())))
}

test('two adapters of one store take turns', async (t) => {
  const store = new MongoShape()
  const [one, other] = [fromExpressStore(store), fromExpressStore(store)]
  const record = newRecord()
  await one.create(record, NOW)

  const answers = await Promise.all(
    [one, other].map(async (adapter) => adapter.replace({ ...record, version: 2 }, 1, NOW)),
  )

  t.deepEqual(answers, ['done', 'stale'])
})

test('the foreign expiry comes well after the end of the session', async (t) => {
  const store = new MongoShape()
  await fromExpressStore(store).create(newRecord({ expiresAt: NOW + 1000 }), NOW)

  t.true(store.lastTtl > 600_000)
})

test('an error of the foreign store passes on, and is not an absent session', async (t) => {
  const error = new Error('connect ECONNREFUSED')
  const store = fromExpressStore({
    get: (_sid, callback) => callback(error),
    set: (_sid, _session, callback) => callback(error),
    destroy: (_sid, callback) => callback(error),
  })

  t.is(await t.throwsAsync(async () => store.read('key', NOW)), error)
  t.is(await t.throwsAsync(async () => store.create(newRecord(), NOW)), error)
  t.is(await t.throwsAsync(async () => store.replace(newRecord(), 1, NOW)), error)
  t.is(await t.throwsAsync(async () => store.touch('key', 1, NOW, NOW, NOW)), error)
  t.is(await t.throwsAsync(async () => store.delete('key')), error)
})

test('an error that is thrown or rejected instead of called back passes on', async (t) => {
  const thrown = new Error('thrown')
  const rejected = new Error('rejected')
  const nothing = (): void => undefined
  const throwing = fromExpressStore({
    get: () => {
      throw thrown
    },
    set: nothing,
    destroy: nothing,
  })
  const rejecting = fromExpressStore({ get: () => Promise.reject(rejected), set: nothing, destroy: nothing })

  t.is(await t.throwsAsync(async () => throwing.read('key', NOW)), thrown)
  t.is(await t.throwsAsync(async () => rejecting.read('key', NOW)), rejected)
})

test('ENOENT of a file is an absent session, and of a socket an outage', async (t) => {
  const failing = (syscall: string) =>
    fromExpressStore({
      get: (_sid, callback) => callback(Object.assign(new Error(`ENOENT ${syscall}`), { code: 'ENOENT', syscall })),
      set: (_sid, _session, callback) => callback(),
      destroy: (_sid, callback) => callback(),
    })

  t.is(await failing('open').read('key', NOW), undefined)
  await t.throwsAsync(async () => failing('connect').read('key', NOW), { message: 'ENOENT connect' })
})

test('what is not a record of ours is corrupt to a read, and gives way to create', async (t) => {
  const strangers: unknown[] = [{}, { record: 7 }, { record: '' }, { record: '{"key":' }, { record: 'null' }]
  strangers.push({ record: '{}' }, 'text', { cookie: {} }, 7, 0, '', true, false, [], [1])
  const other = new MongoShape()
  await fromExpressStore(other).create(newRecord(), NOW)
  const [moved] = other.documents.values()
  const old = newRecord()
  strangers.push(
    { record: JSON.stringify({ ...old, version: '1' }) },
    { record: JSON.stringify({ ...old, payload: 7 }) },
  )
  for (const stranger of [...strangers.map((value) => JSON.stringify(value)), moved?.session ?? '']) {
    const store = new MongoShape()
    const record = { ...old }
    const put = () => store.documents.set(record.key, { expires: new Date(Date.now() + 10_000), session: stranger })
    put()
    const adapter = fromExpressStore(store)

    await t.throwsAsync(async () => adapter.read(record.key, NOW), { instanceOf: CorruptRecord }, stranger)
    t.is(await adapter.replace({ ...record, version: 2 }, 1, NOW), 'gone')
    t.false(await adapter.touch(record.key, 1, NOW, NOW + 1, NOW))
    t.true(await adapter.create(record, NOW))
    t.is((await adapter.read(record.key, NOW))?.payload, record.payload)
    put()
    t.true(await adapter.delete(record.key))
    t.is(await adapter.read(record.key, NOW), undefined)
  }
})

test('over HTTP a damaged session is an ended one, and its browser gets another', async (t) => {
  const store = new MongoShape()
  const app = await mounted(
    t,
    { store: fromExpressStore(store), logger: {} },
    { '/': ({ data, origin }) => [origin, (data.n = (data.n ?? 0) + 1)] },
  )
  const browser = app.browser()
  await browser.get('/')
  for (const [key, { expires }] of store.documents) store.documents.set(key, { expires, session: '"cut off' + '"' })

  t.is((await browser.get('/')).body, '["expired",1]')
  t.is((await browser.get('/')).body, '["resumed",2]')
})

test('an ended record lies in the foreign store for its minute, and nothing of the session with it', async (t) => {
  const store = new MongoShape()
  const adapter = fromExpressStore(store)
  const record = newRecord({ payload: 'what it held' })
  await adapter.create(record, NOW)
  const ended = { ...record, version: 2, payload: '', owner: undefined, meta: undefined, expiresAt: NOW + 60_000 }

  t.is(await adapter.replace(ended, 1, NOW), 'done')
  t.deepEqual(await adapter.read(record.key, NOW + 59_999), ended)
  t.is(await adapter.read(record.key, NOW + 60_000), undefined)
  t.false(JSON.stringify([...store.documents.values()]).includes('what it held'))
  t.true(store.lastTtl >= 60_000)
})

test('falsy errors are none, as in express-session', async (t) => {
  const store = new MongoShape()
  const adapter = fromExpressStore({
    get: (sid, callback) => store.get(sid, (_, value) => callback(0, value)),
    set: (sid, given, callback) => store.set(sid, given, () => callback('')),
    destroy: (sid, callback) => store.destroy(sid, callback),
  })

  t.true(await adapter.create(newRecord(), NOW))
})

test('a store for memcached is asked for thirty days at most, and says so', async (t) => {
  class MemcachedStore extends MongoShape {}
  const store = new MemcachedStore()
  const adapter = fromExpressStore(store)
  await adapter.create(newRecord({ expiresAt: NOW + 90 * 86_400_000 }), NOW)

  t.true(store.lastTtl <= 30 * 86_400_000)
  t.regex(adapter.limits ?? '', /memcached keeps a session for at most thirty days/)
  t.notRegex(fromExpressStore(new MongoShape()).limits ?? '', /memcached/)
})

test('fromExpressStore refuses what is no store', (t) => {
  for (const wrong of [undefined, null, 1, {}, { get: 1 }, { get: () => 0, set: () => 0 }]) {
    t.throws(() => fromExpressStore(wrong as unknown as ExpressStore), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /fromExpressStore/,
    })
  }
})

test('fromExpressStore takes no options, no database client and no store of this package', (t) => {
  const store = new MongoShape()
  const client = { get: () => 0, set: () => 0, destroy: () => 0, sendCommand: () => 0 }

  for (const call of [
    () => (fromExpressStore as (...args: unknown[]) => unknown)(store, { ttl: 60 }),
    () => fromExpressStore(client),
    () => fromExpressStore(new MemoryStoreOfOurs() as unknown as ExpressStore),
  ])
    t.throws(call, { code: 'ERR_INVALID_ARG_TYPE', message: /fromExpressStore/ })
  t.notThrows(() => [store].map(fromExpressStore))
})

test('a foreign store has no index by owner and says what it cannot promise', (t) => {
  const adapter = fromExpressStore(new MongoShape())

  t.false('list' in adapter)
  t.false('deleteExpired' in adapter)
  t.regex(adapter.limits ?? '', /fromExpressStore.*index by owner/)
})

test('the middleware says once what a foreign store cannot promise', (t) => {
  const lines: string[] = []
  session({
    keys: ['a secret of more than sixteen characters'],
    store: fromExpressStore(new MongoShape()),
    logger: { warn: (line) => lines.push(line) },
  })

  t.is(lines.length, 1)
  t.regex(lines[0] ?? '', /fromExpressStore/)
})

test('list, destroyAll and destroy with an owner are refused, and say why', async (t) => {
  const middleware = session({
    keys: ['a secret of more than sixteen characters'],
    store: fromExpressStore(new MongoShape()),
    logger: {},
  })

  for (const call of [
    () => middleware.list('ada'),
    () => middleware.destroyAll('ada'),
    () => middleware.destroy('x', { owner: 'ada' }),
  ]) {
    await t.throwsAsync<Error & { status?: number }>(call, { code: 'ERR_SESSION_UNSUPPORTED' })
  }
  t.false(await middleware.destroy('x'))
})
