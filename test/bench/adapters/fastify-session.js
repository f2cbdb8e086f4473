// @fastify/session with its own MemoryStore (live references, no expiry of its
// own) or connect-redis.
import Fastify from 'fastify'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { createClient } from 'redis'
import { RedisStore } from 'connect-redis'
import { answer, PATHS } from '../harness/workloads.js'

export const floor = 'fastify'
export const stores = ['memory', 'connect-redis']

export async function build({ store, keys, ttl, redisUrl }) {
  const client = store === 'connect-redis' ? await createClient({ url: redisUrl }).connect() : undefined
  const app = Fastify()
  await app.register(cookie)
  await app.register(session, {
    cookieName: 'sid',
    secret: keys,
    saveUninitialized: false,
    rolling: false,
    cookie: { maxAge: ttl, secure: false, path: '/' },
    store: client ? new RedisStore({ client }) : undefined,
  })
  for (const path of PATHS) {
    app.get(path, (req, reply) => {
      reply.type('text/plain; charset=utf-8').send(answer(path, () => req.session))
    })
  }
  await app.ready()
  return {
    listener: app.routing,
    async close() {
      client?.destroy()
      await app.close()
    },
  }
}
