// What breaks between the store and its server: answers that are lost, connections that die, servers that fail over.
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Redis } from 'ioredis'
import { createClient, createSentinel } from 'redis'
import { storeChecks } from '../../src/conformance.ts'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import { RedisStore, type RedisClient } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { startProxy } from '../support/proxy.ts'
import { around } from '../support/redis-clients.ts'
import { startEachRedis, startRedis, startSentinels } from '../support/redis.ts'

const NOW = Date.now()
const MINUTE = 60_000
const ignore = () => undefined

/** The first success of `work`, which is tried for two minutes at most; and how often it failed. */
async function eventually<T>(work: () => Promise<T>): Promise<{ result: T; failures: number }> {
  const end = Date.now() + 120_000
  for (let failures = 0; ; failures++) {
    try {
      return { result: await work(), failures }
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(50)
    }
  }
}

const servers = await Promise.all(
  (await startEachRedis()).map(async (server) => {
    return { ...server, sentinels: await startSentinels(server.make) }
  }),
)
if (servers.length === 0) test.skip('RedisStore and faults', (t) => t.pass())

for (const { make, port: serverPort, admin, sentinels, freshPrefix, stop } of servers) {
  test.after.always(async () => {
    await sentinels.stop()
    await stop()
  })

  test(`${make.name}: a change that is sent twice counts once, also when others changed the record in between`, async (t) => {
    const prefix = freshPrefix()
    const others = Array.from({ length: 7 }, () => new RedisStore(admin, { prefix }))
    let between = (): Promise<unknown> => Promise.resolve()
    const twice = new RedisStore(
      around(admin, async (send) => {
        await send()
        const step = between
        between = () => Promise.resolve()
        await step()
        return send()
      }),
      { prefix },
    )

    for (const owner of [undefined, 'ada']) {
      const record = newRecord(NOW, { owner, payload: '0' })
      t.true(await twice.create(record, NOW))
      t.deepEqual(await twice.read(record.key, NOW), record)
      const second = successor(record, { payload: '1' })
      const last = successor(record, { payload: '15', version: 16 })
      between = async () => {
        for (let version = 2; version < 16; version++) {
          const next = successor(record, { version: version + 1, payload: `${version}` })
          t.is(await others[version % 7]?.replace(next, version, NOW), 'done')
        }
      }

      t.is(await twice.replace(second, 1, NOW), 'done')
      t.deepEqual(await twice.read(record.key, NOW), last)
      t.is(await twice.replace(second, 1, NOW), 'stale')
      t.is(await twice.replace(successor(last, { expiresAt: NOW }), 16, NOW), 'done')
      t.is(await twice.replace(successor(last), 17, NOW), 'gone')
    }
    const early = newRecord(NOW)
    between = () => others[0]?.replace(successor(early), 1, NOW) ?? Promise.reject(new Error('no other store'))
    t.true(await twice.create(early, NOW))
    t.deepEqual(await twice.read(early.key, NOW), successor(early))
    const given = newRecord(NOW)
    await twice.create(given, NOW)
    t.is(await twice.replace(successor(given, { owner: 'bob' }), 1, NOW), 'done')
    t.deepEqual(await listed(twice, 'bob', NOW), [successor(given, { owner: 'bob' })])
  })

  test(`${make.name}: a change that is sent twice counts once, although its session was last seen long ago`, async (t) => {
    const prefix = freshPrefix()
    const other = new RedisStore(admin, { prefix })
    const later = NOW + 30 * MINUTE
    const record = newRecord(NOW, { payload: '0' })
    // As an update from outside a request makes it: lastSeenAt stays.
    const second = successor(record, { payload: '1' })
    const third = successor(record, { version: 3, payload: '2' })
    const twice = new RedisStore(
      around(admin, async (send) => {
        await send()
        t.is(await other.replace(third, 2, later), 'done')
        return send()
      }),
      { prefix },
    )
    await other.create(record, NOW)

    t.is(await twice.replace(second, 1, later), 'done')

    t.deepEqual(await other.read(record.key, later), third)
  })

  for (const { title, run } of storeChecks.filter(({ title }) => !title.includes('delete'))) {
    test(`${make.name}, every command sent twice: ${title}`, async (t) => {
      const client = around(admin, async (send) => {
        await send()
        return send()
      })
      await t.notThrowsAsync(run(new RedisStore(client)))
    })
  }

  /** A store behind a proxy, and one past it; the server knows the scripts. */
  const behindProxy = async (open: (port: number) => Promise<{ client: RedisClient; close: () => unknown }>) => {
    const prefix = freshPrefix()
    const direct = new RedisStore(admin, { prefix })
    const known = newRecord(NOW, { owner: 'eve' })
    await direct.create(known, NOW)
    await direct.replace(successor(known), 1, NOW)
    await direct.touch(known.key, 2, NOW, NOW + HOUR, NOW)
    const proxy = await startProxy(serverPort)
    const { client, close } = await open(proxy.port)
    const end = async () => {
      close()
      await proxy.close()
    }
    return { direct, proxy, store: new RedisStore(client, { prefix }), end }
  }

  /** ioredis sends again what was not answered. */
  const ioredis = (port: number) => {
    const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 20, maxRetriesPerRequest: null }).on(
      'error',
      ignore,
    )
    return client.ping().then(() => ({ client, close: () => client.disconnect() }))
  }

  /** redis does not. */
  const redis = async (port: number) => {
    const client = await createClient({ url: `redis://127.0.0.1:${port}` })
      .on('error', ignore)
      .connect()
    return { client, close: () => client.destroy() }
  }

  test(`${make.name}, ioredis: a create whose answer was lost is sent again, and is true`, async (t) => {
    const { direct, proxy, store, end } = await behindProxy(ioredis)
    const record = newRecord(NOW)

    const lost = proxy.loseAnswer()
    const answer = store.create(record, NOW)
    await lost
    t.deepEqual(await direct.read(record.key, NOW), record)
    proxy.mode = 'pass'

    t.true(await answer)
    await end()
  })

  test(`${make.name}, ioredis: a replace whose answer was lost counts once, also when others replaced the record since`, async (t) => {
    const { direct, proxy, store, end } = await behindProxy(ioredis)
    const record = newRecord(NOW, { payload: '0' })
    const later = successor(record, { version: 3, payload: '2' })
    await direct.create(record, NOW)

    const lost = proxy.loseAnswer()
    const answer = store.replace(successor(record, { payload: '1' }), 1, NOW)
    await lost
    t.is(await direct.replace(later, 2, NOW), 'done')
    proxy.mode = 'pass'

    t.is(await answer, 'done')
    t.deepEqual(await store.read(record.key, NOW), later)
    await end()
  })

  test(`${make.name}, ioredis: a touch whose answer was lost is true`, async (t) => {
    const { direct, proxy, store, end } = await behindProxy(ioredis)
    const record = newRecord(NOW)
    await direct.create(record, NOW)

    const lost = proxy.loseAnswer()
    const answer = store.touch(record.key, 1, NOW + 1, NOW + 2 * HOUR, NOW)
    await lost
    proxy.mode = 'pass'

    t.true(await answer)
    t.deepEqual(await direct.read(record.key, NOW), { ...record, lastSeenAt: NOW + 1, expiresAt: NOW + 2 * HOUR })
    await end()
  })

  test(`${make.name}, ioredis: writers that lose answers again and again count to 200 exactly`, async (t) => {
    const { direct, proxy, store, end } = await behindProxy(ioredis)
    const { key } = newRecord(NOW)
    await direct.create(newRecord(NOW, { key, payload: '0' }), NOW)
    const increment = async (through: RedisStore): Promise<void> => {
      for (;;) {
        const read = await through.read(key, NOW)
        if (read === undefined) throw new Error('the record is gone')
        const next = { ...read, version: read.version + 1, payload: `${Number(read.payload) + 1}` }
        if ((await through.replace(next, read.version, NOW)) === 'done') return
      }
    }
    let counting = true
    let losses = 0
    const trouble = async () => {
      while (counting) {
        // The first answers go to the handshake of a new connection.
        await proxy.loseAnswer(5 + (losses++ % 5))
        proxy.mode = 'pass'
      }
    }

    void trouble()
    await Promise.all(
      ['0', '1', '2', '3'].map(async (_, writer) => {
        for (let times = 0; times < 50; times++) await increment(writer % 2 === 0 ? store : direct)
      }),
    )
    counting = false
    t.true(losses > 10, `${losses} answers were lost`)

    t.is((await direct.read(key, NOW))?.payload, '200')
    await end()
  })

  test(`${make.name}, redis: a change whose answer was lost is an error, not stale and not gone`, async (t) => {
    const { direct, proxy, store, end } = await behindProxy(redis)
    const record = newRecord(NOW)
    await direct.create(record, NOW)

    const lost = proxy.loseAnswer()
    const answer = t.throwsAsync(store.replace(successor(record), 1, NOW))
    await lost
    await answer

    t.deepEqual(await direct.read(record.key, NOW), successor(record))
    await end()
  })

  for (const [name, open] of Object.entries({ redis, ioredis })) {
    test(`${make.name}, ${name}: a store works again after its connection was cut and reset`, async (t) => {
      const { proxy, store, end } = await behindProxy(open)
      const record = newRecord(NOW, { owner: 'ada' })
      await store.create(record, NOW)

      for (const fault of [() => proxy.cut(), () => proxy.reset()]) {
        fault()
        t.deepEqual((await eventually(() => store.read(record.key, NOW))).result, record)
        t.deepEqual((await eventually(() => listed(store, 'ada', NOW))).result, [record])
      }
      await end()
    })

    test(`${make.name}, ${name}: a server that does not answer leaves the promise open, and nothing rejects unheard`, async (t) => {
      const { direct, proxy, store, end } = await behindProxy(open)
      const record = newRecord(NOW, { owner: 'ada' })
      await direct.create(record, NOW)
      proxy.mode = 'black hole'

      const calls = [
        store.read(record.key, NOW),
        store.replace(successor(record), 1, NOW),
        listed(store, 'ada', NOW),
        store.delete(record.key),
      ]
      const outcomes = Promise.allSettled(calls)
      const settled = calls.map((call) => call.then(ignore, ignore))
      t.is(await Promise.race([...settled, sleep(200, 'open')]), 'open')

      await end()
      t.true((await outcomes).every(({ status }) => status === 'rejected'))
      t.deepEqual(await direct.read(record.key, NOW), record)
    })

    test(`${make.name}, ${name}: a slow server is waited for`, async (t) => {
      const { proxy, store, end } = await behindProxy(open)
      proxy.delay = 50
      proxy.mode = 'delay'
      const record = newRecord(NOW, { owner: 'ada' })

      t.true(await store.create(record, NOW))
      t.deepEqual(await listed(store, 'ada', NOW), [record])
      await end()
    })
  }

  test(`${make.name}: a server that only reads, or serves no slot, is an error`, async (t) => {
    const [replica, slotless] = [
      await startRedis(make, ['--replicaof', '127.0.0.1', '1', '--replica-serve-stale-data', 'no']),
      await startRedis(make, ['--cluster-enabled', 'yes']),
    ]
    for (const [{ port, running }, reason] of [
      [replica, /MASTERDOWN|READONLY/],
      [slotless, /CLUSTERDOWN/],
    ] as const) {
      const client = new Redis(port, '127.0.0.1', { enableReadyCheck: false })
      const store = new RedisStore(client)
      const record = newRecord(NOW, { owner: 'ada' })
      await t.throwsAsync(store.read(record.key, NOW), { message: reason })
      await t.throwsAsync(store.create(record, NOW), { message: reason })
      await t.throwsAsync(store.replace(record, 1, NOW), { message: reason })
      await t.throwsAsync(store.touch(record.key, 1, NOW, NOW, NOW), { message: reason })
      await t.throwsAsync(store.delete(record.key), { message: reason })
      await t.throwsAsync(listed(store, 'ada', NOW), { message: reason })
      client.disconnect()
      await running.stop()
    }
  })

  test(`${make.name}: a server that is gone is an error`, async (t) => {
    const brief = await startRedis(make)
    const client = new Redis(brief.port, '127.0.0.1', { maxRetriesPerRequest: 1, retryStrategy: () => 10 }).on(
      'error',
      ignore,
    )
    const store = new RedisStore(client)
    const record = newRecord(NOW)
    await store.create(record, NOW)
    await brief.running.stop()

    await t.throwsAsync(store.read(record.key, NOW))
    await t.throwsAsync(store.replace(successor(record), 1, NOW))
    client.disconnect()
  })

  test(`${make.name} Sentinel: the same clients work again after the primary was killed`, async (t) => {
    const { name, ports, servers } = sentinels
    const [primary] = servers
    const hosts = ports.map((port) => ({ host: '127.0.0.1', port }))
    const first = new Redis({ sentinels: hosts, name, sentinelRetryStrategy: () => 50, retryStrategy: () => 50 }).on(
      'error',
      ignore,
    )
    const second = createSentinel({ name, sentinelRootNodes: hosts, scanInterval: 200 }).on('error', ignore)
    await second.connect()
    const record = newRecord(NOW, { owner: 'ada' })
    const stores = [first, second].map((client) => new RedisStore(client, { prefix: 'failover:' }))
    t.true(await stores[0]?.create(record, NOW))
    t.is(await stores[1]?.replace(successor(record), 1, NOW), 'done')
    const direct = new Redis(primary?.port ?? 0, '127.0.0.1').on('error', ignore)
    t.is(await direct.wait(1, 5000), 1)
    direct.disconnect()
    const started = Date.now()

    await primary?.running.stop('SIGKILL')

    for (const [index, store] of stores.entries()) {
      const { failures } = await eventually(() => store.create(newRecord(NOW, { owner: 'ada' }), NOW))
      t.log(`${['ioredis', 'redis'][index]} writes again after ${Date.now() - started} ms and ${failures} failures`)
      t.deepEqual(await store.read(record.key, NOW), successor(record))
      t.is((await listed(store, 'ada', NOW)).length, 2 + index)
    }
    first.disconnect()
    await second.destroy()
  })
}
