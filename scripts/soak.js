// npm run soak: very many requests with faults in every place, and then what they left behind: memory, timers, listeners,
// unhandled rejections, warnings. Prints the figures; the exit code is 1 where one is over its limit.
//   npm run soak -- --requests 400000 --visitors 1000000 --plant leak|rejection|listener|timer|crash
// `--plant` puts in the fault that its check must find. Runs over the build, in a process of its own with --expose-gc.
import { spawnSync } from 'node:child_process'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Koa from 'koa'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '400000' },
    visitors: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    plant: { type: 'string', default: 'nothing' },
  },
})

if (globalThis.gc === undefined) {
  const { status } = spawnSync(
    process.execPath,
    ['--expose-gc', fileURLToPath(import.meta.url), ...process.argv.slice(2)],
    { stdio: 'inherit' },
  )
  process.exit(status ?? 1)
}

const { MemoryStore, session } = await import('../dist/index.js')

const REQUESTS = Number(values.requests)
const VISITORS = Number(values.visitors)
/** How much more heap there may be afterwards, as a part of what there was. */
const GROWTH = 0.05
const AT_ONCE = 256
/** How often the heap is looked at while the requests with faults are played. */
const PIECES = 40

const complaints = []
const warnings = []
const rejections = []
process.on('warning', (warning) => warnings.push(`${warning.name}: ${warning.message.slice(0, 100)}`))
process.on('unhandledRejection', (error) => rejections.push(String(error).slice(0, 100)))

// The same deeds and faults are drawn with each run; which of them meet is the clock's doing.
let state = Number(values.seed) >>> 0
function random() {
  state = (state + 0x6d2b79f5) >>> 0
  let mixed = Math.imul(state ^ (state >>> 15), state | 1)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
}
const chance = (part) => random() < part
const pick = (list) => list[Math.floor(random() * list.length)]

/** A store that fails, answers late, loses answers and never answers, each now and then. */
class Faulty {
  faults = 0

  constructor(inner) {
    this.inner = inner
    for (const verb of ['create', 'read', 'replace', 'touch', 'delete', 'list']) {
      this[verb] = (...args) => this.suffer(() => inner[verb](...args))
    }
    if (inner.deleteExpired !== undefined) this.deleteExpired = (...args) => inner.deleteExpired(...args)
  }

  suffer(ask) {
    const kind = random()
    if (kind < 0.9) return ask()
    this.faults++
    if (kind < 0.93) return new Promise((resolve) => setImmediate(resolve)).then(ask)
    if (kind < 0.95) throw new Error('connect ECONNREFUSED')
    if (kind < 0.97) return Promise.reject(new Error('read ECONNRESET'))
    if (kind < 0.98) return Promise.resolve(ask()).then(() => Promise.reject(new Error('the answer was lost')))
    if (kind < 0.985)
      return new Promise((resolve, reject) => setTimeout(() => reject(new Error('failed after its deadline')), 10))
    if (kind < 0.99) return new Promise(() => undefined)
    return new Promise((resolve) => setTimeout(resolve, 2)).then(ask)
  }
}

let clock = Date.now()
const store = new Faulty(new MemoryStore({ maxSessions: 5000 }))
const middleware = session({
  store,
  keys: ['the newest secret of the soak, long enough', 'an older secret of the soak, long enough'],
  storeTimeout: 5,
  idleTimeout: '20m',
  absoluteTimeout: '2h',
  now: () => clock,
  logger: { error: () => chance(0.1) && fail('a logger that throws') },
})
const app = new Koa()
app.on('error', () => undefined)
app.use(middleware)
app.use(async (ctx) => {
  const turn = turns.get(ctx.req)
  if (values.plant === 'leak') planted.push(ctx.state.session)
  if (turn === undefined) ctx.body = 'no session'
  else await turn(ctx.state.session, ctx)
  if (!ctx.res.headersSent) ctx.body ??= 'done'
})
const callback = app.callback()
const turns = new WeakMap()
const jars = Array.from({ length: 500 }, () => undefined)
const planted = []

const answers = {}

/** What a handler does; one in ten throws in the end. */
const deeds = [
  ({ data }) => void (data.n = (data.n ?? 0) + 1),
  ({ data }) => void (data.n = (data.n ?? 0) + 1),
  ({ data }) => data.n,
  ({ data }) => data.n,
  (session) => session.update((data) => void (data.count = (data.count ?? 0) + 1)),
  (session) => session.signIn(`owner ${Math.floor(random() * 100)}`),
  (session) => session.regenerate(),
  (session) => session.regenerate({ keep: false }),
  (session) => session.destroy(),
  (session) => session.flash('info', 'hello'),
  (session) => session.flash('info'),
  (session) => session.reload(),
  (session) => void (session.maxAge = pick([0, '1h', '30d'])),
  (session) => session.clear(),
  // Not awaited, as some handlers forget.
  (session) => void session.save().catch(() => undefined),
  (session) =>
    void (session.data.thing = pick([
      new Date(0),
      { deep: [1, { x: 'y'.repeat(500) }] },
      'x'.repeat(70_000),
      JSON.parse('{"__proto__":{"polluted":1}}'),
    ])),
  () => middleware.list(`owner ${Math.floor(random() * 100)}`),
  () => middleware.destroyAll(`owner ${Math.floor(random() * 100)}`),
  (session) => middleware.destroy(session.publicId),
  (session, ctx) => {
    ctx.respond = false
    ctx.res.statusCode = 200
    if (!ctx.res.writableEnded && !ctx.res.destroyed) ctx.res.end('own answer')
    session.data.late = 1
  },
  // The client has left: its socket is destroyed under the response.
  async (session, ctx) => {
    session.data.n = 1
    ctx.status = 200
    ctx.req.destroy()
    ctx.res.destroy()
    await new Promise((resolve) => setImmediate(resolve))
  },
]

function hostile() {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.;="% \t\u00ff'
  return `sid=${Array.from({ length: Math.floor(random() * 120) }, () => pick(letters)).join('')}`
}

async function request(cookie, turn) {
  const message = new IncomingMessage(new Socket())
  message.method = 'GET'
  message.url = '/'
  if (cookie !== undefined) message.headers.cookie = cookie
  const response = new ServerResponse(message)
  if (turn !== undefined) turns.set(message, turn)
  await callback(message, response)
  answers[response.statusCode] = (answers[response.statusCode] ?? 0) + 1
  return [response.getHeader('set-cookie') ?? []].flat().find((line) => line.startsWith('sid='))
}

async function one() {
  clock += random() < 0.001 ? 60_000 : 7
  const at = Math.floor(random() * jars.length)
  const [first, second] = [pick(deeds), pick(deeds)]
  const throws = random()
  const line = await request(chance(0.05) ? hostile() : jars[at], async (session, ctx) => {
    if (values.plant === 'rejection' && chance(0.001)) void Promise.reject(new Error('planted'))
    if (values.plant === 'listener') process.on('SIGUSR2', () => session)
    if (values.plant === 'timer' && planted.length === 0) planted.push(setInterval(() => session, 1000))
    await first(session, ctx)
    if (throws < 0.03) ctx.throw(403)
    if (throws < 0.06) throw new TypeError('a mistake of the handler')
    await second(session, ctx)
    if (throws < 0.1) ctx.throw(500)
  })
  if (line === undefined) return
  const pair = line.slice(0, line.indexOf(';'))
  jars[at] = pair === 'sid=' ? undefined : pair
}

async function play(count, what) {
  let left = count
  const worker = async () => {
    while (left-- > 0) await what()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Heap in use when all garbage is gone, and everything that waits has been given its time. */
async function heap() {
  clock += 3 * 3_600_000
  jars.fill(undefined)
  await new Promise((resolve) => setTimeout(resolve, 50))
  while ((await middleware.deleteExpired()) > 0) await new Promise((resolve) => setImmediate(resolve))
  let least = Infinity
  for (let tries = 0; tries < 5; tries++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
    least = Math.min(least, process.memoryUsage().heapUsed)
  }
  return least
}

/**
 * The most heap in use over `count` requests. What is kept for speed begins anew each time that it is full: one look finds it
 * anywhere between empty and full.
 */
async function highest(count, what) {
  let most = 0
  for (let piece = 0; piece < PIECES; piece++) {
    await play(Math.ceil(count / PIECES), what)
    most = Math.max(most, await heap())
  }
  return most
}

function check(what, before, after) {
  const growth = (after - before) / before
  const mb = (bytes) => `${(bytes / 1_048_576).toFixed(2)} MB`
  console.log(`${what}: heap ${mb(before)} before, ${mb(after)} after, ${(growth * 100).toFixed(1)} %`)
  if (growth > GROWTH) complaints.push(`${what}: the heap grew by more than ${GROWTH * 100} %`)
}

const began = Date.now()
if (REQUESTS > 0) {
  // Until all that is kept for speed, within its bounds, has been full.
  await play(Math.max(20_000, Math.round(REQUESTS / 4)), one)
  const before = await highest(REQUESTS, one)
  check(`${REQUESTS} requests with faults`, before, await highest(REQUESTS, one))
  console.log(`answers ${JSON.stringify(answers)}, ${store.faults} faults of the store`)
}
if (values.plant === 'crash') answers[599] = 1
for (const status of Object.keys(answers))
  if (![200, 403, 409, 500, 503].includes(Number(status))) complaints.push(`an answer with status ${status}`)

const records = store.inner.size
await play(5000, () => request(undefined, undefined))
const quiet = await heap()
await play(VISITORS, () => request(undefined, undefined))
check(`${VISITORS} visitors without a cookie`, quiet, await heap())
if (store.inner.size !== records) complaints.push('visitors without a cookie left records')

await middleware.close()
await new Promise((resolve) => setTimeout(resolve, 50))
const left = process
  .getActiveResourcesInfo()
  .filter((name) => !['TTYWrap', 'PipeWrap', 'CloseReq', 'FSReqCallback'].includes(name))
console.log(
  `after close(): ${left.length} timers and handles, ${rejections.length} unhandled rejections, ${warnings.length} warnings, ${Math.round((Date.now() - began) / 1000)} s, seed ${values.seed}`,
)
if (left.length > 0) complaints.push(`left after close(): ${left.join(', ')}`)
for (const rejection of new Set(rejections)) complaints.push(`unhandled rejection: ${rejection}`)
for (const warning of new Set(warnings)) complaints.push(`warning: ${warning}`)
if ('polluted' in {}) complaints.push('the prototype of all objects is polluted')

for (const complaint of complaints) console.log(`FAILED: ${complaint}`)
process.exit(complaints.length > 0 ? 1 : 0)

function fail(text) {
  throw new Error(text)
}
