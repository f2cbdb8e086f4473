// A Cluster one of whose primaries evicts keys when it is full: each client tells of it.
import test from 'ava'
import { RedisStore } from '../../src/stores/redis.ts'
import { startClusterWithClients } from '../support/redis-clients.ts'
import { redisMakes } from '../support/redis.ts'
import { until } from '../support/service.ts'
import { warnings } from '../support/warnings.ts'

const makes = redisMakes()
if (makes.length === 0) test.skip('RedisStore and a Cluster that evicts', (t) => t.pass())

for (const make of makes) {
  test.serial(`${make.name} Cluster: a primary that evicts is told of by each client`, async (t) => {
    t.timeout(150_000)
    const { clients, admins, stop } = await startClusterWithClients(make)
    t.teardown(stop)
    const [admin] = admins.slice(-1)
    await admin?.config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'volatile-lru')
    const seen = warnings(t)
    for (const [index, { name, client }] of clients.entries()) {
      await new RedisStore(client).serverTime()
      await until(
        () => seen.length > index,
        () => `${name} did not tell of it`,
      )
    }
    t.is(seen.length, clients.length)
  })
}
