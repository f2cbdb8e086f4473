// One candidate in one process. Asked for { workload, ms, lanes }, it answers { n, cpu, wall }, in nanoseconds per request,
// after that much CPU time, or null where the candidate has no such workload. `lead` is CPU time that is spent first and not
// measured: a process that has waited for its turn may have lost its memory to the system meanwhile, and its code to V8.
import { subscribe } from 'node:diagnostics_channel'
import { build } from './registry.js'
import { prepare, check, WORKLOADS } from './workloads.js'
import { Lane } from './mock.js'
import { slice } from './stats.js'

const [name, store] = process.argv.slice(2)
const app = await build(name, store || undefined)
await check(app)
const cookies = await prepare(app)

async function run({ lead = 0, ...asked }) {
  if (lead > 0) await drive({ ...asked, ms: lead })
  return drive(asked)
}

async function drive({ workload, ms, lanes }) {
  const { path, cookie: kind } = WORKLOADS[workload]
  const cookie = kind && cookies[kind]
  if (kind && cookie === undefined) return null
  const { listener } = app
  let n = 0
  let open = true
  const cookieOf = (lane) => (Array.isArray(cookie) ? cookie[lane % cookie.length] : cookie)
  const send = async (lane, its) => {
    while (open) {
      await lane.send(listener, path, its)
      n++
    }
  }
  const wall0 = process.hrtime.bigint()
  const cpu0 = process.cpuUsage()
  const isOver = slice(ms)
  // Promises and nextTick starve timers, so one lane watches the clock.
  const clock = async (lane, its) => {
    for (let i = 1; open; i++) {
      await lane.send(listener, path, its)
      n++
      if (i % 8 === 0 && isOver()) open = false
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, lane) => (lane === 0 ? clock : send)(new Lane(), cookieOf(lane))))
  const { user, system } = process.cpuUsage(cpu0)
  return { n, cpu: ((user + system) * 1000) / n, wall: Number(process.hrtime.bigint() - wall0) / n }
}

/** How many of the requests of a workload meet a conflict, from 0 to 1. Listening to events costs, so this comes last. */
async function conflicts(message) {
  let met = 0
  subscribe('koa-fastsession:conflict', () => met++)
  const { n } = await run(message)
  return met / n
}

process.on('message', async (message) => process.send(await (message.conflicts ? conflicts(message) : run(message))))
process.on('disconnect', () => process.exit(0))
process.send({ ready: true })
