import test from 'ava'
import { storeChecks } from '../../src/conformance.ts'
import { HOUR, newRecord, successor } from '../../src/conformance/scene.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { listed } from '../support/portions.ts'
import { startClusterWithClients } from '../support/redis-clients.ts'
import { redisMakes } from '../support/redis.ts'

const clusters = await Promise.all(redisMakes().map(startClusterWithClients))
if (clusters.length === 0) test.skip('RedisStore in a Cluster', (t) => t.pass())

for (const { make, clients, admins, stop } of clusters) {
  test.after.always(stop)

  for (const { name, client } of clients) {
    test.serial(
      `${make.name} Cluster, ${name}: sessions and their index spread over the nodes, each key with a time to live`,
      async (t) => {
        const store = new RedisStore(client, { prefix: `spread-${name}:` })
        const now = Date.now()
        const records = Array.from({ length: 30 }, () => newRecord(now, { owner: 'ada' }))
        await Promise.all(records.map((each) => store.create(each, now)))

        t.is((await listed(store, 'ada', now)).length, 30)
        const held = await Promise.all(admins.map((admin) => admin.keys(`spread-${name}:*`)))
        t.true(held.every((keys) => keys.length > 0))
        t.is(held.flat().length, 31)
        for (const [index, keys] of held.entries()) {
          for (const key of keys) t.true(((await admins[index]?.pttl(key)) ?? -1) > 0)
        }
      },
    )

    test.serial(
      `${make.name} Cluster, ${name}: nodes that have forgotten the scripts are sent them again`,
      async (t) => {
        const store = new RedisStore(client)
        const now = Date.now()
        for (const admin of admins) await admin.script('FLUSH')

        for (let index = 0; index < 10; index++) {
          const first = newRecord(now, { owner: 'bob' })
          t.true(await store.create(first, now))
          t.is(await store.replace(successor(first), 1, now), 'done')
          t.true(await store.touch(first.key, 2, now + 1, now + HOUR + 1, now))
        }
      },
    )

    for (const { title, run } of storeChecks) {
      test(`${make.name} Cluster, ${name}: ${title}`, (t) => t.notThrowsAsync(run(new RedisStore(client))))
    }
  }
}
