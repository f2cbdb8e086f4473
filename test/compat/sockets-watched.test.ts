// Responses without a connection. One that was made by hand for a socket within Koa's chain never has one: its session is watched
// until the socket closes. One that comes after others on its connection has none yet.
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import test from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { currentSession, session } from '../../src/index.ts'
import { mountedSession } from '../../src/middleware.ts'
import { KEYS, served } from '../support/app.ts'
import { Barrier } from '../support/faults.ts'

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
  const closed: Promise<unknown>[] = []
  running.server.on('upgrade', (request) => {
    closed.push(once(request.socket, 'close'))
    void answer(request, new ServerResponse(request))
  })
  const browser = running.browser()
  await browser.get('/in')
  const client = new WebSocket(running.url.replace('http', 'ws'), { headers: { cookie: await browser.cookie() } })
  await once(client, 'open')
  t.true(mountedSession(middleware).core.watches.isWatching)

  client.close()
  await Promise.all(closed)

  t.false(mountedSession(middleware).core.watches.isWatching)
})

test('a session is watched no longer than its response, which has no connection yet while those before it are under way', async (t) => {
  const middleware = session({ keys: [...KEYS] })
  const [slow, looked, over] = [new Barrier(), new Barrier(), new Barrier()]
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    if (ctx.path === '/in') await currentSession().signIn('ada')
    if (ctx.path === '/slow') await slow.pass()
    if (ctx.path === '/watch') {
      t.is(ctx.res.socket, null)
      t.false(currentSession().signal.aborted)
      ctx.res.once('close', () => void over.pass())
      void looked.pass()
    }
    ctx.body = 'done'
  })
  const running = await served(t, app)
  const browser = running.browser()
  await browser.get('/in')
  const cookie = await browser.cookie()
  const client = connect(Number(new URL(running.url).port), '127.0.0.1')
  t.teardown(() => client.destroy())
  for (const path of ['/slow', '/watch']) client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`)
  await slow.arrived
  await looked.arrived
  t.true(mountedSession(middleware).core.watches.isWatching)
  slow.open()
  await over.arrived

  t.false(mountedSession(middleware).core.watches.isWatching)
})
