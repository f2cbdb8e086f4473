import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { Server as SocketServer } from 'socket.io'
import { io } from 'socket.io-client'
import { WebSocket, WebSocketServer } from 'ws'
import {
  bindSession,
  currentSession,
  MemoryStore,
  session,
  type EventMessage,
  type SessionMiddleware,
} from '../../src/index.ts'
import { KEYS, served, type Browser, type Running } from '../support/app.ts'

interface Things {
  user?: string
  n?: number
}

interface Site extends Running {
  readonly middleware: SessionMiddleware<Things>
}

async function site(t: ExecutionContext, store = new MemoryStore()): Promise<Site> {
  const middleware = session<Things>({ keys: [...KEYS], store })
  const app = new Koa()
  app.use(middleware)
  app.use(async (ctx) => {
    const manager = currentSession<Things>()
    if (ctx.path === '/login') await manager.signIn('ada')
    if (ctx.path === '/login') manager.data.user = 'ada'
    if (ctx.path === '/logout') await manager.destroy()
    if (ctx.path === '/count') await increment()
    ctx.body = ctx.path === '/show' ? String(manager.data.n) : 'done'
  })
  const running = await served(t, app)
  return { ...running, middleware }
}

/** Service code: it knows of no request. */
function increment(): Promise<number> {
  return currentSession<Things>().update((data) => (data.n = (data.n ?? 0) + 1))
}

async function signedIn(app: Running): Promise<Browser> {
  const browser = app.browser()
  await browser.get('/login')
  return browser
}

// ---- ws

/** Accepts the sockets of signed-in visitors; a message is answered by `answer`, in the session as it is by then. */
function chat(
  t: ExecutionContext,
  { server, middleware }: Site,
  answer: (socket: WebSocket, request: IncomingMessage) => Promise<unknown>,
): void {
  const sockets = new WebSocketServer({ noServer: true })
  const ofSession = new Map<string, Set<WebSocket>>()
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    void middleware.run(request, ({ data, publicId }) => {
      if (data.user === undefined) {
        socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
        return
      }
      sockets.handleUpgrade(request, socket, head, (accepted) => {
        ofSession.set(publicId, (ofSession.get(publicId) ?? new Set()).add(accepted))
        accepted.on('message', () => {
          middleware
            .run(request, () => answer(accepted, request))
            .then(
              (reply) => accepted.send(String(reply)),
              (error: unknown) => accepted.close(4000, (error as { code?: string }).code),
            )
        })
      })
    })
  })
  const hangUp = (message: unknown): void => {
    for (const socket of ofSession.get((message as EventMessage).publicId ?? '') ?? [])
      socket.close(4001, 'session ended')
  }
  subscribe('koa-fastsession:destroy', hangUp)
  t.teardown(() => {
    unsubscribe('koa-fastsession:destroy', hangUp)
    for (const socket of sockets.clients) socket.terminate()
    sockets.close()
  })
}

async function dial(t: ExecutionContext, app: Site, cookie: string): Promise<WebSocket> {
  const socket = new WebSocket(app.url.replace('http', 'ws'), { headers: { cookie } })
  socket.on('error', () => undefined) // what waits for it hears of it as well
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

async function say(socket: WebSocket, text: string): Promise<string> {
  const answer = once(socket, 'message') as Promise<[Buffer]>
  socket.send(text)
  return (await answer)[0].toString()
}

test('ws: a socket sees the session of its upgrade request', async (t) => {
  const app = await site(t)
  chat(t, app, () => Promise.resolve(currentSession<Things>().data.user))
  const browser = await signedIn(app)

  t.is(await say(await dial(t, app, await browser.cookie()), 'who am I'), 'ada')
})

test('ws: an upgrade without a session, or with a forged one, is refused', async (t) => {
  const app = await site(t)
  chat(t, app, () => Promise.resolve())
  const cookie = await (await signedIn(app)).cookie()

  for (const wrong of ['', `${cookie}x`, cookie.replace('=', '=x')]) {
    await t.throwsAsync(dial(t, app, wrong), { message: /401/ })
  }
})

test('ws: what a socket stores is seen by requests, and the other way round', async (t) => {
  const app = await site(t)
  chat(t, app, increment)
  const browser = await signedIn(app)
  const socket = await dial(t, app, await browser.cookie())

  t.is(await say(socket, 'count'), '1')
  await browser.get('/count')
  t.is(await say(socket, 'count'), '3')
  t.is((await browser.get('/show')).body, '3')
})

test('ws: updates from sockets and requests at once are all counted', async (t) => {
  const app = await site(t)
  chat(t, app, increment)
  const browser = await signedIn(app)
  const sockets = await Promise.all([1, 2].map(async () => dial(t, app, await browser.cookie())))
  const talk = async (socket: WebSocket): Promise<void> => {
    for (let times = 0; times < 10; times++) await say(socket, 'count')
  }

  await Promise.all([...sockets.map(talk), ...Array.from({ length: 10 }, () => browser.get('/count'))])

  t.is((await browser.get('/show')).body, '30')
})

test('ws: a socket is closed when its session ends in this process, and others stay', async (t) => {
  const app = await site(t)
  chat(t, app, increment)
  const [browser, other] = [await signedIn(app), await signedIn(app)]
  const socket = await dial(t, app, await browser.cookie())
  const neighbour = await dial(t, app, await other.cookie())
  const closed = once(socket, 'close') as Promise<[number, Buffer]>

  await browser.get('/logout')

  const [code, reason] = await closed
  t.deepEqual([code, reason.toString()], [4001, 'session ended'])
  t.is(await say(neighbour, 'count'), '1')
})

test('ws: destroyAll closes the sockets of that owner', async (t) => {
  const app = await site(t)
  chat(t, app, increment)
  const sockets = await Promise.all([1, 2].map(async () => dial(t, app, await (await signedIn(app)).cookie())))
  const closed = Promise.all(sockets.map((socket) => once(socket, 'close')))

  t.is(await app.middleware.destroyAll('ada'), 2)
  t.deepEqual(
    (await closed).map(([code]) => code as number),
    [4001, 4001],
  )
})

test('ws: reload() tells a socket of a session that ended in another process', async (t) => {
  // Two middlewares on one store; the channels are looked away from, as another process would have to.
  const store = new MemoryStore()
  const [here, there] = [await site(t, store), await site(t, store)]
  let asked = (): void => undefined
  const asking = new Promise<void>((resolve) => (asked = resolve))
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  const browser = await signedIn(here)
  here.server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy())
    void here.middleware.run(request, async (held) => {
      asked()
      await ended
      await t.throwsAsync(held.reload(), { code: 'ERR_SESSION_GONE' })
      socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
    })
  })
  const refused = t.throwsAsync(dial(t, here, await browser.cookie()), { message: /401/ })
  await asking
  t.true(await there.middleware.destroy((await there.middleware.list('ada'))[0]?.publicId ?? ''))
  end()

  await refused
})

test('ws: a socket whose session ended cannot begin another one', async (t) => {
  const store = new MemoryStore()
  const [here, there] = [await site(t, store), await site(t, store)]
  chat(t, here, increment)
  const browser = await signedIn(here)
  const socket = new WebSocket(here.url.replace('http', 'ws'), { headers: { cookie: await browser.cookie() } })
  socket.on('error', () => undefined)
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  // Deleted behind the middleware's back: nobody is told.
  for (const { publicId } of await there.middleware.list('ada')) store.delete(publicId)
  const closed = once(socket, 'close') as Promise<[number, Buffer]>
  socket.send('count')

  t.is((await closed)[1].toString(), 'ERR_SESSION_HEADERS_SENT')
})

// ---- socket.io

test('socket.io: handlers have the session, at the handshake and at each event', async (t) => {
  const app = await site(t)
  const server = new SocketServer(app.server)
  server.use((socket, next) => {
    app.middleware
      .run(socket.request, ({ data }) => data.user)
      .then((user) => next(user === undefined ? new Error('sign in first') : undefined), next)
  })
  server.on('connection', (socket) => {
    socket.on('count', (reply: (n: number) => void) => void app.middleware.run(socket.request, increment).then(reply))
  })
  t.teardown(() => server.close())
  const browser = await signedIn(app)
  const connected = (cookie: string, transports: string[]) => {
    const client = io(app.url, { extraHeaders: { cookie }, transports, reconnection: false, forceNew: true })
    t.teardown(() => client.disconnect())
    return client
  }

  const refusal = await new Promise<Error>((resolve) => connected('', ['websocket']).on('connect_error', resolve))
  t.is(refusal.message, 'sign in first')

  const cookie = await browser.cookie()
  const clients = [connected(cookie, ['websocket']), connected(cookie, ['polling'])]
  const counts = await Promise.all([
    ...clients.map((client) => client.timeout(60_000).emitWithAck('count') as Promise<number>),
    browser.get('/count').then(() => 0),
  ])
  t.is(counts.length, 3)
  t.is((await browser.get('/show')).body, '3')
})

// ---- a WebSocket that a handler in the chain makes, as koa-easy-ws does

for (const [what, lazy, path, records, errors] of [
  [
    'leaves no record, and its change is refused where the app hears it',
    true,
    '/change',
    0,
    ['ERR_SESSION_HEADERS_SENT'],
  ],
  ['leaves no record by lazy: false', false, '/', 0, []],
  ['is told of an id that it read as of a change', true, '/id', 0, ['ERR_SESSION_HEADERS_SENT']],
  ['that only reads is served', true, '/', 0, []],
] as const) {
  test(`an upgrade of a visitor within the chain ${what}`, async (t) => {
    const sockets = new WebSocketServer({ noServer: true })
    const middleware = session<Things>({ keys: [...KEYS], lazy })
    const app = new Koa()
    app.silent = true
    const heard: unknown[] = []
    app.on('error', (error: { code?: string }) => heard.push(error.code))
    app.use(middleware)
    app.use(async (ctx) => {
      ctx.respond = false
      const socket = await new Promise<WebSocket>((resolve) =>
        sockets.handleUpgrade(ctx.req, ctx.req.socket, Buffer.alloc(0), resolve),
      )
      if (ctx.path === '/change') currentSession<Things>().data.n = 1
      if (ctx.path === '/id') t.is(currentSession().id.length, 32)
      // After the commit, and whatever that wrote into the connection.
      socket.on('message', (message: Buffer) => socket.send(message.toString()))
    })
    const running = await served(t, app)
    const client = new WebSocket(`ws${running.url.slice(4)}${path}`)
    const failures: unknown[] = []
    client.on('error', (error) => failures.push(error))
    t.teardown(() => client.terminate())
    await once(client, 'open')
    client.send('still here')
    const [answer] = (await once(client, 'message')) as [Buffer]

    t.is(String(answer), 'still here')
    t.deepEqual(failures, [])
    t.deepEqual(heard, [...errors])
    let stored = 0
    for await (const { publicId } of middleware.scan()) stored += publicId.length > 0 ? 1 : 0
    t.is(stored, records)
  })
}

// ---- a chain for sockets, as koa-websocket runs it: its ctx has no response

/** Serves each socket by the middleware and `handler`; tells what became of each chain. */
function chained(
  site: Running,
  app: Koa,
  middleware: SessionMiddleware<Things>,
  handler: (socket: WebSocket) => unknown,
): Promise<unknown>[] {
  const chains: Promise<unknown>[] = []
  const sockets = new WebSocketServer({ server: site.server })
  sockets.on('connection', (socket, request) => {
    // The types know no context without a response.
    const ctx = app.createContext(request, undefined as unknown as ServerResponse)
    chains.push(middleware(ctx, () => Promise.resolve(handler(socket))))
  })
  return chains
}

for (const koaSession of [false, true]) {
  const mode = `koaSession: ${koaSession}`

  test(`koa-websocket: a socket has the session of its visitor, and hears its end, ${mode}`, async (t) => {
    const middleware = session<Things>({ keys: [...KEYS], koaSession })
    const app = new Koa().use(middleware).use(async (ctx) => {
      await currentSession().signIn('ada')
      ctx.body = 'done'
    })
    const running = await served(t, app)
    const browser = await signedIn(running)
    const chains = chained(running, app, middleware, (socket) => {
      const { signal, owner } = currentSession()
      signal.addEventListener('abort', () => socket.close(4001, owner))
      const answer = bindSession(async () => socket.send(String(await increment())))
      socket.on('message', () => void answer())
    })
    const socket = new WebSocket(running.url.replace('http', 'ws'), { headers: { cookie: await browser.cookie() } })
    t.teardown(() => socket.terminate())
    const closed = once(socket, 'close') as Promise<[number, Buffer]>
    await once(socket, 'open')
    await chains[0]
    socket.send('count')
    const [answer] = (await once(socket, 'message')) as [Buffer]
    await middleware.destroyAll('ada')

    t.is(String(answer), '1')
    const [code, reason] = await closed
    t.deepEqual([code, String(reason)], [4001, 'ada'])
  })

  for (const [what, lazy, change, code] of [
    ['data', true, () => (currentSession<Things>().data.n = 1), 'ERR_SESSION_HEADERS_SENT'],
    ['an update', true, increment, 'ERR_SESSION_HEADERS_SENT'],
    ['a sign-in', true, () => currentSession().signIn('ada'), 'ERR_SESSION_HEADERS_SENT'],
    ['nothing with lazy: false', false, () => undefined, undefined],
  ] as const) {
    test(`koa-websocket: ${what} of a visitor begins no session, and is told of, ${mode}`, async (t) => {
      const middleware = session<Things>({ keys: [...KEYS], koaSession, lazy })
      const app = new Koa().use(middleware)
      const running = await served(t, app)
      const chains = chained(running, app, middleware, change)
      const socket = new WebSocket(running.url.replace('http', 'ws'))
      t.teardown(() => socket.terminate())
      await once(socket, 'open')

      const outcome = await chains[0]?.then(
        () => undefined,
        (error: unknown) => (error as { code?: string }).code,
      )

      t.is(outcome, code)
      for await (const { publicId } of middleware.scan()) t.fail(publicId)
    })
  }
}
