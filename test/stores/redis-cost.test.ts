// What a session costs, and what the server's own state does to it. One test at a time: each has the server for itself.
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'
import test from 'ava'
import { Redis } from 'ioredis'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { startEachWithClients } from '../support/redis-clients.ts'

const MINUTE = 60_000

// What MONITOR shows of a command: where it comes from, its name and its first argument. A client of ioredis that monitors
// takes the first of these for an answer to its own question at times.
const LINE = /^\+[\d.]+ \[\d+ ([^\]]+)\] "([^"]*)"(?: "([^"]*)")?/

const NOW = Date.now()

const servers = await startEachWithClients()
if (servers.length === 0) test.skip('what RedisStore costs', (t) => t.pass())

for (const { make, port, admin, clients, freshPrefix, stop } of servers) {
  test.after.always(stop)

  /** The commands that `work` sends through a client of its own, as the server sees them; scripts' own are not counted. */
  const commandsOf = async (work: (store: RedisStore) => Promise<unknown>): Promise<string[]> => {
    const client = new Redis(port, '127.0.0.1')
    const monitor = connect(port, '127.0.0.1')
    const seen: string[] = []
    const ended = new Promise<void>((resolve) => {
      createInterface(monitor).on('line', (line) => {
        const [, source, name = '', first] = LINE.exec(line) ?? []
        if (first === 'end of work') resolve()
        else if (name !== '' && source !== 'lua' && name.toUpperCase() !== 'INFO') seen.push(name.toUpperCase())
      })
    })
    monitor.write('MONITOR\r\n')
    // It says OK first.
    await once(monitor, 'data')
    await client.echo('start')
    await work(new RedisStore(client, { prefix: 'counted:' }))
    await client.echo('end of work')
    await ended
    monitor.destroy()
    client.disconnect()
    return seen.slice(seen.indexOf('ECHO') + 1)
  }

  test.serial(`${make.name}: each verb is one command without an owner`, async (t) => {
    const store = new RedisStore(admin, { prefix: 'counted:' })
    const known = newRecord(NOW, { owner: 'ada' })
    await store.create(known, NOW)
    await store.replace(successor(known), 1, NOW)
    await store.touch(known.key, 2, NOW, NOW + HOUR, NOW)
    await store.delete(known.key)
    const record = newRecord(NOW)

    t.deepEqual(await commandsOf((counted) => counted.create(record, NOW)), ['SET'])
    t.deepEqual(await commandsOf((counted) => counted.read(record.key, NOW)), ['GET'])
    t.deepEqual(await commandsOf((counted) => counted.replace(successor(record), 1, NOW)), ['EVALSHA'])
    t.deepEqual(await commandsOf((counted) => counted.touch(record.key, 2, NOW + 1, NOW + HOUR, NOW)), ['EVALSHA'])
    t.deepEqual(await commandsOf((counted) => counted.delete(record.key)), ['EVALSHA'])
  })

  test.serial(
    `${make.name}: an owner adds one command to create, touch and delete, and none to read and replace`,
    async (t) => {
      const record = newRecord(NOW, { owner: 'ada' })

      t.deepEqual(await commandsOf((counted) => counted.create(record, NOW)), ['EVALSHA', 'SET'])
      t.deepEqual(await commandsOf((counted) => counted.read(record.key, NOW)), ['GET'])
      t.deepEqual(
        await commandsOf((counted) => counted.replace(successor(record, { expiresAt: NOW + HOUR + 1 }), 1, NOW)),
        ['EVALSHA'],
      )
      t.deepEqual(await commandsOf((counted) => counted.touch(record.key, 2, NOW + 1, NOW + HOUR + 2, NOW)), [
        'EVALSHA',
        'EVALSHA',
      ])
      t.deepEqual(await commandsOf((counted) => counted.delete(record.key)), ['EVALSHA', 'ZREM'])
    },
  )

  test.serial(
    `${make.name}: an index that has to be extended costs two commands more, once in a lifetime`,
    async (t) => {
      const record = newRecord(NOW, { owner: 'ada' })
      const store = new RedisStore(admin, { prefix: 'counted:' })
      await store.create(record, NOW)

      const counts = []
      for (let now = NOW + 10 * MINUTE; now <= NOW + 4 * HOUR; now += 10 * MINUTE) {
        counts.push((await commandsOf((counted) => counted.touch(record.key, 1, now, now + HOUR, now))).length)
      }

      t.deepEqual([...new Set(counts)].sort(), [2, 3])
      t.true(counts.filter((count) => count === 3).length <= 4)
    },
  )

  test.serial(`${make.name}: a session of 300 bytes takes at most 500 in the server`, async (t) => {
    const store = new RedisStore(admin)
    const record = newRecord(NOW, { payload: 'x'.repeat(300) })
    await store.create(record, NOW)
    const sizes = [await admin.memory('USAGE', `session:${record.key}`)]

    await store.touch(record.key, 1, NOW + 1, NOW + HOUR, NOW)
    for (let version = 1; version <= 20; version++) {
      // Each from another process, as behind a load balancer.
      await new RedisStore(admin).replace(
        successor(record, { version: version + 1, payload: record.payload }),
        version,
        NOW,
      )
      if (version <= 3) sizes.push(await admin.memory('USAGE', `session:${record.key}`))
    }

    t.log(
      `bytes for 300: ${sizes.join(', ')}; after 20 writers ${await admin.memory('USAGE', `session:${record.key}`)}`,
    )
    t.true(sizes.every((size) => size !== null && size <= 500))
    await store.delete(record.key)
  })

  test.serial(`${make.name}: a server that has forgotten the scripts is sent them again`, async (t) => {
    for (const { name, client } of clients) {
      const store = new RedisStore(client)
      const record = newRecord(NOW, { owner: 'ada' })

      await admin.script('FLUSH')
      t.true(await store.create(record, NOW), name)
      await admin.script('FLUSH')
      t.is(await store.replace(successor(record), 1, NOW), 'done', name)
      await admin.script('FLUSH')
      t.true(await store.touch(record.key, 2, NOW + 1, NOW + HOUR, NOW), name)
    }
  })

  test.serial(
    `${make.name}: a server out of memory is an error that shows no data, and the record stays as it was`,
    async (t) => {
      for (const { name, client } of clients) {
        const store = new RedisStore(client)
        const record = newRecord(NOW, { owner: 'ada' })
        await store.create(record, NOW)
        await admin.config('SET', 'maxmemory', '1')

        const failures = [
          await t.throwsAsync(store.create(newRecord(NOW, { payload: 'private' }), NOW), undefined, name),
          await t.throwsAsync(store.replace(successor(record, { payload: 'private' }), 1, NOW), undefined, name),
          await t.throwsAsync(store.touch(record.key, 1, NOW + 1, NOW + 2 * HOUR, NOW), undefined, name),
        ]
        t.deepEqual(await store.read(record.key, NOW), record)
        t.is((await listed(store, 'ada', NOW)).filter(({ key }) => key === record.key).length, 1)
        await admin.config('SET', 'maxmemory', '0')

        for (const failure of failures) {
          t.regex(failure.message, /OOM|maxmemory/)
          t.false(inspect(failure, { depth: 9, showHidden: true }).includes('private'))
        }
        await store.delete(record.key)
      }
    },
  )

  test.serial(
    `${make.name}: no verb leaves a key without a time to live, or with one shorter than the session`,
    async (t) => {
      const prefix = freshPrefix()
      const store = new RedisStore(admin, { prefix })
      // Clocks that the server does not share: what counts is what is left of a session, not when it ends.
      for (const now of [1000, NOW, NOW * 2]) {
        const end = now + HOUR
        const record = newRecord(now, { owner: 'ada' })
        const second = newRecord(now)
        const look = async (when: string) => {
          for (const key of await admin.keys(`${prefix}*`)) {
            const left = await admin.pttl(key)
            t.true(left >= HOUR && left < 7 * HOUR, `${when}: ${left} ms`)
          }
        }

        await store.create(record, now)
        await store.create(second, now)
        await look('create')
        await store.replace(successor(record), 1, now)
        await store.replace(successor(second, { owner: 'bob' }), 1, now)
        await look('replace')
        await store.touch(record.key, 2, now + 1, end + HOUR, now)
        await store.touch(second.key, 2, now + 1, end + 2 * HOUR, now)
        await look('touch')
        await store.delete(record.key)
        await look('delete')
        t.is((await store.read(second.key, end))?.key, second.key)
        await store.replace(successor(second, { version: 3, expiresAt: now }), 2, now)
        t.true((await admin.pttl(`${prefix}${second.key}`)) > 0)
        await admin.del(await admin.keys(`${prefix}*`))
      }
    },
  )
}
