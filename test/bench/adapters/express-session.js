// express-session with the options its README recommends, and its MemoryStore
// (JSON text, isolated) or connect-redis over node-redis.
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { RedisStore } from 'connect-redis'
import { answer } from '../harness/workloads.js'

export const floor = 'express'
export const stores = ['memory', 'connect-redis']

export async function build({ store, keys, ttl, redisUrl }) {
  const client = store === 'connect-redis' ? await createClient({ url: redisUrl }).connect() : undefined
  const app = express()
  app.set('etag', false)
  app.use(
    session({
      name: 'sid',
      secret: keys,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: ttl },
      store: client ? new RedisStore({ client }) : undefined,
    }),
  )
  app.use((req, res) => {
    res.send(answer(req.path, () => req.session))
  })
  return {
    listener: app,
    close() {
      client?.destroy()
    },
  }
}
