// koa-session-minimal 4: the cookie is NOT signed (a forged id is merely
// unknown), its MemoryStore keeps live references and one timer a session.
import Koa from 'koa'
import session from 'koa-session-minimal'
import Redis from 'ioredis'
import koaRedis from 'koa-redis'
import { JsonMapStore } from '../harness/stores.js'
import { answer } from '../harness/workloads.js'

export const floor = 'koa'
export const stores = ['memory', 'memory-json', 'koa-redis']

export function build({ store, ttl, redisUrl }) {
  const client = store === 'koa-redis' ? new Redis(redisUrl) : undefined
  const app = new Koa()
  app.use(
    session({
      key: 'sid',
      cookie: { maxAge: ttl },
      store: client ? koaRedis({ client }) : store === 'memory-json' ? new JsonMapStore() : undefined,
    }),
  )
  app.use((ctx) => {
    ctx.body = answer(ctx.path, () => ctx.session)
  })
  return {
    listener: app.callback(),
    close() {
      client?.disconnect()
    },
  }
}
