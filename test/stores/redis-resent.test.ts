// Changes that a client sends again after a later one: a Cluster of ioredis does, on another connection.
import test from 'ava'
import { newRecord, successor } from '../../src/conformance/scene.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { around } from '../support/redis-clients.ts'
import { startEachRedis } from '../support/redis.ts'

const NOW = Date.now()

const servers = await startEachRedis()
if (servers.length === 0) test.skip('RedisStore and commands that are sent again', (t) => t.pass())

for (const { make, admin, freshPrefix, stop } of servers) {
  test.after.always(async () => {
    await stop()
  })

  // A Cluster of ioredis or iovalkey sends again 100 ms after the connection closed (retryDelayOnFailover), and not before what
  // was asked since: another request of the same process may have been first.
  test(`${make.name}: a change that is sent again after a later one of the same store counts once`, async (t) => {
    const prefix = freshPrefix()
    let between: (() => Promise<unknown>) | undefined
    const store = new RedisStore(
      around(admin, async (send) => {
        const step = between
        between = undefined
        const answer = await send()
        if (step === undefined) return answer
        await step()
        return send()
      }),
      { prefix },
    )
    const record = newRecord(NOW, { payload: '0' })
    const last = successor(record, { version: 3, payload: '2' })
    // So that the server knows the script.
    const other = newRecord(NOW)
    await store.create(other, NOW)
    await store.replace(successor(other), 1, NOW)
    await store.create(record, NOW)

    between = async () => t.is(await store.replace(last, 2, NOW), 'done')

    // 'stale' would make the core apply the change once more: an acknowledged update would count twice.
    t.is(await store.replace(successor(record, { payload: '1' }), 1, NOW), 'done')
    t.deepEqual(await store.read(record.key, NOW), last)
  })
}
