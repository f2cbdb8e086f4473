// Responses whose 'close' comes late, never, or has come already: of a request that was pipelined behind another one, whose connection
// may close before its turn; of a stream of HTTP/2 that its client gave up; one that was made by hand for a socket within the chain. No
// session is watched for them longer than its browser can hear.
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { constants, createServer } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { currentSession, session, type SessionMiddleware } from '../../src/index.ts'
import { mountedSession } from '../../src/middleware.ts'
import { sessionCookie } from '../../src/testing.ts'
import { http2Client, KEYS, served } from '../support/app.ts'
import { Barrier } from '../support/faults.ts'

/** Whether sessions are still watched some ticks of the watches after all is over. */
async function isWatchedLater(middleware: SessionMiddleware): Promise<boolean> {
  const { watches } = mountedSession(middleware).core
  for (let tries = 0; tries < 50 && watches.isWatching; tries++) await sleep(100)
  return watches.isWatching
}

/** An app, and a connection on which '/slow' waits until it is let through: what is asked over it meanwhile has to wait. */
async function pipelined(t: ExecutionContext) {
  const middleware = session({ keys: [...KEYS] })
  const [slow, looked, over] = [new Barrier(), new Barrier(), new Barrier()]
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    if (ctx.path === '/slow') await slow.pass()
    if (ctx.path === '/watch') {
      t.is(ctx.res.socket, null)
      t.false(currentSession().signal.aborted)
      ctx.res.once('close', () => void over.pass())
      void looked.pass()
    }
    ctx.body = `done with ${ctx.path}`
  })
  const running = await served(t, app)
  t.teardown(() => slow.open())
  const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  const connected = once(running.server, 'connection')
  const client = connect(Number(new URL(running.url).port), '127.0.0.1')
  t.teardown(() => client.destroy())
  const [socket] = (await connected) as [Socket]
  const ask = (path: string, more = ''): void =>
    void client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${more}Cookie: ${cookie}\r\n\r\n`)
  ask('/slow')
  await slow.arrived
  const { watches } = mountedSession(middleware).core
  return { middleware, watches, slow, looked, over, client, socket, ask }
}

test('no session is watched for a request that waited behind another one when its connection closed', async (t) => {
  const { middleware, watches, looked, client, socket, ask } = await pipelined(t)
  ask('/watch')
  await looked.arrived
  t.true(watches.isWatching)

  const closed = once(socket, 'close')
  client.destroy()
  await closed

  t.false(await isWatchedLater(middleware))
})

test('a session is watched no longer than its response, which has no connection yet while those before it are under way', async (t) => {
  const { watches, slow, looked, over, ask } = await pipelined(t)
  ask('/watch')
  await looked.arrived
  t.true(watches.isWatching)

  slow.open()
  await over.arrived

  t.false(watches.isWatching)
})

test('a request that waited and merely names an upgrade is watched no longer than its response', async (t) => {
  const { middleware, slow, looked, client, ask } = await pipelined(t)
  let text = ''
  client.setEncoding('utf8').on('data', (part: string) => (text += part))
  ask('/watch', 'Upgrade: h2c\r\n')
  await looked.arrived
  slow.open()
  for (let tries = 0; tries < 100 && !text.includes('done with /watch'); tries++) await sleep(50)
  t.regex(text, /done with \/watch/)

  // The connection stays open.
  t.false(await isWatchedLater(middleware))
})

test('no session is watched for a request that a client of HTTP/2 has given up', async (t) => {
  const middleware = session({ keys: [...KEYS] })
  const [asked, looked] = [new Barrier(), new Barrier()]
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    const closed = once(ctx.res, 'close')
    void asked.pass()
    await closed
    t.false(currentSession().signal.aborted)
    void looked.pass()
    ctx.body = 'done'
  })
  const answer = app.callback()
  const server = createServer((request, response) => {
    void answer(request, response)
  })
  const client = await http2Client(t, server)
  const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  const stream = client.request({ ':path': '/', cookie })
  stream.on('error', () => undefined)
  stream.end()
  await asked.arrived
  stream.close(constants.NGHTTP2_CANCEL)
  await looked.arrived

  t.false(await isWatchedLater(middleware))
})

test('no session is watched for a socket within the chain that has closed before its signal is looked at', async (t) => {
  const sockets = new WebSocketServer({ noServer: true })
  const middleware = session({ keys: [...KEYS] })
  const looked = new Barrier()
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    const { socket } = ctx.req
    const closed = once(socket, 'close')
    ctx.respond = false
    await new Promise((resolve) => sockets.handleUpgrade(ctx.req, socket, Buffer.alloc(0), resolve))
    await closed
    t.false(currentSession().signal.aborted)
    void looked.pass()
  })
  const running = await served(t, app)
  const answer = app.callback()
  running.server.on('upgrade', (request) => void answer(request, new ServerResponse(request)))
  const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  const client = new WebSocket(running.url.replace('http', 'ws'), { headers: { cookie } })
  await once(client, 'open')
  client.terminate()
  await looked.arrived

  t.false(await isWatchedLater(middleware))
})

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
