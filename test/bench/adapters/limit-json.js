// Lower bound with isolation: sessions kept as JSON text, parsed when touched.
// In Redis: one GET for a cookie, one SET for a change.
import Redis from 'ioredis'
import { limitApp } from '../harness/limit-app.js'

export const floor = 'koa'
export const stores = ['memory', 'redis', 'redis-pipelined']
export const build = ({ keys, store, redisUrl }) =>
  limitApp({
    keys,
    text: true,
    redis: store.startsWith('redis')
      ? new Redis(redisUrl, { enableAutoPipelining: store === 'redis-pipelined' })
      : undefined,
  })
