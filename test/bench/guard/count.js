// What a request costs in figures without noise: promises and timers behind Redis, bytes allocated over the memory store.
// Prints one line of JSON. Run with --expose-gc and a large new space, so that no collection comes between:
//   node --expose-gc --max-semi-space-size=512 --min-semi-space-size=256 test/bench/guard/count.js
import { createHook } from 'node:async_hooks'
import { build } from '../harness/registry.js'
import { Lane } from '../harness/mock.js'
import { startRedis } from '../harness/services.js'
import { check, prepare, WORKLOADS } from '../harness/workloads.js'

const REQUESTS = 20
const ALLOCATING = 1500

const counts = {}
const bytes = {}

const bare = await build('koa')
bytes.koa = await allocated(async (times) => {
  const lane = new Lane()
  for (let sent = 0; sent < times; sent++) await lane.send(bare.listener, WORKLOADS.W4.path)
})

for (const store of ['memory', 'redis']) {
  const redisUrl = store === 'redis' ? (await startRedis())?.url : undefined
  if (store === 'redis' && redisUrl === undefined) break
  const app = await build('koa-fastsession', store, { redisUrl })
  await check(app)
  const cookies = await prepare(app)
  for (const workload of ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7']) {
    const { path, cookie: kind } = WORKLOADS[workload]
    const cookie = Array.isArray(cookies[kind]) ? cookies[kind][0] : cookies[kind]
    const lane = new Lane()
    const send = async (times) => {
      for (let sent = 0; sent < times; sent++) await lane.send(app.listener, path, cookie)
    }
    if (store === 'redis') counts[workload] = await counted(send)
    else bytes[workload] = await allocated(send)
  }
  await app.close()
}
console.log(JSON.stringify({ counts, bytes }))
process.exit(0)

/** Promises and timers of one request, its own and those of the client and of Koa. */
async function counted(send) {
  await send(REQUESTS)
  const made = { PROMISE: 0, Timeout: 0 }
  const hook = createHook({
    init(_id, type) {
      if (type in made) made[type]++
    },
  })
  hook.enable()
  await send(REQUESTS)
  hook.disable()
  return { promises: Math.round(made.PROMISE / REQUESTS), timers: Math.round(made.Timeout / REQUESTS) }
}

/**
 * Bytes that one request allocates in hot code: the median of several slices, for the compiler allocates as well. Garbage is
 * collected before them only: between requests, V8 would forget the classes of objects that live for one request, and with them
 * the code that it made for these, which a server that is never idle keeps.
 */
async function allocated(send) {
  await send(20 * ALLOCATING)
  globalThis.gc()
  const slices = []
  for (let slice = 0; slice < 7; slice++) {
    const before = process.memoryUsage().heapUsed
    await send(ALLOCATING)
    slices.push((process.memoryUsage().heapUsed - before) / ALLOCATING)
  }
  return Math.round(slices.sort((a, b) => a - b)[3])
}
