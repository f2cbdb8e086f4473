// So many requests of one session at once, each of which changes it. Asked for { way, size }, it answers with what one such burst cost.
//   update  each adds 1 to one counter by update()
//   write   each sets a key of its own, all having read the session before the first stores it
//   turns   the same writes one after another: what they cost without meeting
import Koa from 'koa'
import { MemoryStore, session } from '../../../dist/index.js'
import { cookieHeader, inject, Lane } from './mock.js'
import { KEYS } from './registry.js'

const [kind, redisUrl] = process.argv.slice(2)
const calls = { read: 0, create: 0, replace: 0, touch: 0 }
let gate

const app = new Koa()
app.silent = true // a refused request is counted below
app.use(session({ keys: KEYS, store: counted(await open()), logger: { warn() {} } }))
app.use(async (ctx) => {
  const { session } = ctx.state
  const [, way, at] = ctx.path.split('/')
  if (way === 'update') {
    await session.update((data) => void (data.n = (data.n ?? 0) + 1))
  } else if (way === 'write') {
    await gate.wait()
    session.data[`key${at}`] = 1
  } else if (way === 'turns') {
    session.data[`key${at}`] = 1
  } else if (way === 'start') {
    session.data = { user: 'alice' }
  }
  ctx.body = JSON.stringify(session.data)
})
const listener = app.callback()

async function open() {
  if (kind === 'memory') return new MemoryStore()
  const [{ RedisStore }, { Redis }] = await Promise.all([import('../../../dist/stores/redis.js'), import('ioredis')])
  return new RedisStore(new Redis(redisUrl))
}

function counted(store) {
  const counting =
    (verb) =>
    (...args) => {
      calls[verb]++
      return store[verb](...args)
    }
  return {
    create: counting('create'),
    read: counting('read'),
    replace: counting('replace'),
    touch: counting('touch'),
    delete: (key) => store.delete(key),
  }
}

/** Opens once so many have come. */
function newGate(size) {
  let open
  const opened = new Promise((resolve) => (open = resolve))
  let come = 0
  return {
    wait() {
      if (++come === size) open()
      return opened
    },
  }
}

process.send({ ready: true })
process.on('disconnect', () => process.exit(0))
process.on('message', async ({ way, size }) => {
  const cookie = cookieHeader((await inject(listener, '/start')).setCookie)
  gate = newGate(size)
  const lanes = Array.from({ length: size }, () => new Lane())
  const pathOf = (at) => `/${way}/${at}`
  const before = { ...calls }
  const cpu0 = process.cpuUsage()
  const began = performance.now()
  const send = (lane, at) => lane.send(listener, pathOf(at), cookie, true)
  const answers = []
  if (way === 'turns') for (const [at, lane] of lanes.entries()) answers.push(await send(lane, at))
  else answers.push(...(await Promise.all(lanes.map(send))))
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(cpu0)
  const made = Object.fromEntries(Object.entries(calls).map(([verb, n]) => [verb, n - before[verb]]))
  const data = JSON.parse((await inject(listener, '/look', cookie)).body)
  const kept = way === 'update' ? (data.n ?? 0) : Object.keys(data).filter((key) => key.startsWith('key')).length
  const done = answers.filter((answer) => answer.startsWith('HTTP/1.1 200')).length
  const refused = answers.filter((answer) => answer.startsWith('HTTP/1.1 409')).length
  process.send({
    ms,
    cpu: (user + system) / size,
    reads: made.read / size,
    replaces: made.replace / size,
    done,
    refused,
    kept,
  })
})
