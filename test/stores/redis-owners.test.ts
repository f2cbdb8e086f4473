import test from 'ava'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import type { SessionRecord } from '../../src/store.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { around, listed } from '../support/redis-clients.ts'
import { startEachRedis } from '../support/redis.ts'

const MINUTE = 60_000

const NOW = Date.now()

const servers = await startEachRedis()
if (servers.length === 0) test.skip('the owner index of RedisStore', (t) => t.pass())

for (const { make, admin, freshPrefix, stop } of servers) {
  test.after.always(async () => {
    await stop()
  })

  test(`${make.name}: an entry of the index survives a list that comes before its record`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    let before: SessionRecord[] | undefined
    const slow = new RedisStore(
      around(admin, async (send, n) => {
        if (n === 2) {
          t.is(await admin.exists(`${prefix}${record.key}`), 0)
          before = await listed(store, 'ada', NOW)
        }
        return send()
      }),
      { prefix },
    )
    // So that the scripts are known and the second command is the record's.
    await store.create(newRecord(NOW, { owner: 'bob' }), NOW)

    await slow.create(record, NOW)

    t.deepEqual(before, [])
    t.deepEqual(await listed(store, 'ada', NOW), [record])
  })

  test(`${make.name}: an entry that arrives late takes nothing from the index`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    const moved = { lastSeenAt: NOW + 2, expiresAt: NOW + 9 * HOUR }
    await store.create(record, NOW)
    const slow = new RedisStore(
      around(admin, async (send, n) => {
        if (n === 2) t.true(await store.touch(record.key, 1, moved.lastSeenAt, moved.expiresAt, NOW))
        return send()
      }),
      { prefix },
    )
    // So that the scripts are known and the second command is the index's.
    await store.touch(record.key, 1, NOW, NOW + HOUR, NOW)

    t.true(await slow.touch(record.key, 1, NOW + 1, NOW + HOUR, NOW))
    await store.create(newRecord(NOW + 8 * HOUR, { owner: 'ada', expiresAt: NOW + 8 * HOUR + 1 }), NOW + 8 * HOUR)

    t.deepEqual(await listed(store, 'ada', NOW + 9 * HOUR - 1), [{ ...record, ...moved }])
  })

  for (const verb of ['touch', 'replace'] as const) {
    test(`${make.name}: a session that lives on by ${verb} alone stays listed`, async (t) => {
      const store = new RedisStore(admin, { prefix: freshPrefix() })
      const { key } = newRecord(NOW)
      let record = newRecord(NOW, { key, owner: 'ada' })
      await store.create(record, NOW)

      for (let now = NOW; now < NOW + 24 * HOUR; now += 35 * MINUTE) {
        const moved = { lastSeenAt: now, expiresAt: now + HOUR }
        if (verb === 'touch') t.true(await store.touch(key, 1, moved.lastSeenAt, moved.expiresAt, now))
        else t.is(await store.replace(successor(record, moved), record.version, now), 'done')
        record = verb === 'touch' ? { ...record, ...moved } : successor(record, moved)
        // Another session of the owner, so that what is past leaves the index.
        await store.create(newRecord(NOW, { owner: 'ada', expiresAt: now + 1 }), now)

        t.deepEqual(await listed(store, 'ada', record.expiresAt - 1), [record])
      }
    })
  }

  test(`${make.name}: a touch puts an entry back that the index has lost`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    const record = newRecord(NOW, { owner: 'ada' })
    await store.create(record, NOW)
    await admin.del(await admin.keys(`${prefix}owner:*`))
    t.deepEqual(await listed(store, 'ada', NOW), [])

    await store.touch(record.key, 1, NOW, NOW + HOUR, NOW)

    t.deepEqual(await listed(store, 'ada', NOW), [record])
  })

  test(`${make.name}: entries that are past leave the index when another one is written`, async (t) => {
    const prefix = freshPrefix()
    const store = new RedisStore(admin, { prefix })
    for (let index = 0; index < 10; index++) await store.create(newRecord(NOW, { owner: 'ada' }), NOW)
    const later = NOW + 3 * HOUR
    const last = newRecord(NOW, { owner: 'ada', expiresAt: later + HOUR })

    await store.create(last, later)

    const [index = ''] = await admin.keys(`${prefix}owner:*`)
    t.deepEqual(await admin.zrange(index, '0', '-1'), [last.key])
    await store.delete(last.key)
    t.is(await admin.exists(index), 0)
  })
}
