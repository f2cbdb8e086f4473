// Ready for production: sessions in Redis, ends that reach every process at once, secrets from the environment, and a stop
// that cuts no answer and loses no commit. It needs a Redis or Valkey, and a secret, without which it does not start:
//
//   docker compose -f example/compose.yaml up -d redis
//   SESSION_KEYS=$(node -p "crypto.randomBytes(32).toString('base64url')") npm run example 13
//   curl -b jar -c jar -X POST http://127.0.0.1:18080/login/ada
//   curl -N -b jar http://127.0.0.1:18080/events        and then stop the server: kill its process id
import { Readable } from 'node:stream'
import { setInterval as every, setTimeout as pause } from 'node:timers/promises'
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'
import { RedisStore } from 'koa-fastsession/redis'
import { createClient } from 'redis'

interface Visitor {
  orders?: number
}

const port = Number(process.env['PORT'] ?? 18080)
/** What the platform gives a process between SIGTERM and SIGKILL, less a second: 10 s with Docker, 30 s with Kubernetes. */
const GRACE = Number(process.env['GRACE'] ?? 9000)

const client = createClient({
  url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379',
  disableOfflineQueue: true, // an outage is a 503 at once
  commandsQueueMaxLength: 10_000, // and fills no memory
})
const subscriber = client.duplicate() // hears of ends: what waits for messages can send no commands
for (const each of [client, subscriber]) each.on('error', (error) => console.error(String(error)))
await Promise.all([client.connect(), subscriber.connect()])

const sessions = session<Visitor>({
  keys: (process.env['SESSION_KEYS'] ?? '').split(','), // the newest first
  store: new RedisStore(client, { prefix: 'example:', subscriber }),
})

const stopping = new AbortController()
const app = new Koa()
const router = new Router<SessionState<Visitor>>()

// Before session(): a health check has none. While it says 503, the balancer sends nothing more.
app.use(async (ctx, next) => {
  if (ctx.path === '/health') ctx.status = stopping.signal.aborted ? 503 : 204
  else await next()
})

app.use(sessions)

router.post('/login/:name', async (ctx) => {
  await ctx.state.session.signIn(ctx.params['name'] ?? '') // after the password was checked
  ctx.status = 204
})

router.post('/orders', async (ctx) => {
  await pause(Number(process.env['WORK'] ?? 1000)) // what takes its time: a stop waits for it
  ctx.body = { orders: await ctx.state.session.update((data) => (data.orders = (data.orders ?? 0) + 1)) }
})

router.get('/orders', (ctx) => {
  ctx.body = { orders: ctx.state.session.data.orders ?? 0 }
})

router.get('/events', (ctx) => {
  const { owner, signal } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  ctx.type = 'text/event-stream'
  ctx.set('Cache-Control', 'no-store')
  // It ends with its session, wherever that ends, and with this process: the page comes back, and gets another one.
  ctx.body = Readable.from(events(AbortSignal.any([signal, stopping.signal])))
})

async function* events(signal: AbortSignal): AsyncGenerator<string> {
  yield 'event: hello\ndata: {}\n\n'
  try {
    for await (const comment of every(15_000, ': still here\n\n', { signal })) yield comment
  } catch (error) {
    if (!signal.aborted) throw error
    yield 'event: end\ndata: {}\n\n'
  }
}

app.use(router.routes())
const server = app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))

// ---- the end: requests, then sessions, then what they need

async function stop(): Promise<void> {
  setTimeout(() => process.exit(1), GRACE).unref() // whatever happens
  stopping.abort()
  const closed = new Promise((resolve) => server.close(resolve))
  // A connection that is kept alive holds the server open: those without a request go at once, the others after it, and
  // half-way through the grace all that are left.
  const idle = setInterval(() => server.closeIdleConnections(), 100)
  const late = setTimeout(() => server.closeAllConnections(), GRACE / 2)
  await closed
  clearInterval(idle)
  clearTimeout(late)
  await sessions.close() // waits for commits that still run, and ends the subscription
  await Promise.all([subscriber.close(), client.close()]) // last: until here somebody may have needed them
}

process.once('SIGTERM', () => void stop())
