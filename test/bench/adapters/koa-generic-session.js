// koa-generic-session 2 with its own MemoryStore (live references, no expiry)
// or koa-redis.
import Koa from 'koa'
import session from 'koa-generic-session'
import Redis from 'ioredis'
import koaRedis from 'koa-redis'
import { JsonMapStore } from '../harness/stores.js'
import { answer } from '../harness/workloads.js'

export const floor = 'koa'
export const stores = ['memory', 'memory-json', 'koa-redis']

export function build({ store, keys, ttl, redisUrl }) {
  const client = store === 'koa-redis' ? new Redis(redisUrl) : undefined
  const app = new Koa()
  app.keys = keys
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
      // It would wait ten seconds for its store to come back, and then end the process with a rejection that nobody handles.
      client?.removeAllListeners('end')
      client?.disconnect()
    },
  }
}
