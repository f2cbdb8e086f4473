// A socket within Koa's chain whose response was made by hand, so has no connection: its session is watched until the socket closes.
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { currentSession, session } from '../../src/index.ts'
import { mountedSession } from '../../src/middleware.ts'
import { KEYS, served } from '../support/app.ts'

test('the session of a socket within the chain is watched no longer than the socket is open', async (t) => {
  const sockets = new WebSocketServer({ noServer: true })
  const middleware = session({ keys: [...KEYS] })
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    if (ctx.path === '/in') await currentSession().signIn('ada')
    ctx.body = 'done'
    if (ctx.req.headers.upgrade === undefined) return
    t.false(currentSession().signal.aborted)
    ctx.respond = false
    await new Promise((resolve) => sockets.handleUpgrade(ctx.req, ctx.req.socket, Buffer.alloc(0), resolve))
  })
  const running = await served(t, app)
  const answer = app.callback()
  running.server.on('upgrade', (request) => void answer(request, new ServerResponse(request)))
  const browser = running.browser()
  await browser.get('/in')
  const client = new WebSocket(running.url.replace('http', 'ws'), { headers: { cookie: await browser.cookie() } })
  await once(client, 'open')
  t.true(mountedSession(middleware).core.watches.isWatching)

  client.close()
  await once(client, 'close')
  await sleep(200)

  t.false(mountedSession(middleware).core.watches.isWatching)
})
