// One process of a site with device-bound sessions over Redis, behind a proxy that terminates TLS. Arguments: its own port and
// that of Redis. `POST /clock/<milliseconds>` moves its clock.
import Koa from 'koa'
import { createClient } from 'redis'
import { session, type SessionManager } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { KEYS } from './app.ts'

const [port, redisPort] = process.argv.slice(2).map(Number)
const client = await createClient({ url: `redis://127.0.0.1:${redisPort ?? 0}` }).connect()
let skew = 0

const app = new Koa()
app.proxy = true
app.use(async (ctx, next) => {
  const [, milliseconds] = /^\/clock\/(\d+)$/.exec(ctx.path) ?? []
  if (milliseconds === undefined) {
    await next()
    return
  }
  skew += Number(milliseconds)
  ctx.status = 204
})
app.use(
  session({
    keys: [...KEYS],
    store: new RedisStore(client),
    storeTimeout: '20s', // a slow machine must not cause an outage
    deviceBound: true,
    logger: {},
    now: () => Date.now() + skew,
  }),
)
app.use(async (ctx) => {
  const manager = ctx.state.session as SessionManager<{ n?: number }>
  if (ctx.path === '/in') await manager.signIn('ada')
  if (ctx.path === '/add') await manager.update((data) => (data.n = (data.n ?? 0) + 1))
  const { origin, owner, isBound, data } = manager
  ctx.body = { origin, owner, isBound, n: data.n }
})
app.listen(port, '127.0.0.1')
