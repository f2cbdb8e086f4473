// A server that evicts keys when it is full.
import test from 'ava'
import { Redis } from 'ioredis'
import { RedisStore } from '../../src/stores/redis.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { warnings } from '../support/warnings.ts'

const makes = redisMakes()
if (makes.length === 0) test.skip('RedisStore and a server that evicts', (t) => t.pass())

for (const make of makes) {
  test.serial(
    `${make.name}: a server that evicts is told of once, one that refuses writes or has no limit is not`,
    async (t) => {
      const server = await startRedis(make)
      const client = new Redis(server.port, '127.0.0.1')
      t.teardown(async () => {
        client.disconnect()
        await server.running.stop()
      })
      const seen = warnings(t)
      const store = new RedisStore(client)
      const told = async (maxmemory: string, policy: string): Promise<unknown[]> => {
        await client.config('SET', 'maxmemory', maxmemory, 'maxmemory-policy', policy)
        await store.serverTime()
        await new Promise((resolve) => setImmediate(resolve))
        return seen.map(({ code }) => code)
      }

      t.deepEqual(await told('0', 'volatile-lru'), [])
      t.deepEqual(await told('100mb', 'noeviction'), [])
      t.deepEqual(await told('100mb', 'volatile-lru'), ['KOA_FASTSESSION_REDIS_EVICTS'])
      t.deepEqual(await told('100mb', 'allkeys-random'), ['KOA_FASTSESSION_REDIS_EVICTS'])
    },
  )

  test.serial(`${make.name}: a server whose ACL refuses INFO is asked once`, async (t) => {
    const server = await startRedis(make)
    const admin = new Redis(server.port, '127.0.0.1')
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-info')
    const client = new Redis(server.port, '127.0.0.1', { username: 'app', password: 'secret', enableReadyCheck: false })
    t.teardown(async () => {
      for (const each of [admin, client]) each.disconnect()
      await server.running.stop()
    })
    const store = new RedisStore(client)
    const refused = async (): Promise<unknown[]> => {
      await store.serverTime()
      // Answers come in order.
      await client.ping()
      const log = (await admin.call('ACL', 'LOG')) as (string | number)[][]
      return log.filter((entry) => entry[7] === 'info').map((entry) => entry[1])
    }

    t.deepEqual(await refused(), [1])
    t.deepEqual(await refused(), [1])
  })
}
