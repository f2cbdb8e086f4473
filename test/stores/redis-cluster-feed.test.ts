// How a subscriber that is a Cluster of the package redis tells that it was cut off, in versions that are not installed here: the
// Cluster of 5.0 to 5.8, whose nodes tell it nothing, and that of 5.9 and later.
import { EventEmitter } from 'node:events'
import { mock } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test from 'ava'
import { createClient } from 'redis'
import { RedisStore } from '../../src/stores/redis.ts'

/** The connection that a Cluster subscribes over. */
class Connection extends EventEmitter {
  isReady = true
}

class FakeCluster extends EventEmitter {
  pubSubNode: { client: Connection } | undefined
  readonly isToTell: boolean

  constructor(isToTell: boolean) {
    super()
    this.isToTell = isToTell
  }

  sendCommand(): Promise<unknown> {
    return Promise.resolve(null)
  }

  subscribe(): Promise<void> {
    this.pubSubNode ??= { client: this.#connect() }
    return Promise.resolve()
  }

  unsubscribe(): Promise<void> {
    return Promise.resolve()
  }

  #connect(): Connection {
    const connection = new Connection()
    // 5.0 to 5.8: .on('error', err => console.error(err)); from 5.9 on: emit('node-error', ...)
    connection.on('error', (error) => this.isToTell && this.emit('node-error', error, { host: 'a', port: 1 }))
    return connection
  }

  cut(): void {
    const { client } = this.pubSubNode ?? {}
    if (client === undefined) throw new Error('not subscribed')
    client.isReady = false
    client.emit('error', new Error('Socket closed unexpectedly'))
  }
}

async function hear(subscriber: FakeCluster) {
  const told: unknown[] = []
  const stop = new RedisStore(createClient(), { subscriber: subscriber as never }).subscribe?.((key) => told.push(key))
  await nextTurn()
  told.length = 0
  return { told, stop }
}

test.serial.beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }))
test.serial.afterEach.always(() => mock.timers.reset())

for (const [versions, isToTell] of [
  ['5.0 to 5.8', false],
  ['5.9 and later', true],
] as const) {
  test.serial(
    `a Cluster of redis ${versions} whose subscription is cut is told to look every five seconds`,
    async (t) => {
      const cluster = new FakeCluster(isToTell)
      const { told, stop } = await hear(cluster)
      cluster.cut()
      for (let pause = 1; pause <= 2; pause++) {
        mock.timers.tick(5000)
        await nextTurn()
        t.deepEqual(told, new Array(pause).fill(undefined))
      }
      stop?.()
    },
  )
}

test.serial('a node of a Cluster that is down, but not that of the subscription, costs no looks', async (t) => {
  const cluster = new FakeCluster(true)
  const { told, stop } = await hear(cluster)
  for (let pause = 0; pause < 3; pause++) {
    // Its client tries again every two seconds.
    cluster.emit('node-error', new Error('ECONNREFUSED'), { host: 'b', port: 2 })
    mock.timers.tick(5000)
    await nextTurn()
  }
  t.deepEqual(told, [])
  stop?.()
})
