// Ends: that they are announced to every process, that they come to pass on a full server, and what a cut costs.
import { mock } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey'
import { createClient, createCluster } from 'redis'
import { storeChecks } from '../../src/conformance.ts'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import { RedisStore, type RedisSubscriber } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { startProxy } from '../support/proxy.ts'
import { startEachWithClients } from '../support/redis-clients.ts'
import { startCluster, startRedis } from '../support/redis.ts'
import { until } from '../support/service.ts'
import { settle, warnings } from '../support/warnings.ts'

const NOW = Date.now()
const ignore = () => undefined

interface OpenSubscriber {
  readonly subscriber: RedisSubscriber
  readonly close: () => unknown
  /** Whether the connection can still be used for the caller's own commands and subscriptions. */
  readonly isUsable: () => Promise<boolean>
}

const subscribers: Record<string, (port: number) => Promise<OpenSubscriber>> = {
  async redis(port) {
    const client = createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: 20 } }).on(
      'error',
      ignore,
    )
    await client.connect()
    return {
      subscriber: client,
      close: () => client.destroy(),
      isUsable: async () => (await client.ping()) === 'PONG',
    }
  },
  ioredis: (port) => usable(new Redis(port, '127.0.0.1', { retryStrategy: () => 20 })),
  'ioredis with RESP2': (port) => usable(new Redis(port, '127.0.0.1', { protocol: 2, retryStrategy: () => 20 })),
  iovalkey: (port) => usable(new Valkey(port, '127.0.0.1', { retryStrategy: () => 20 })),
}

function usable(client: Redis | Valkey): Promise<OpenSubscriber> {
  client.on('error', ignore)
  // Rejects where the connection cannot be used.
  const isUsable = () => client.ping().then(() => true)
  return Promise.resolve({ subscriber: client, close: () => client.disconnect(), isUsable })
}

/** What a listener was told, and a promise for each thing that it is still to be told. */
class Heard {
  readonly told: (string | undefined)[] = []
  #waiting: (() => void)[] = []

  readonly onEnd = (key: string | undefined): void => {
    this.told.push(key)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async until(holds: (told: readonly (string | undefined)[]) => boolean, within = 60_000): Promise<void> {
    const end = Date.now() + within
    while (!holds(this.told)) {
      if (Date.now() > end) throw new Error(`not told within ${within} ms, only ${this.told.length} others`)
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), sleep(200)])
    }
  }
}

/** A subscription that the server has confirmed. */
async function hear(store: RedisStore): Promise<{ heard: Heard; stop: () => void }> {
  const heard = new Heard()
  const stop = store.subscribe?.(heard.onEnd) ?? ignore
  await heard.until((told) => told.includes(undefined))
  heard.told.length = 0
  return { heard, stop }
}

const servers = await startEachWithClients()
if (servers.length === 0) test.skip('ends in RedisStore', (t) => t.pass())

for (const { make, port, admin, clients, freshPrefix, stop: stopServer } of servers) {
  test.after.always(stopServer)

  test(`${make.name}: a store without a subscriber has no subscribe`, (t) => {
    t.is(new RedisStore(admin).subscribe, undefined)
  })

  for (const [name, open] of Object.entries(subscribers)) {
    test(`${make.name}, ${name}: ends through any client reach who subscribes, and stop when they stop`, async (t) => {
      const prefix = freshPrefix()
      const { subscriber, close, isUsable } = await open(port)
      const store = new RedisStore(admin, { prefix, subscriber })
      const [first, second] = [await hear(store), new Heard()]
      const stopSecond = store.subscribe?.(second.onEnd)
      store.subscribe?.(() => {
        throw new Error('a listener of the app fails')
      })

      for (const { client } of clients) {
        const other = new RedisStore(client, { prefix })
        const [deleted, expired, emptied, touched] = [NOW, NOW, NOW, NOW].map((now) => newRecord(now, { owner: 'ada' }))
        for (const record of [deleted, expired, emptied, touched]) if (record) await other.create(record, NOW)
        if (!deleted || !expired || !emptied || !touched) return t.fail()
        await other.touch(touched.key, 1, NOW, NOW + HOUR, NOW)
        await other.replace(successor(touched), 1, NOW)
        await other.delete(deleted.key)
        await other.replace(successor(expired, { expiresAt: NOW }), 1, NOW)
        await other.replace(successor(emptied, { payload: new Uint8Array(0), owner: undefined }), 1, NOW)

        const keys = [deleted.key, expired.key, emptied.key]
        await first.heard.until((told) => keys.every((key) => told.includes(key)))
        t.false(first.heard.told.includes(touched.key))
      }
      t.deepEqual(second.told, first.heard.told)
      first.stop()
      const { length } = first.heard.told
      const last = newRecord(NOW)
      await store.create(last, NOW)
      await store.delete(last.key)
      await second.until((told) => told.includes(last.key))
      t.is(first.heard.told.length, length)

      stopSecond?.()
      store.close()
      t.true(await isUsable())
      close()
    })

    test.serial(
      `${make.name}, ${name}: a connection that was cut or reset is told when it is back, and hears again`,
      async (t) => {
        // A subscription that does not stand tells it every few seconds anyway: here that interval never passes.
        mock.timers.enable({ apis: ['setInterval'] })
        t.teardown(() => mock.timers.reset())
        const prefix = freshPrefix()
        const proxy = await startProxy(port)
        const { subscriber, close } = await open(proxy.port)
        const store = new RedisStore(admin, { prefix, subscriber })
        const { heard, stop } = await hear(store)

        for (const fault of [() => proxy.cut(), () => proxy.reset(), () => proxy.cut()]) {
          heard.told.length = 0
          proxy.mode = 'refuse'
          fault()
          const lost = newRecord(NOW)
          await store.create(lost, NOW)
          await store.delete(lost.key)
          await sleep(50)
          t.deepEqual(heard.told, [])
          proxy.mode = 'pass'
          await heard.until((told) => told.includes(undefined))
          const next = newRecord(NOW)
          await store.create(next, NOW)
          await store.delete(next.key)
          await heard.until((told) => told.includes(next.key))
          t.false(heard.told.includes(lost.key))
        }

        stop()
        close()
        await proxy.close()
      },
    )
  }

  test.serial(`${make.name}: the client's own commandTimeout is no answer of the server`, async (t) => {
    mock.timers.enable({ apis: ['setInterval'] })
    t.teardown(() => mock.timers.reset())
    const proxy = await startProxy(port)
    const client = new Redis(proxy.port, '127.0.0.1', { commandTimeout: 1000, retryStrategy: () => 20 })
    const { subscriber, close, isUsable } = await usable(client)
    const { heard, stop } = await hear(new RedisStore(admin, { prefix: freshPrefix(), subscriber }))

    proxy.silence()
    mock.timers.tick(2500)
    // It was sent after the store's own question, so that one has been given up as well.
    await t.throwsAsync(isUsable(), { message: 'Command timed out' })
    t.deepEqual(heard.told, [])
    mock.timers.tick(2500)
    await nextTurn()
    t.deepEqual(heard.told, [undefined])

    stop()
    close()
    await proxy.close()
  })

  for (const [name, open] of Object.entries(subscribers)) {
    test.serial(
      `${make.name}, ${name}: a connection that falls silent is told within five seconds, and then again and again`,
      async (t) => {
        mock.timers.enable({ apis: ['setInterval'] })
        t.teardown(() => mock.timers.reset())
        const proxy = await startProxy(port)
        const { subscriber, close, isUsable } = await open(proxy.port)
        const store = new RedisStore(admin, { prefix: freshPrefix(), subscriber })
        const { heard, stop } = await hear(store)
        // The answer to this comes after that to the store's own ping.
        for (let beat = 0; beat < 4; beat++) {
          mock.timers.tick(2500)
          t.true(await isUsable())
          await nextTurn()
        }
        t.deepEqual(heard.told, [])

        proxy.silence()
        mock.timers.tick(2500)
        t.deepEqual(heard.told, [])
        mock.timers.tick(2500)
        await nextTurn()
        t.deepEqual(heard.told, [undefined])
        for (let more = 2; more < 5; more++) {
          mock.timers.tick(5000)
          await nextTurn()
          t.deepEqual(heard.told, new Array(more).fill(undefined))
        }

        proxy.cut()
        await heard.until(({ length }) => length > 4)
        const record = newRecord(NOW)
        await store.create(record, NOW)
        await store.delete(record.key)
        await heard.until((told) => told.includes(record.key))
        stop()
        const { length } = heard.told
        mock.timers.tick(60_000)
        t.is(heard.told.length, length)
        close()
        await proxy.close()
      },
    )
  }

  test.serial(
    `${make.name}: as long as a subscriber of redis is lost it is told to look, even where it has given up`,
    async (t) => {
      const node = await startRedis(make, ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
      const nodeAdmin = new Redis(node.port, '127.0.0.1')
      await nodeAdmin.cluster('ADDSLOTS', ...Array.from({ length: 16_384 }, (_, slot) => slot))
      nodeAdmin.disconnect()
      mock.timers.enable({ apis: ['setInterval'] })
      t.teardown(() => mock.timers.reset())
      const url = `redis://127.0.0.1:${node.port}`
      const ears = await Promise.all(
        ([20, false] as const).flatMap((reconnectStrategy) => {
          const socket = { reconnectStrategy }
          const client = createClient({ url, socket }).on('error', ignore)
          const cluster = createCluster({ rootNodes: [{ url }], defaults: { socket } }).on('error', ignore)
          return [
            { subscriber: client, isReady: () => client.isReady },
            { subscriber: cluster, isReady: () => cluster.pubSubNode?.client.isReady === true },
          ].map(async ({ subscriber, isReady }) => {
            await subscriber.connect()
            t.teardown(() => subscriber.destroy())
            return { ...(await hear(new RedisStore(admin, { subscriber }))), isReady }
          })
        }),
      )
      await node.running.stop()
      await until(
        () => !ears.some(({ isReady }) => isReady()),
        () => 'a subscriber is ready without a server',
      )

      for (let pause = 1; pause <= 3; pause++) {
        mock.timers.tick(5000)
        await nextTurn()
        for (const { heard } of ears) t.deepEqual(heard.told, new Array(pause).fill(undefined))
      }
      for (const { stop } of ears) stop()
    },
  )

  test(`${make.name}: two stores share an ioredis client, and one that stops leaves the other`, async (t) => {
    const prefix = freshPrefix()
    const subscriber = new Redis(port, '127.0.0.1')
    const [one, two] = [0, 1].map(() => new RedisStore(admin, { prefix, subscriber }))
    if (!one || !two) return t.fail()
    const [first, second] = [await hear(one), await hear(two)]
    first.stop()
    const record = newRecord(NOW)
    await one.create(record, NOW)
    await one.delete(record.key)

    await second.heard.until((told) => told.includes(record.key))
    t.deepEqual(
      first.heard.told.filter((key) => key !== undefined),
      [],
    )
    second.stop()
    subscriber.disconnect()
  })

  test.serial(
    `${make.name}: a keyPrefix that the client does not add to the store's keys is told of, once`,
    async (t) => {
      const seen = warnings(t)
      for (const [client, isAdded] of [
        [new Redis(port, '127.0.0.1', { keyPrefix: 'added:' }), true],
        [new Valkey(port, '127.0.0.1', { keyPrefix: 'ignored:' }), false],
      ] as const) {
        const prefix = freshPrefix()
        for (let stores = 0; stores < 2; stores++) {
          await new RedisStore(client, { prefix }).create(newRecord(NOW), NOW)
          // Answered after the store's own question.
          await client.ping()
          await client.ping()
          await settle()
        }

        t.is((await admin.keys(`${prefix}*`)).length, isAdded ? 0 : 2)
        t.deepEqual(
          seen.map(({ code }) => code),
          isAdded ? [] : ['KOA_FASTSESSION_KEY_PREFIX_IGNORED'],
        )
        client.disconnect()
      }
    },
  )

  test(`${make.name}: a keyPrefix of the client's own, added or ignored, breaks nothing, and is part of no channel`, async (t) => {
    for (const [client, subscriber] of [
      [new Redis(port, '127.0.0.1', { keyPrefix: 'own[*:' }), new Redis(port, '127.0.0.1', { keyPrefix: 'own[*:' })],
      [new Valkey(port, '127.0.0.1', { keyPrefix: 'own[*:' }), new Valkey(port, '127.0.0.1', { keyPrefix: 'own[*:' })],
    ] as const) {
      const store = new RedisStore(client, { prefix: freshPrefix(), subscriber })
      const { heard, stop } = await hear(store)
      const record = newRecord(NOW, { owner: 'ada' })
      await store.create(record, NOW)

      t.deepEqual((await store.scan(NOW, 1000, undefined)).records, [record])
      t.deepEqual(await listed(store, 'ada', NOW), [record])
      await store.delete(record.key)
      await heard.until((told) => told.includes(record.key))
      stop()
      client.disconnect()
      subscriber.disconnect()
    }
  })

  test(`${make.name}: where channels are not allowed sessions end all the same, and subscribers are told to look`, async (t) => {
    t.timeout(120_000)
    const prefix = freshPrefix()
    const commands = [
      'get mget getrange set del eval evalsha pexpire time zadd zrem zscore zcount zrange zrevrange zremrangebyscore',
      'scan info publish subscribe unsubscribe',
    ]
    const allowed = commands
      .join(' ')
      .split(' ')
      .map((command) => `+${command}`)
    await admin.acl('SETUSER', 'narrow', 'on', '>secret', 'resetchannels', `~${prefix}*`, ...allowed)
    const options = { username: 'narrow', password: 'secret', enableReadyCheck: false }
    const [client, subscriber] = [0, 1].map(() => new Redis(port, '127.0.0.1', options).on('error', ignore))
    if (!client || !subscriber) return t.fail()
    const store = new RedisStore(client, { prefix, subscriber })
    const heard = new Heard()
    const stop = store.subscribe?.(heard.onEnd)

    const records = [1, 2, 3].map(() => newRecord(NOW, { owner: 'ada' }))
    for (const record of records) t.true(await store.create(record, NOW))
    const [first, second, third] = records
    if (!first || !second || !third) return t.fail()
    t.true(await store.touch(third.key, 1, NOW, NOW + HOUR, NOW))
    t.deepEqual((await store.scan(NOW, 100, undefined)).records.length, 3)
    t.deepEqual((await store.listKeys('ada', NOW, 100, undefined)).keys.length, 3)
    t.is(await store.replace(successor(first, { payload: '', owner: undefined }), 1, NOW), 'done')
    t.true(await store.delete(second.key))
    t.deepEqual(await listed(store, 'ada', NOW), [third])

    await heard.until((told) => told.includes(undefined))
    t.deepEqual(
      heard.told.filter((key) => key !== undefined),
      [],
    )
    stop?.()
    client.disconnect()
    subscriber.disconnect()
  })

  test.serial(`${make.name}: a full server lets sessions end, and tells of it`, async (t) => {
    for (const { name, client } of clients) {
      const prefix = freshPrefix()
      const subscriber = new Redis(port, '127.0.0.1')
      const store = new RedisStore(client, { prefix, subscriber })
      const { heard, stop } = await hear(store)
      const records = [1, 2, 3].map(() => newRecord(NOW, { owner: 'ada', payload: 'x'.repeat(300) }))
      for (const record of records) await store.create(record, NOW)
      const [first, second, third] = records
      if (!first || !second || !third) return t.fail()
      await admin.script('FLUSH')
      await admin.config('SET', 'maxmemory', '1')
      const ended = successor(first, { payload: '', owner: undefined, expiresAt: NOW + 60_000 })

      t.is(await store.replace(ended, 5, NOW), 'stale', name)
      t.is(await store.replace(ended, 1, NOW), 'done', name)
      t.deepEqual(await store.read(first.key, NOW), ended)
      t.is(await store.replace(successor(second, { expiresAt: NOW }), 1, NOW), 'done')
      t.is(await store.read(second.key, NOW), undefined)
      await t.throwsAsync(async () => store.replace(successor(third), 1, NOW), { message: /OOM|maxmemory/ })
      t.true(await store.delete(third.key))
      t.deepEqual(await listed(store, 'ada', NOW), [])
      await admin.config('SET', 'maxmemory', '0')

      await heard.until((told) => [first, second, third].every(({ key }) => told.includes(key)))
      t.is(await admin.exists(...(await admin.keys(`${prefix}owner:*`)), 'none'), 0)
      stop()
      subscriber.disconnect()
    }
  })

  for (const { title, run } of storeChecks.filter(({ title }) => title.includes('subscribe'))) {
    test(`${make.name} with a subscriber: ${title}`, async (t) => {
      const subscriber = new Redis(port, '127.0.0.1')
      await t.notThrowsAsync(run(new RedisStore(admin, { prefix: freshPrefix(), subscriber })))
      subscriber.disconnect()
    })
  }

  test(`${make.name} Cluster: an end at any node reaches who subscribes, also after the node of the subscription is gone`, async (t) => {
    t.timeout(240_000)
    const nodes = await startCluster(make)
    t.teardown(() => Promise.all(nodes.map(({ running }) => running.stop())))
    const hosts = nodes.map((node) => ({ host: '127.0.0.1', port: node.port }))
    const client = new Cluster(hosts)
    const redis = createCluster({ rootNodes: hosts.map((host) => ({ url: `redis://127.0.0.1:${host.port}` })) }).on(
      'error',
      ignore,
    )
    await redis.connect()
    const ioredis = new Cluster(hosts)
    const iovalkey = new ValkeyCluster(hosts)
    const writer = new RedisStore(client)
    const all = [redis, ioredis, iovalkey].map((subscriber) => new RedisStore(client, { subscriber }))
    const ears = await Promise.all(all.map(hear))
    const endTen = async () => {
      const records = Array.from({ length: 10 }, () => newRecord(NOW, { owner: 'ada' }))
      for (const [index, record] of records.entries()) {
        await writer.create(record, NOW)
        if (index % 2 === 0) await writer.delete(record.key)
        else await writer.replace(successor(record, { payload: '', owner: undefined }), 1, NOW)
      }
      for (const { heard } of ears) await heard.until((told) => records.every(({ key }) => told.includes(key)))
    }
    await endTen()

    const admins = nodes.map((node) => new Redis(node.port, '127.0.0.1'))
    for (const { heard } of ears) heard.told.length = 0
    for (const admin of admins) await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    for (const { heard } of ears) await heard.until((told) => told.includes(undefined))
    await endTen()

    for (const { stop } of ears) stop()
    for (const admin of admins) admin.disconnect()
    for (const each of [client, ioredis, iovalkey]) each.disconnect()
    redis.destroy()
    t.pass()
  })
}

test('an error of a subscriber of redis that nobody else hears is still one that nobody hears', (t) => {
  const subscriber = createClient()
  const stop = new RedisStore(createClient(), { subscriber }).subscribe?.(ignore)
  const fault = new Error('the connection was cut')

  t.throws(() => subscriber.emit('error', fault), { is: fault })
  stop?.()
})
