// One process of test/processes/signal.test.ts: it has requests and sockets that use session.signal, and ends sessions in every way.
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import Koa from 'koa'
import Router from 'koa-router'
import { Server as SocketServer } from 'socket.io'
import { WebSocketServer } from 'ws'
import { MemoryStore, session, type SessionState, type SessionStore } from '../../src/index.ts'
import { KEYS } from './app.ts'

export type Shared =
  | { readonly kind: 'memory' }
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'redis' | 'ioredis'; readonly port: number; readonly subscribes: boolean }
  | { readonly kind: 'postgres'; readonly url: string; readonly subscribes: boolean }

/** The limit of live sessions per owner. */
export const MOST = 3

async function open(shared: Shared): Promise<SessionStore> {
  switch (shared.kind) {
    case 'memory':
      return new MemoryStore()
    case 'sqlite': {
      const [{ SqliteStore }, { drivers }] = await Promise.all([
        import('../../src/stores/sqlite.ts'),
        import('./sqlite.ts'),
      ])
      const [driver] = drivers
      if (driver === undefined) throw new Error('there is no SQLite')
      return new SqliteStore(driver.open(shared.path))
    }
    case 'redis': {
      const [{ RedisStore }, { createClient }] = await Promise.all([
        import('../../src/stores/redis.ts'),
        import('redis'),
      ])
      const client = createClient({ url: `redis://127.0.0.1:${shared.port}` })
      const subscriber = client.duplicate()
      for (const each of [client, subscriber]) each.on('error', () => undefined)
      await Promise.all([client.connect(), subscriber.connect()])
      return new RedisStore(client, shared.subscribes ? { subscriber } : {})
    }
    case 'ioredis': {
      const [{ RedisStore }, { Redis }] = await Promise.all([import('../../src/stores/redis.ts'), import('ioredis')])
      const [client, subscriber] = [1, 2].map(() => new Redis(shared.port, '127.0.0.1'))
      for (const each of [client, subscriber]) each?.on('error', () => undefined)
      if (client === undefined || subscriber === undefined) throw new Error('unreachable')
      return new RedisStore(client, shared.subscribes ? { subscriber } : {})
    }
    case 'postgres': {
      const [{ PostgresStore }, { default: pg }] = await Promise.all([
        import('../../src/stores/postgres.ts'),
        import('pg'),
      ])
      const pool = new pg.Pool({ connectionString: shared.url, max: 5 })
      const subscriber = () => new pg.Client({ connectionString: shared.url })
      return new PostgresStore(pool, { table: 'signals', ...(shared.subscribes && { subscriber }) })
    }
  }
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function serve(shared: Shared): Promise<void> {
  // A slow machine must not cause an outage.
  const sessions = session({ keys: [...KEYS], store: await open(shared), storeTimeout: '20s', maxPerOwner: MOST })
  const silent = createServer(() => undefined) // never answers, so that a fetch from it stays pending
  const silentPort = await listen(silent, 0)

  const app = new Koa()
  app.silent = true
  const router = new Router<SessionState>()
  router.post('/login/:owner', async (ctx) => {
    await ctx.state.session.signIn(ctx.params['owner'] ?? '')
    ctx.body = ctx.state.session.publicId
  })
  router.post('/sign-out', async (ctx) => {
    await ctx.state.session.destroy()
    ctx.status = 204
  })
  router.post('/renew', async (ctx) => {
    await ctx.state.session.regenerate()
    ctx.status = 204
  })
  router.get('/events', (ctx) => {
    const { signal } = ctx.state.session
    const stream = new PassThrough()
    stream.write('event: hello\ndata: {}\n\n')
    signal.addEventListener('abort', () => stream.end())
    ctx.type = 'text/event-stream'
    ctx.body = stream
  })
  router.get('/fetch', async (ctx) => {
    const { signal } = ctx.state.session
    process.send?.('fetching')
    const failure: unknown = await fetch(`http://127.0.0.1:${silentPort}`, { signal }).catch((error: unknown) => error)
    ctx.body = failure instanceof Error && 'code' in failure ? failure.code : 'answered'
  })

  // Mounted before the session middleware: these requests have no session.
  const admin = new Router()
  admin.post('/end/one/:publicId', async (ctx) => {
    ctx.body = await sessions.destroy(ctx.params['publicId'] ?? '')
  })
  admin.post('/end/owner/:owner', async (ctx) => {
    ctx.body = await sessions.destroyAll(ctx.params['owner'] ?? '')
  })
  admin.post('/end/everything', async (ctx) => {
    ctx.body = await sessions.destroyEverything()
  })
  app.use(admin.routes())
  app.use(sessions)
  app.use(router.routes())

  const server = createServer((request, response) => void app.callback()(request, response))
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    if (request.url !== '/ws') return // socket.io handles this one
    socket.on('error', () => socket.destroy())
    void sessions.run(request, ({ signal }) => {
      sockets.handleUpgrade(request, socket, head, (client) => {
        signal.addEventListener('abort', () => client.close(4001))
        client.send('hello')
      })
    })
  })
  const io = new SocketServer(server, { transports: ['websocket'], destroyUpgrade: false })
  io.on('connection', (socket) => {
    void sessions.run(socket.request, ({ signal }) => {
      signal.addEventListener('abort', () => socket.disconnect(true))
      socket.emit('hello')
    })
  })
  process.send?.({ port: await listen(server, 0) })
}

if (process.argv[2] !== undefined) await serve(JSON.parse(process.argv[2]) as Shared)
