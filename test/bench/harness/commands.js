// Redis commands of a request, for each candidate with a Redis store. Asked for { only }, it answers with a row for each of them.
import { Redis } from 'ioredis'
import { Lane } from './mock.js'
import { build, load, names } from './registry.js'
import { round } from './stats.js'
import { check, prepare, WORKLOADS } from './workloads.js'

const [redisUrl] = process.argv.slice(2)
const REQUESTS = 200

process.send({ ready: true })
process.on('disconnect', () => process.exit(0))
process.on('message', async ({ only }) => process.send(await count(only)))

// What a client sends when it connects.
const ASIDE = new Set(['info', 'hello', 'client', 'select', 'ping', 'command', 'auth'])

const { W7, ...ROUTES } = WORKLOADS

/** Sliding expiry: as it is for a busy session, and when each request comes so late that it has to move the expiry. */
function variants() {
  let late = 0
  const seldom = { rolling: true, now: () => Date.now() + late }
  return [
    {},
    { note: ', rolling', options: { rolling: true } },
    {
      note: ', rolling, a request every 3 hours',
      options: seldom,
      step: () => (late += 3 * 3_600_000),
      only: ['W2', 'W3'],
    },
  ]
}

/** Commands per request. What a script does inside the server is told apart: it is no round trip. */
async function count(only) {
  const admin = new Redis(redisUrl)
  const monitor = await admin.monitor()
  let seen = []
  monitor.on('monitor', (_time, [name, ...args], source) =>
    seen.push({ name: name.toLowerCase(), args, inside: source === 'lua' }),
  )
  /** What was seen until now: the monitor is told in order, so once it has told of this mark it has told all. */
  const taken = async () => {
    const mark = `mark ${performance.now()}`
    await admin.echo(mark)
    while (!seen.some(({ args }) => args[0] === mark)) await new Promise((resolve) => setImmediate(resolve))
    const list = seen.filter(({ name }) => name !== 'echo' && !ASIDE.has(name))
    seen = []
    return list
  }
  const tally = (list) => {
    const calls = {}
    for (const { name } of list) calls[name] = (calls[name] ?? 0) + 1
    return Object.fromEntries(Object.entries(calls).map(([name, n]) => [name, round(n / REQUESTS)]))
  }
  const rows = []
  for (const name of only?.map((entry) => entry.split(':')[0]) ?? names) {
    for (const store of (await load(name)).stores.filter((one) => one.includes('redis'))) {
      for (const { note = '', options, step = () => {}, only = Object.keys(ROUTES) } of name === 'koa-fastsession' &&
      store === 'redis'
        ? variants()
        : [{}]) {
        const row = { candidate: `${name}:${store}${note}` }
        const app = await build(name, store, { redisUrl, options })
        await check(app)
        const cookies = await prepare(app)
        const lane = new Lane()
        for (const workload of only) {
          const { path, cookie } = ROUTES[workload]
          await taken()
          for (let i = 0; i < REQUESTS; i++) {
            step()
            await lane.send(app.listener, path, cookie && cookies[cookie])
          }
          const list = await taken()
          row[workload] = {
            sent: tally(list.filter(({ inside }) => !inside)),
            inside: tally(list.filter(({ inside }) => inside)),
          }
        }
        await app.close()
        rows.push(row)
      }
    }
  }
  monitor.disconnect()
  admin.disconnect()
  return rows
}
