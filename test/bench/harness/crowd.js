// One of several processes over one store. Asked for { path, kind, shared, ms }, it sends requests for that long by the clock, eight under way,
// and answers with their number, its own CPU in microseconds, and how many were refused because they lost every retry.
import { Lane } from './mock.js'
import { build } from './registry.js'
import { prepare } from './workloads.js'

const LANES = 8
const [store, url] = process.argv.slice(2)
const app = await build('koa-fastsession', store, store === 'redis' ? { redisUrl: url } : { postgresUrl: url })
const cookies = await prepare(app)
const lanes = Array.from({ length: LANES }, () => new Lane())

process.send({ ready: true, cookies })
process.on('disconnect', () => process.exit(0))
process.on('message', async ({ path, kind, shared, ms }) => {
  const cookie = kind === 'shared' ? shared : cookies[kind]
  let n = 0
  let refused = 0
  const { user, system } = process.cpuUsage()
  const began = performance.now()
  const drive = async (lane, at) => {
    while (performance.now() - began < ms) {
      const answer = await lane.send(app.listener, path, Array.isArray(cookie) ? cookie[at] : cookie, true)
      if (answer.startsWith('HTTP/1.1 200')) n++
      else if (answer.startsWith('HTTP/1.1 409')) refused++
      else throw new Error(answer.slice(0, 300))
    }
  }
  await Promise.all(lanes.map(drive))
  const used = process.cpuUsage()
  process.send({
    n,
    refused,
    cpu: used.user - user + used.system - system,
    perSecond: (n / (performance.now() - began)) * 1000,
  })
})
