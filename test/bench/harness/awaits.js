// What AsyncLocalStorage and the session cost a handler that awaits. One way in a process of its own, as the first run() of a storage switches hooks
// on for all. Asked for { ms }, it answers { ns }, the CPU of a request.
//   none      Koa alone
//   run       AsyncLocalStorage.run around the handler, read after each await
//   visitor   this library, no cookie: currentSession() after each await
//   session   this library, with a cookie: currentSession() after each await, one field read at the end
import { AsyncLocalStorage } from 'node:async_hooks'
import Koa from 'koa'
import { currentSession, session } from '../../../dist/index.js'
import { cookieHeader, inject, Lane } from './mock.js'
import { KEYS } from './registry.js'
import { slice } from './stats.js'

const [way, awaits] = [process.argv[2], Number(process.argv[3])]
const app = new Koa()
const storage = new AsyncLocalStorage()
const state = {}
if (way === 'none') app.use((ctx, next) => next())
else if (way === 'run') app.use((ctx, next) => storage.run(state, next))
else app.use(session({ keys: KEYS }))
const look = {
  none: () => undefined,
  run: () => storage.getStore(),
  visitor: () => currentSession(),
  session: () => currentSession(),
}[way]
const step = async () => 1
app.use(async (ctx) => {
  if (ctx.path === '/login') {
    ctx.state.session.data.user = 'alice'
    ctx.body = 'ok'
    return
  }
  for (let i = 0; i < awaits; i++) {
    await step()
    look()
  }
  ctx.body = way === 'session' ? currentSession().data.user : 'ok'
})
const listener = app.callback()
const cookie = way === 'session' ? cookieHeader((await inject(listener, '/login')).setCookie) : undefined
const lane = new Lane()

process.send({ ready: true })
process.on('disconnect', () => process.exit(0))
process.on('message', async ({ ms }) => {
  const cpu0 = process.cpuUsage()
  const isOver = slice(ms)
  let n = 0
  for (; !isOver(); n += 16) {
    for (let i = 0; i < 16; i++) await lane.send(listener, '/plain', cookie)
  }
  const { user, system } = process.cpuUsage(cpu0)
  process.send({ ns: ((user + system) * 1000) / n })
})
