// Stamps of index entries that lie ahead of the server's minute: a record may be on its way to them.
import test from 'ava'
import { newKey, newRecord } from '../../src/conformance/scene.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { around } from '../support/redis-clients.ts'
import { startEachRedis } from '../support/redis.ts'

const NOW = Date.now()
const DAY = 86_400_000

const servers = await startEachRedis()
if (servers.length === 0) test.skip('stamps of the owner index of RedisStore', (t) => t.pass())

for (const { make, admin, freshPrefix, stop } of servers) {
  test.after.always(async () => {
    await stop()
  })

  for (const verb of ['list', 'listKeys'] as const)
    test(`${make.name}: ${verb} leaves an entry that was stamped before the server's clock was set back`, async (t) => {
      const prefix = freshPrefix()
      const store = new RedisStore(admin, { prefix })
      const any = newRecord(NOW, { owner: 'ada' })
      await store.create(any, NOW)
      const [index = ''] = await admin.keys(`${prefix}owner:*`)
      await store.delete(any.key)
      // As a create writes it whose record is on its way, two minutes ahead of what the clock shows now.
      const minute = (Math.floor(Number((await admin.time())[0]) / 60) % 2047) + 1
      const stamp = ((minute - 1 + 2) % 2047) + 1
      const key = newKey()
      await admin.zadd(index, `${NOW + 60 * DAY + stamp / 2048}`, key)

      await store[verb]('ada', NOW, 100, undefined)

      // What list cleans it does not wait for; the server answers one connection in order.
      t.deepEqual(await admin.zrange(index, '0', '-1'), [key])
    })

  // From 41 years on a score of double precision cannot hold the stamp: it is rounded, up or down.
  for (const years of [50, 100, 300, 1000, 3000, 10_000])
    test(`${make.name}: an entry of a session of ${years} years survives a list that comes before its record`, async (t) => {
      const prefix = freshPrefix()
      const store = new RedisStore(admin, { prefix })
      const record = newRecord(NOW, { owner: 'ada', expiresAt: NOW + years * 365 * DAY })
      const slow = new RedisStore(
        around(admin, async (send, n) => {
          if (n === 2) await listed(store, 'ada', NOW)
          return send()
        }),
        { prefix },
      )
      // So that the scripts are known and the second command is the record's.
      await store.create(newRecord(NOW, { owner: 'bob' }), NOW)

      await slow.create(record, NOW)

      t.deepEqual(await listed(store, 'ada', NOW), [record])
    })
}
