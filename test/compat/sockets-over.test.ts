// Responses whose 'close' never comes, or has come already: of a request that was pipelined behind another one when its connection
// closed, of a stream of HTTP/2 that its client gave up, of a socket within the chain that has closed. No session is watched for them.
import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { connect as connectHttp2, constants, createServer as createHttp2 } from 'node:http2'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { currentSession, session, type SessionMiddleware } from '../../src/index.ts'
import { mountedSession } from '../../src/middleware.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS, served } from '../support/app.ts'
import { Barrier } from '../support/faults.ts'

/** Whether sessions are still watched some ticks of the watches after all is over. */
async function isWatchedLater(middleware: SessionMiddleware): Promise<boolean> {
  const { watches } = mountedSession(middleware).core
  for (let tries = 0; tries < 50 && watches.isWatching; tries++) await sleep(100)
  return watches.isWatching
}

test('no session is watched for a request that waited behind another one when its connection closed', async (t) => {
  const middleware = session({ keys: [...KEYS] })
  const [slow, looked] = [new Barrier(), new Barrier()]
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    if (ctx.path === '/slow') await slow.pass()
    if (ctx.path === '/watch') {
      t.is(ctx.res.socket, null)
      t.false(currentSession().signal.aborted)
      void looked.pass()
    }
    ctx.body = 'done'
  })
  const running = await served(t, app)
  t.teardown(() => slow.open())
  const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  const connected = once(running.server, 'connection')
  const client = connect(Number(new URL(running.url).port), '127.0.0.1')
  const [socket] = (await connected) as [Socket]
  for (const path of ['/slow', '/watch']) client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`)
  await slow.arrived
  await looked.arrived
  t.true(mountedSession(middleware).core.watches.isWatching)

  const closed = once(socket, 'close')
  client.destroy()
  await closed

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
  const server = createHttp2((request, response) => {
    void answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    client.destroy()
    server.close()
  })
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

test('a request that waited and merely names an upgrade is watched no longer than its response', async (t) => {
  const middleware = session({ keys: [...KEYS] })
  const [slow, looked] = [new Barrier(), new Barrier()]
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    if (ctx.path === '/slow') await slow.pass()
    if (ctx.path === '/watch') {
      t.false(currentSession().signal.aborted)
      void looked.pass()
    }
    ctx.body = `done with ${ctx.path}`
  })
  const running = await served(t, app)
  const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  const client = connect(Number(new URL(running.url).port), '127.0.0.1')
  t.teardown(() => client.destroy())
  let text = ''
  client.setEncoding('utf8').on('data', (part: string) => (text += part))
  client.write(`GET /slow HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`)
  client.write(`GET /watch HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nCookie: ${cookie}\r\n\r\n`)
  await looked.arrived
  slow.open()
  for (let tries = 0; tries < 100 && !text.includes('done with /watch'); tries++) await sleep(50)
  t.regex(text, /done with \/watch/)

  // The connection stays open.
  t.false(await isWatchedLater(middleware))
})
