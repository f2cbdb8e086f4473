import test from 'ava'
import expressSession from 'express-session'
import Koa from 'koa'
import { fromKoaStore, type KoaStore } from '../../src/adapters/index.ts'
import { storeChecks } from 'koa-fastsession/conformance'
import { MemoryStore, session } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { assertLives } from '../support/lives-over-http.ts'
import { newRecord, NOW } from '../support/records.ts'

/** As koa-redis keeps them: JSON, whole seconds, `null` for nothing. */
class RedisShape {
  readonly texts = new Map<string, { text: string; until: number }>()
  readonly asked: unknown[][] = []

  async get(...args: [key: string, maxAge: number, options: { rolling: boolean }]): Promise<unknown> {
    this.asked.push(['get', ...args.slice(1)])
    await Promise.resolve()
    const found = this.texts.get(args[0])
    return found === undefined || found.until <= Date.now() ? null : JSON.parse(found.text)
  }

  async set(key: string, value: object, maxAge: number): Promise<void> {
    await Promise.resolve()
    this.texts.set(key, { text: JSON.stringify(value), until: Date.now() + Math.ceil(maxAge / 1000) * 1000 })
  }

  async destroy(key: string): Promise<void> {
    await Promise.resolve()
    this.texts.delete(key)
  }
}

/** An object without a class, as many apps write one, that answers at once and keeps what it is given. */
function plainObject(): KoaStore {
  const kept = new Map<string, unknown>()
  return {
    get: (key) => kept.get(key),
    set: (key, value) => void kept.set(key, value),
    destroy: (key) => void kept.delete(key),
  }
}

const foreign: Record<string, () => KoaStore> = {
  'the shape of koa-redis': () => new RedisShape(),
  'a plain object': plainObject,
}

for (const [name, open] of Object.entries(foreign)) {
  for (const { title, run } of storeChecks)
    test(`${name}: ${title}`, (t) => t.notThrowsAsync(run(fromKoaStore(open()))))
}

test('a session goes on, and ends, over HTTP', (t) => assertLives(t, fromKoaStore(new RedisShape())))

test('parallel requests of one session lose nothing', async (t) => {
  const app = new Koa()
  app.use(session({ store: fromKoaStore(new RedisShape()), logger: {} }))
  app.use(async (ctx) => {
    ctx.body = await ctx.state.session.update(
      (data) => ((data as { n?: number }).n = ((data as { n?: number }).n ?? 0) + 1),
    )
  })
  const running = await served(t, app)
  const browser = running.browser()
  await browser.get('/')

  await Promise.all(Array.from({ length: 20 }, () => browser.get('/')))

  t.is((await browser.get('/')).body, '22')
})

test('a store that prolongs what it reads is not told a shorter life than a session can have', async (t) => {
  const store = new RedisShape()
  await fromKoaStore(store).read('key', NOW)

  const [[verb, maxAge, options] = []] = store.asked
  t.deepEqual([verb, options], ['get', { rolling: false }])
  t.true(Number(maxAge) >= 400 * 86_400_000)
})

test('an error of the foreign store passes on, and is not an absent session', async (t) => {
  const error = new Error('connect ECONNREFUSED')
  const fail = (): Promise<never> => Promise.reject(error)
  const store = fromKoaStore({ get: fail, set: fail, destroy: fail })

  t.is(await t.throwsAsync(async () => store.read('key', NOW)), error)
  t.is(await t.throwsAsync(async () => store.create(newRecord(), NOW)), error)
  t.is(await t.throwsAsync(async () => store.delete('key')), error)
})

test('after a failed write the next one of that session has its turn', async (t) => {
  const store = new RedisShape()
  const adapter = fromKoaStore(store)
  const record = newRecord()
  const full = { set: () => Promise.reject(new Error('no space left')) }
  Object.assign(store, full)
  await t.throwsAsync(async () => adapter.create(record, NOW), { message: 'no space left' })
  Reflect.deleteProperty(store, 'set')

  t.true(await adapter.create(record, NOW))
})

test('it is given what koa-session gives its stores', async (t) => {
  const seen: unknown[][] = []
  const store = new RedisShape()
  const adapter = fromKoaStore({
    get: (...args) => store.get(...args),
    set: (...args) => (seen.push(args), store.set(...(args.slice(0, 3) as [string, object, number]))),
    destroy: (key) => store.destroy(key),
  })
  const before = Date.now()
  await adapter.create(newRecord(), NOW)

  const [[, value, maxAge, options] = []] = seen
  const { _expire, _maxAge } = value as { _expire: number; _maxAge: number }
  t.true(Number(maxAge) > 600_000)
  t.is(maxAge, _maxAge)
  t.true(_expire >= before + Number(maxAge) && _expire <= Date.now() + Number(maxAge))
  t.deepEqual(options, { rolling: false, changed: true })
})

/** As koa-session2 has them: the arguments of `set` are others. */
class Koa2Shape {
  readonly sessions = new Map<unknown, string>()

  get(sid: string): unknown {
    return this.sessions.has(sid) ? JSON.parse(this.sessions.get(sid) ?? '') : undefined
  }

  set(session: unknown, { sid = 'random' }: { sid?: string } = {}): unknown {
    this.sessions.set(sid, JSON.stringify(session))
    return sid
  }

  destroy(sid: string): void {
    this.sessions.delete(sid)
  }
}

test('a store that does not give back what it was given fails at the first session, with words', async (t) => {
  const forgetful = { get: () => undefined, set: () => undefined, destroy: () => undefined }
  for (const store of [new Koa2Shape() as unknown as KoaStore, forgetful])
    await t.throwsAsync(async () => fromKoaStore(store).create(newRecord(), NOW), {
      message: /did not come back.*koa-session2/,
    })
})

test('what came back is not asked for again', async (t) => {
  const store = new RedisShape()
  const adapter = fromKoaStore(store)
  await adapter.create(newRecord(), NOW)
  store.asked.length = 0
  await adapter.create(newRecord(), NOW)

  t.is(store.asked.length, 1)
})

test('a client that answers by callback fails with words, and is not an absent session', async (t) => {
  const client = { get: () => true, set: () => true, destroy: () => true }

  await t.throwsAsync(async () => fromKoaStore(client).read('key', NOW), { message: /answers by callback/ })
})

test('fromKoaStore refuses stores of other shapes when they are handed over', (t) => {
  const shape = { get: () => 0, set: () => 0, destroy: () => 0 }
  const wrong: [object, RegExp][] = [
    [{ ...shape, getID: () => 0 }, /koa-session2/],
    [{ ...shape, sendCommand: () => 0 }, /new RedisStore\(client\)/],
    [new expressSession.MemoryStore(), /fromExpressStore\(store\)/],
    [new MemoryStore(), /options\.store/],
  ]
  for (const [store, message] of wrong)
    t.throws(() => fromKoaStore(store as KoaStore), { code: 'ERR_INVALID_ARG_TYPE', message })
  t.throws(() => (fromKoaStore as (...args: unknown[]) => unknown)(shape, { prefix: 'a' }), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /no options/,
  })
})

test('fromKoaStore refuses what is no store', (t) => {
  for (const wrong of [undefined, null, 1, {}, { get: () => 0, set: () => 0 }]) {
    t.throws(() => fromKoaStore(wrong as unknown as KoaStore), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /fromKoaStore/,
    })
  }
})
