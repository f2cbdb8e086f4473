import test from 'ava'
import { Keyv as Keyv5 } from 'keyv'
import { Keyv as Keyv6 } from 'keyv6'
import { fromKeyv, type KeyvLike } from '../../src/adapters/index.ts'
import { storeChecks } from 'koa-fastsession/conformance'
import { assertLives } from '../support/lives-over-http.ts'
import { newRecord, NOW } from '../support/records.ts'

/** What Keyv keeps things in: texts with promises, failing on demand. */
class Backend {
  readonly values = new Map<string, unknown>()
  isDown = false
  readonly opts = {}
  namespace = undefined

  async get(key: string): Promise<unknown> {
    await this.#answer()
    return this.values.get(key)
  }

  async set(key: string, value: unknown): Promise<boolean> {
    await this.#answer()
    this.values.set(key, value)
    return true
  }

  async delete(key: string): Promise<boolean> {
    await this.#answer()
    return this.values.delete(key)
  }

  async has(key: string): Promise<boolean> {
    await this.#answer()
    return this.values.has(key)
  }

  async clear(): Promise<void> {
    await this.#answer()
    this.values.clear()
  }

  on(): this {
    return this
  }

  async #answer(): Promise<void> {
    await Promise.resolve()
    if (this.isDown) throw new Error('connect ECONNREFUSED')
  }
}

const makes: Record<string, (store?: unknown) => KeyvLike> = {
  'keyv 5': (store) => new Keyv5(store === undefined ? {} : { store }),
  'keyv 6': (store) => new Keyv6(store === undefined ? {} : { store: store as never }),
}

for (const [name, open] of Object.entries(makes)) {
  for (const { title, run } of storeChecks) test(`${name}: ${title}`, (t) => t.notThrowsAsync(run(fromKeyv(open()))))

  for (const { title, run } of storeChecks)
    test(`${name} over a store of promises: ${title}`, (t) => t.notThrowsAsync(run(fromKeyv(open(new Backend())))))

  test(`${name}: an outage is not an absent session, and no write is taken for done`, async (t) => {
    const backend = new Backend()
    const store = fromKeyv(open(backend))
    const record = newRecord()
    await store.create(record, NOW)
    backend.isDown = true

    const down = { message: 'connect ECONNREFUSED' }
    await t.throwsAsync(async () => store.read(record.key, NOW), down)
    await t.throwsAsync(async () => store.create(newRecord(), NOW), down)
    await t.throwsAsync(async () => store.replace({ ...record, version: 2 }, 1, NOW), down)
    await t.throwsAsync(async () => store.touch(record.key, 1, NOW + 1, NOW + 2000, NOW), down)
    await t.throwsAsync(async () => store.delete(record.key), down)
    backend.isDown = false
    t.is((await store.read(record.key, NOW))?.version, 1)
  })

  test(`${name}: a write that fails after the read is not taken for done`, async (t) => {
    const backend = new Backend()
    const store = fromKeyv(open(backend))
    const record = newRecord()
    await store.create(record, NOW)
    const fail = (): Promise<never> => Promise.reject(new Error('connect ECONNREFUSED'))
    Object.assign(backend, { set: fail, delete: fail })

    const down = { message: 'connect ECONNREFUSED' }
    await t.throwsAsync(async () => store.replace({ ...record, version: 2 }, 1, NOW), down)
    await t.throwsAsync(async () => store.delete(record.key), down)
  })

  test(`${name}: a session goes on, and ends, over HTTP`, (t) => assertLives(t, fromKeyv(open())))
}

test('a Keyv whose set is false did not store', async (t) => {
  const store = fromKeyv({ get: () => undefined, set: () => false, delete: () => false })

  await t.throwsAsync(async () => store.create(newRecord(), NOW), { message: /did not store/ })
})

test('a Keyv that conceals outages is refused', (t) => {
  const nothing = { get: () => undefined, set: () => true, delete: () => true }

  t.throws(() => fromKeyv({ ...nothing, throwOnErrors: false }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /throwOnErrors: true/,
  })
  t.notThrows(() => fromKeyv({ ...nothing, throwOnErrors: true }))
  t.notThrows(() => fromKeyv(nothing))
})

test('memcached behind a Keyv is asked for thirty days at most, and it is said', async (t) => {
  class KeyvMemcache extends Backend {}
  const ttls: unknown[] = []
  const keyv = new Keyv5({ store: new KeyvMemcache() })
  const adapter = fromKeyv({
    get: (key) => keyv.get(key),
    set: (key, value, ttl) => (ttls.push(ttl), keyv.set(key, value, ttl)),
    delete: (key) => keyv.delete(key),
    ...({ store: new KeyvMemcache() } as object),
  })
  await adapter.create(newRecord({ expiresAt: NOW + 90 * 86_400_000 }), NOW)

  t.deepEqual(ttls, [30 * 86_400_000])
  t.regex(fromKeyv(keyv).limits ?? '', /thirty days/)
  t.notRegex(fromKeyv(new Keyv5()).limits ?? '', /thirty days/)
})

test('fromKeyv takes no options and no Map', (t) => {
  t.throws(() => (fromKeyv as (...args: unknown[]) => unknown)(new Keyv5(), { ttl: 1 }), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /no options/,
  })
  t.throws(() => fromKeyv(new Map() as unknown as KeyvLike), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /a Map forgets nothing/,
  })
})

test('fromKeyv refuses what is no Keyv', (t) => {
  for (const wrong of [undefined, null, 1, {}, { get: () => 0, set: () => 0 }]) {
    t.throws(() => fromKeyv(wrong as unknown as KeyvLike), { code: 'ERR_INVALID_ARG_TYPE', message: /fromKeyv/ })
  }
})
