// Sessions in Redis, for any number of servers: sign in here, and log out everywhere else. It needs a Redis or Valkey:
//
//   docker compose -f example/compose.yaml up -d redis
//   curl -b phone -c phone -X POST http://127.0.0.1:18080/login/ada
//   curl -b laptop -c laptop -X POST http://127.0.0.1:18080/login/ada
//   curl -b laptop http://127.0.0.1:18080/devices
//   curl -b laptop -X POST http://127.0.0.1:18080/logout-elsewhere
import Koa from 'koa'
import Router from 'koa-router'
import { session, type SessionState } from 'koa-fastsession'
import { RedisStore } from 'koa-fastsession/redis'
import { createClient } from 'redis'

const client = createClient({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379', disableOfflineQueue: true })
client.on('error', (error) => console.error(String(error))) // without a listener a lost connection ends the process
await client.connect()

const sessions = session({
  keys: ['a secret that all servers know'],
  store: new RedisStore(client, { prefix: 'example:' }),
})

const router = new Router<SessionState>()

router.post('/login/:name', async (ctx) => {
  await ctx.state.session.signIn(ctx.params['name'] ?? '') // after the password was checked
  ctx.status = 204
})

router.get('/devices', async (ctx) => {
  const { owner, publicId } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  const devices = await sessions.list(owner)
  ctx.body = devices.map((device) => ({ lastSeen: new Date(device.lastSeenAt), isThis: device.publicId === publicId }))
})

router.post('/logout-elsewhere', async (ctx) => {
  const { owner, publicId } = ctx.state.session
  if (owner === undefined) return ctx.throw(401)
  ctx.body = { ended: await sessions.destroyAll(owner, { except: publicId }) }
})

const app = new Koa()
app.use(sessions)
app.use(router.routes())

const port = Number(process.env['PORT'] ?? 18080)
app.listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}`))
