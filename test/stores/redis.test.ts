import test from 'ava'
import fc from 'fast-check'
import { createClient, createClientPool, createSentinel, RESP_TYPES } from 'redis'
import { storeChecks } from '../../src/conformance.ts'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import { RedisStore, type RedisClient, type RedisSubscriber } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { startEachWithClients } from '../support/redis-clients.ts'

const NOW = Date.now()

const servers = await startEachWithClients()
if (servers.length === 0) test.skip('RedisStore', (t) => t.pass())

for (const { make, port, admin, clients, freshPrefix, stop } of servers) {
  test.after.always(stop)

  for (const { name, client } of clients) {
    for (const { title, run } of storeChecks) {
      test(`${make.name}, ${name}: ${title}`, (t) => t.notThrowsAsync(run(new RedisStore(client))))
    }
  }

  test(`${make.name}: key names tell neither owner nor data`, async (t) => {
    const prefix = freshPrefix()
    const record = newRecord(NOW, { owner: 'ada@example.org', payload: 'private' })
    await new RedisStore(admin, { prefix }).create(record, NOW)

    const names = await admin.keys(`${prefix}*`)
    t.is(names.length, 2)
    t.true(names.includes(`${prefix}${record.key}`))
    t.false(names.join().includes('ada'))
  })

  test(`${make.name}: stores with different prefixes do not see each other`, async (t) => {
    const [first, second] = [
      new RedisStore(admin, { prefix: freshPrefix() }),
      new RedisStore(admin, { prefix: freshPrefix() }),
    ]
    const record = newRecord(NOW, { owner: 'ada' })
    await first.create(record, NOW)

    t.is(await second.read(record.key, NOW), undefined)
    t.is(await second.replace(successor(record), 1, NOW), 'gone')
    t.false(await second.touch(record.key, 1, NOW, NOW + HOUR, NOW))
    t.false(await second.delete(record.key))
    t.deepEqual(await listed(second, 'ada', NOW), [])
    t.deepEqual(await listed(first, 'ada', NOW), [record])
  })

  test(`${make.name}: any text, bytes and instants come back as they were`, async (t) => {
    const store = new RedisStore(admin, { prefix: freshPrefix() })
    const text = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) })
    const instant = fc.oneof(
      fc.maxSafeNat(),
      fc.double({ min: -1e9, max: 1e18, noNaN: true }).map((value) => value + 0),
    )
    const fields = fc.record({
      payload: fc.oneof(text, fc.string(), fc.uint8Array()),
      owner: fc.oneof(
        fc.constant(undefined),
        text.filter((owner) => owner !== ''),
      ),
      meta: fc.oneof(fc.constant(undefined), text),
      createdAt: instant,
      lastSeenAt: instant,
      version: fc.integer({ min: 1 }),
    })
    await t.notThrowsAsync(
      fc.assert(
        fc.asyncProperty(fields, async (changes) => {
          const record = newRecord(NOW, changes)
          await store.create(record, NOW)
          t.deepEqual(await store.read(record.key, NOW), record)
          if (record.owner !== undefined) t.deepEqual(await listed(store, record.owner, NOW), [record])
          t.is(await store.replace(successor(record), record.version, NOW), 'done')
          t.deepEqual(await store.read(record.key, NOW), successor(record))
          await store.delete(record.key)
        }),
        { numRuns: 100 },
      ),
    )
  })

  test(`${make.name}: a client that gives bytes will do`, async (t) => {
    const client = await createClient({ url: `redis://127.0.0.1:${port}` })
      .on('error', () => undefined)
      .withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
      .connect()
    const store = new RedisStore(client, { prefix: freshPrefix() })
    const record = newRecord(NOW, { owner: 'ada', payload: 'h\u00e9' })

    t.true(await store.create(record, NOW))
    t.deepEqual(await listed(store, 'ada', NOW), [record])
    t.true(await store.touch(record.key, 1, NOW + 1, NOW + HOUR, NOW))
    t.true(await store.delete(record.key))
    client.destroy()
  })

  test(`${make.name}: closing a store leaves its client open`, async (t) => {
    const store = new RedisStore(admin)
    store.close()
    store.close()

    t.is(await admin.ping(), 'PONG')
  })
}

const silent: RedisClient = { customCommand: () => Promise.resolve(null) }

test('a client of an unknown shape is refused', (t) => {
  for (const client of [undefined, null, 'redis://', {}, { sendCommand: true }, new Map()]) {
    t.throws(() => new RedisStore(client as unknown as RedisClient), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_TYPE',
    })
  }
})

test('a client that is given as an option, or answers by callback, is refused with the way', async (t) => {
  const callbacks = { internal_send_command: () => true, send_command: () => true, sendCommand: () => true }
  const legacy = { options: { legacyMode: true }, sendCommand: () => undefined }
  for (const [client, message] of [
    [{ client: silent }, /new RedisStore\(client, options\)/],
    [callbacks, /by callback/],
    [legacy, /legacyMode/],
    [createClient().legacy(), /legacy\(\)/],
  ] as const) {
    t.throws(() => new RedisStore(client as unknown as RedisClient), { code: 'ERR_INVALID_ARG_TYPE', message })
  }
  const mute = new RedisStore({ call: () => undefined } as unknown as RedisClient)
  await t.throwsAsync(async () => mute.read('key', NOW), { instanceOf: TypeError, message: /by callback/ })
})

test('options of another name or type are refused', (t) => {
  for (const options of [{ perfix: 'shop:' }, { ttl: 60 }, { client: silent }]) {
    t.throws(() => new RedisStore(silent, options as object), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_VALUE',
      message: /is no option: options takes prefix, subscriber$/,
    })
  }
  for (const options of [
    null,
    'shop:',
    ['shop:'],
    5,
    { prefix: 5 },
    { prefix: null },
    { subscriber: null },
    { subscriber: {} },
  ]) {
    t.throws(() => new RedisStore(silent, options as object), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.notThrows(() => new RedisStore(silent, { prefix: undefined, subscriber: undefined }))
})

test('a subscriber of which nobody could say that it was cut is refused, and the first client as well', (t) => {
  const [client, pool] = [createClient(), createClientPool()]
  const sentinel = createSentinel({ name: 'sessions', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] })
  for (const [subscriber, message] of [
    [client, /connection of its own/],
    [silent, /valkey-glide/],
    [sentinel, /createSentinel/],
    [pool, /a second client/],
  ] as const) {
    t.throws(() => new RedisStore(client, { subscriber: subscriber as unknown as RedisSubscriber }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message,
    })
  }
})

test('a prefix that would put all keys in one slot, match by pattern or cannot be read is refused', (t) => {
  for (const prefix of [
    '',
    '{app}',
    'a}',
    'a*',
    'a?',
    'a[',
    'a]',
    'a\\',
    'a b',
    'a\n',
    'a\0',
    '\ud800',
    'a'.repeat(65),
  ]) {
    t.throws(
      () => new RedisStore(silent, { prefix }),
      { instanceOf: TypeError, code: 'ERR_INVALID_ARG_VALUE' },
      JSON.stringify(prefix),
    )
  }
  t.throws(() => new RedisStore(silent, { prefix: 1 as unknown as string }), {
    instanceOf: TypeError,
    code: 'ERR_INVALID_ARG_TYPE',
  })
  for (const prefix of ['s', 'my-app:session:', 'é/', 'a'.repeat(64)])
    t.notThrows(() => new RedisStore(silent, { prefix }))
})
