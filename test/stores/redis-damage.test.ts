// Whatever lies under a key that no store has written is one session that has ended: no verb fails of it, and nothing
// else of its owner does.
import test from 'ava'
import type { Redis } from 'ioredis'
import { HOUR, newKey, newRecord, successor } from '../../src/conformance/scene.ts'
import { CorruptRecord, type SessionRecord } from '../../src/store.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { listed, scanned } from '../support/portions.ts'
import { startEachWithClients } from '../support/redis-clients.ts'
import { until } from '../support/service.ts'

const NOW = Date.now()

const servers = await startEachWithClients()
if (servers.length === 0) test.skip('RedisStore and damaged values', (t) => t.pass())

/** Puts something else in the place of a value. */
type Damage = (admin: Redis, name: string) => Promise<unknown>

const types: Record<string, Damage> = {
  'a list': (admin, name) => admin.rpush(name, 'item'),
  'a hash': (admin, name) => admin.hset(name, 'field', 'value'),
  'a set': (admin, name) => admin.sadd(name, 'member'),
  'a sorted set': (admin, name) => admin.zadd(name, 1, 'member'),
  'a stream': (admin, name) => admin.xadd(name, '*', 'field', 'value'),
  bits: (admin, name) => admin.setbit(name, 1000, 1),
}

const text = (change: (lines: string[]) => readonly string[]): Damage => {
  return async (admin, name) =>
    admin.set(name, change(((await admin.get(`${name}:before`)) ?? '').split('\n')).join('\n'))
}
const line = (at: number, value: string) => text((lines) => lines.map((old, index) => (index === at ? value : old)))

const texts: Record<string, Damage> = {
  'no text': text(() => []),
  text: text(() => ['text']),
  'ten million bytes': (admin, name) => admin.set(name, 'x'.repeat(10_000_000)),
  'a million lines': (admin, name) => admin.set(name, '\n'.repeat(1_000_000)),
  'no payload line': text((lines) => lines.slice(0, 6)),
  'a kind of its own': line(0, 'z1'),
  'no kind': line(0, '1'),
  'a version of 2^53': line(0, `t${(2 ** 53).toString(36)}`),
  'a version of 2^63': line(0, `t${(2n ** 63n).toString(36)}`),
  'a version below one': line(0, 't0'),
  'an instant that is none': line(1, '='),
  'an instant of 2^63': line(1, (2n ** 63n - 1n).toString(36)),
  'an instant that is NaN': line(1, '=NaN'),
  'an instant in capitals': line(2, 'ABC'),
  'a negative instant in base 36': line(2, '-5'),
  'an owner that is no JSON': line(5, '{'),
  'an owner that is no text of any length': line(5, '""'),
  'notes that are no JSON': text((lines) =>
    lines.map((old, index) => (index === 6 ? `${old}\n{` : old)).filter((_, index) => index !== 7),
  ),
}

/** Of those the scripts can still take apart what they compare: a change is refused by its version, or goes through. */
const isKnownToScripts = (name: string) =>
  /kind of its own|version|owner that|notes|instant of|NaN|capitals|negative/.test(name)

for (const { make, admin, clients, freshPrefix, stop } of servers) {
  test.after.always(stop)

  for (const [what, damage] of Object.entries({ ...types, ...texts })) {
    test(`${make.name}: ${what} under a record's key is one session that has ended`, async (t) => {
      for (const { name: clientName, client } of clients) {
        const prefix = freshPrefix()
        const store = new RedisStore(client, { prefix })
        const [record, other] = [newRecord(NOW, { owner: 'ada' }), newRecord(NOW, { owner: 'ada' })]
        const name = `${prefix}${record.key}`
        const put = async () => {
          await store.create(record, NOW)
          await admin.rename(name, `${name}:before`)
          await damage(admin, name)
          await admin.del(`${name}:before`)
        }
        await store.create(other, NOW)
        await put()

        await t.throwsAsync(async () => store.read(record.key, NOW), { instanceOf: CorruptRecord }, clientName)
        t.deepEqual(await listed(store, 'ada', NOW), [other])
        t.deepEqual(
          (await store.listKeys('ada', NOW, 100, undefined)).keys.filter((key) => key !== record.key),
          [other.key],
        )
        t.deepEqual(await scanned(store, NOW), [other])
        if (!isKnownToScripts(what)) {
          t.is(await store.replace(successor(record), 1, NOW), 'gone')
          t.false(await store.touch(record.key, 1, NOW, NOW + HOUR, NOW))
          t.true(await store.create({ ...record, payload: 'anew' }, NOW))
          t.deepEqual(await store.read(record.key, NOW), { ...record, payload: 'anew' })
          t.deepEqual((await listed(store, 'ada', NOW)).length, 2)
          await store.delete(record.key)
          await put()
        }
        await t.notThrowsAsync(async () => store.replace(successor(record), 1, NOW))
        await t.notThrowsAsync(async () => store.touch(record.key, 2, NOW, NOW + 9 * HOUR, NOW))
        t.true(await store.delete(record.key))
        t.is(await store.read(record.key, NOW), undefined)
        t.false(await store.delete(record.key))
        await admin.del(await admin.keys(`${prefix}*`))
      }
    })
  }

  for (const [what, damage] of Object.entries({
    ...types,
    text: (admin: Redis, name: string) => admin.set(name, 'x'),
  })) {
    if (what === 'a sorted set') continue
    test(`${make.name}: ${what} under the key of an index keeps its owner from nothing`, async (t) => {
      for (const { name: clientName, client } of clients) {
        const prefix = freshPrefix()
        const store = new RedisStore(client, { prefix })
        const record = newRecord(NOW, { owner: 'ada' })
        await store.create(record, NOW)
        const [index = ''] = await admin.keys(`${prefix}owner:*`)
        const ruin = async () => {
          await admin.del(index)
          await damage(admin, index)
        }

        await ruin()
        t.deepEqual(await listed(store, 'ada', NOW), [], clientName)
        t.deepEqual((await store.listKeys('ada', NOW, 100, undefined)).keys, [])
        const second = newRecord(NOW, { owner: 'ada' })
        t.true(await store.create(second, NOW))
        t.deepEqual(await listed(store, 'ada', NOW), [second])

        await ruin()
        t.is(await store.replace(successor(second, { expiresAt: NOW + 9 * HOUR }), 1, NOW), 'done')
        t.deepEqual(
          (await listed(store, 'ada', NOW)).map(({ key }) => key),
          [second.key],
        )
        await ruin()
        t.true(await store.touch(record.key, 1, NOW, NOW + HOUR, NOW))
        // A touch does not wait for the index, and what is asked next may overtake it on another connection of a pool.
        await until(
          async () => (await admin.type(index)) === 'zset',
          () => `${clientName}: a touch has not written the index`,
        )
        t.deepEqual(await listed(store, 'ada', NOW), [record])
        await ruin()
        t.is(await store.replace(successor(record, { payload: '', owner: undefined }), 1, NOW), 'done')
        t.true(await store.delete(second.key))
        await admin.del(await admin.keys(`${prefix}*`))
      }
    })
  }

  test(`${make.name}: members of an index that are no keys, and scores that are no instants, hide nobody`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const records: SessionRecord[] = []
    for (let index = 0; index < 5; index++) {
      const record = newRecord(NOW, { owner: 'ada' })
      records.push(record)
      await store.create(record, NOW)
    }
    const [index = ''] = await admin.keys(`${prefix}owner:*`)
    await admin.zadd(
      index,
      '+inf',
      newKey(),
      1e300,
      'x'.repeat(100_000),
      NOW * 2,
      '',
      NOW * 2,
      ' ',
      NOW * 2,
      'owner:x',
      NOW * 2,
      '\n',
    )
    await admin.zadd(index, '-inf', newKey(), NOW * 2, Buffer.from([0xff, 0xfe]))

    for (const limit of [1, 2, 100]) {
      const found = new Set((await listed(store, 'ada', NOW, limit)).map(({ key }) => key))
      t.deepEqual([...found].sort(), records.map(({ key }) => key).sort())
    }
    t.true(await store.create(newRecord(NOW, { owner: 'ada' }), NOW))
    t.true((await admin.pttl(index)) > 0)
  })
}
