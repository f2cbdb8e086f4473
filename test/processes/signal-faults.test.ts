// What becomes of watched sessions while their store is away: an end that could not be announced is seen once it is back.
import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'
import pg from 'pg'
import { createClient } from 'redis'
import { session, type SessionMiddleware, type SessionStore } from '../../src/index.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS } from '../support/app.ts'
import { postgres } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/service.ts'

interface OpenStore {
  readonly store: SessionStore
  readonly close: () => unknown
}

interface Kind {
  readonly name: string
  /** The server's port. */
  readonly port: number
  /** A store whose statements and whose subscription go to these ports. */
  readonly open: (port: number, subscribed: number) => Promise<OpenStore>
  /** Kills the server as it is, and starts it again over its data. */
  readonly kill: () => Promise<unknown>
}

const ignore = () => undefined
const closing: (() => unknown)[] = []

async function redisKinds(): Promise<Kind[]> {
  const [make] = redisMakes()
  if (make === undefined) return []
  const args = ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', temporaryFolder()]
  let server = await startRedis(make, args)
  closing.push(() => server.running.stop())
  const { port } = server
  const kill = async () => {
    await server.running.stop('SIGKILL')
    server = await startRedis(make, args, port)
  }
  return [
    {
      name: 'RedisStore over redis',
      port,
      kill,
      async open(...ports) {
        const [client, subscriber] = ports.map((each) =>
          createClient({ url: `redis://127.0.0.1:${each}`, socket: { reconnectStrategy: 50 } }).on('error', ignore),
        ) as [ReturnType<typeof createClient>, ReturnType<typeof createClient>]
        await Promise.all([client.connect(), subscriber.connect()])
        const close = () => [client, subscriber].forEach((each) => each.destroy())
        return { store: new RedisStore(client, { prefix: 'redis:', subscriber }), close }
      },
    },
    {
      name: 'RedisStore over ioredis',
      port,
      kill,
      open(...ports) {
        const [client, subscriber] = ports.map((each) =>
          new Redis(each, '127.0.0.1', { retryStrategy: () => 50 }).on('error', ignore),
        ) as [Redis, Redis]
        const close = () => [client, subscriber].forEach((each) => each.disconnect())
        return Promise.resolve({ store: new RedisStore(client, { prefix: 'ioredis:', subscriber }), close })
      },
    },
  ]
}

async function postgresKinds(): Promise<Kind[]> {
  const server = await postgres()
  if (server?.restart === undefined) return []
  closing.push(() => server.stop())
  const { restart } = server
  return [
    {
      name: 'PostgresStore',
      port: Number(new URL(server.url).port),
      kill: () => restart('SIGKILL'),
      open(port, subscribed) {
        const [forStatements, forSubscription] = [port, subscribed].map((each) => {
          const url = new URL(server.url)
          url.port = `${each}`
          return url.href
        })
        const pool = new pg.Pool({ connectionString: forStatements, connectionTimeoutMillis: 1000 }).on('error', ignore)
        const subscriber = () => new pg.Client({ connectionString: forSubscription })
        return Promise.resolve({ store: new PostgresStore(pool, { subscriber }), close: () => pool.end() })
      },
    },
  ]
}

const kinds = [...(await redisKinds()), ...(await postgresKinds())]
test.after.always(async () => {
  for (const close of closing) await close()
})

/** The signal of a new session, watched until the test ends. */
async function watched(middleware: SessionMiddleware): Promise<{ signal: AbortSignal; publicId: string }> {
  const request = new IncomingMessage(new Socket())
  request.headers.cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  return middleware.run(request, ({ signal, publicId }) => ({ signal, publicId }))
}

const aborted = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await once(signal, 'abort', { signal: AbortSignal.timeout(40_000) })
}

interface Scene {
  readonly statements: Proxy
  readonly subscription: Proxy
  readonly ending: AbortSignal
  readonly going: AbortSignal
  /** Ends the session of `ending` in a process that reaches the server. */
  readonly end: () => Promise<unknown>
}

/** Two sessions are watched, and the subscription stands. */
async function scene(t: ExecutionContext, kind: Kind): Promise<Scene> {
  const [statements, subscription] = await Promise.all([startProxy(kind.port), startProxy(kind.port)])
  const { store, close } = await kind.open(statements.port, subscription.port)
  const options = { keys: [...KEYS], sweepInterval: false, logger: {} } as const
  const middleware = session({ ...options, store, storeTimeout: '5s' })
  t.teardown(async () => {
    await middleware.close()
    await Promise.all([statements.close(), subscription.close()])
    await close()
  })
  const elsewhere = async (publicId: string) => {
    const other = await kind.open(kind.port, kind.port)
    const process = session({ ...options, store: other.store, storeTimeout: '20s' })
    const hasEnded = await process.destroy(publicId)
    await process.close()
    await other.close()
    if (!hasEnded) throw new Error('it had ended before')
  }
  const [first, ending, going] = [await watched(middleware), await watched(middleware), await watched(middleware)]
  await elsewhere(first.publicId)
  await aborted(first.signal)
  return {
    statements,
    subscription,
    ending: ending.signal,
    going: going.signal,
    end: () => elsewhere(ending.publicId),
  }
}

function cut(...proxies: readonly Proxy[]): void {
  for (const proxy of proxies) {
    proxy.mode = 'refuse'
    proxy.reset()
  }
}

for (const kind of kinds) {
  test.serial(`${kind.name}: an end while the connections are cut is seen when they are back`, async (t) => {
    t.timeout(120_000)
    const { statements, subscription, ending, going, end } = await scene(t, kind)

    cut(statements, subscription)
    await end()
    t.false(ending.aborted)
    statements.mode = subscription.mode = 'pass'

    await aborted(ending)
    t.false(going.aborted)
  })

  test.serial(
    `${kind.name}: a server that was killed and comes back ends nobody, and an end meanwhile is seen`,
    async (t) => {
      t.timeout(120_000)
      const { statements, subscription, ending, going, end } = await scene(t, kind)

      await kind.kill()
      cut(statements, subscription)
      await end()
      statements.mode = subscription.mode = 'pass'

      await aborted(ending)
      t.false(going.aborted)
    },
  )
}
if (kinds.length === 0) test.skip('signals while the store is away', (t) => t.pass())
