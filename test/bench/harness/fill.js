// One candidate that is filled with sessions through its own middleware (W4), so that whatever a store keeps with them is counted.
// Asked for { size }, it fills up to it and answers with bytes and costs; asked to { expire }, it lets all of them end and sweeps.
import { build } from './registry.js'
import { Lane } from './mock.js'
import { collections, longest, settle, used } from './settle.js'
import { slice } from './stats.js'

const [name, store, most] = process.argv.slice(2)
let late = 0
const options = name === 'koa-fastsession' ? { now: () => Date.now() + late, sweepInterval: false } : undefined
const app = await build(name, store, { options })
const lane = new Lane()
const pauses = collections()
for (let i = 0; i < 3000; i++) await lane.send(app.listener, '/login')

// Each session's cookie header lies in one buffer, so that a read of any of a million costs the same as one of a thousand.
let width = 0
let headers = Buffer.alloc(0)
let n = 0

async function create() {
  const answer = await lane.send(app.listener, '/login', undefined, true)
  const cookies = [...answer.matchAll(/^set-cookie: ([^;\r\n]*)/gim)].map(([, pair]) => pair).join('; ')
  if (width === 0) {
    // Some encode a signature, which makes it longer or shorter.
    width = cookies.length + 24
    headers = Buffer.alloc(width * Number(most), ' ')
  }
  if (cookies.length > width) throw new Error(`${name}: a cookie of ${cookies.length} characters`)
  headers.latin1Write(cookies, n++ * width)
}

const headerOf = (at) => `theme=dark; ${headers.latin1Slice(at * width, (at + 1) * width).trimEnd()}`
const anyOf = (count) => headerOf(Math.floor(Math.random() * count) * Math.max(1, Math.floor(n / count)))

async function cost(path, count) {
  const loop = async (ms) => {
    const cpu0 = process.cpuUsage()
    const isOver = slice(ms)
    let requests = 0
    for (; !isOver(); requests += 16) {
      for (let i = 0; i < 16; i++) await lane.send(app.listener, path, anyOf(count))
    }
    const { user, system } = process.cpuUsage(cpu0)
    return (user + system) / requests
  }
  await loop(300)
  return Math.min(await loop(200), await loop(200), await loop(200))
}

await create()
n = 0
await settle()
const base = used()
process.send({ ready: true })
process.on('disconnect', () => process.exit(0))

process.on('message', async ({ size, expire }) => {
  if (expire) {
    late = 25 * 3_600_000
    await pauses.seen()
    const began = performance.now()
    const removed = await app.sessions.deleteExpired()
    const ms = performance.now() - began
    await settle()
    process.send({ removed, sweepMs: ms, left: (used() - base) / n })
    return
  }
  const from = n
  await pauses.seen()
  const cpu0 = process.cpuUsage()
  while (n < size) await create()
  const { user, system } = process.cpuUsage(cpu0)
  const gc = await pauses.seen()
  await settle()
  const bytes = (used() - base) / n
  const few = Math.min(n, 1000)
  process.send({
    size,
    bytes,
    create: (user + system) / (n - from),
    gcPause: longest(gc),
    read: await cost('/read', few),
    readAny: await cost('/read', n),
    write: await cost('/count', few),
  })
})
