// koa-session 7 has no memory store of its own: an isolated Map store stands in.
import Koa from 'koa'
import session from 'koa-session'
import Redis from 'ioredis'
import koaRedis from 'koa-redis'
import { createClient } from 'redis'
import { JsonMapStore, RefMapStore } from '../harness/stores.js'
import { answer } from '../harness/workloads.js'

export const floor = 'koa'
export const stores = ['memory', 'memory-ref', 'redis', 'redis-pipelined', 'node-redis', 'koa-redis']

export async function build({ store, keys, ttl, redisUrl }) {
  let client
  let chosen
  if (store === 'node-redis') {
    client = await createClient({ url: redisUrl }).connect()
    chosen = {
      get: async (id) => {
        const text = await client.get(id)
        return text ? JSON.parse(text) : undefined
      },
      set: async (id, data, maxAge) => {
        await client.set(id, JSON.stringify(data), { PX: maxAge })
      },
      destroy: async (id) => {
        await client.del(id)
      },
    }
  } else if (store.startsWith('redis')) {
    client = new Redis(redisUrl, { enableAutoPipelining: store === 'redis-pipelined' })
    chosen = {
      get: async (id) => {
        const text = await client.get(id)
        return text ? JSON.parse(text) : undefined
      },
      set: async (id, data, maxAge) => {
        await client.set(id, JSON.stringify(data), 'PX', maxAge)
      },
      destroy: async (id) => {
        await client.del(id)
      },
    }
  } else if (store === 'koa-redis') {
    client = new Redis(redisUrl)
    chosen = koaRedis({ client })
  } else {
    chosen = store === 'memory-ref' ? new RefMapStore() : new JsonMapStore()
  }
  const app = new Koa()
  app.keys = keys
  app.use(session({ key: 'sid', maxAge: ttl, store: chosen }, app))
  app.use((ctx) => {
    ctx.body = answer(ctx.path, () => ctx.session)
  })
  return {
    listener: app.callback(),
    close() {
      if (store === 'node-redis') client.destroy()
      else client?.disconnect()
    },
  }
}
