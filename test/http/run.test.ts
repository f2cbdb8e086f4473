// session().run(req, fn): requests outside Koa's chain, such as a WebSocket's upgrade.
import { createServer, IncomingMessage, request as httpRequest } from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { currentSession, MemoryStore, session, tryCurrentSession, type SessionMiddleware } from '../../src/index.ts'
import { sessionCookie, sessionOf } from '../../src/testing.ts'
import { KEYS, served } from '../support/app.ts'
import { mounted, type Handler, type Mounted, type Session, type Things } from '../support/mounted.ts'

const HEADERS_SENT = { code: 'ERR_SESSION_HEADERS_SENT' }

/** A request as a server would give it. */
function requestWith(cookie?: string): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  if (cookie !== undefined) request.headers.cookie = cookie
  return request
}

const handlers: Readonly<Record<string, Handler>> = {
  '/set': ({ data }) => (data.n = 1),
  '/look': ({ data, origin }) => [origin, data],
}

/** An app with one stored session, and a request that carries its cookie. */
async function stored(
  t: ExecutionContext,
  options: Parameters<typeof mounted>[1] = {},
): Promise<Mounted & { cookie: string; request: IncomingMessage }> {
  const app = await mounted(t, options, handlers)
  const browser = app.browser()
  await browser.get('/set')
  const cookie = await browser.cookie()
  return { ...app, cookie, request: requestWith(cookie) }
}

test('run() loads the session, binds currentSession(), commits, and gives the result of its function', async (t) => {
  const { middleware, request, cookie, browser } = await stored(t)
  const result = await middleware.run(request, async (session) => {
    await sleep(1)
    t.is(currentSession<Things>(), session)
    t.is(session.origin, 'resumed')
    session.data.n = 7
    return { the: 'result' }
  })

  t.deepEqual(result, { the: 'result' })
  t.is(tryCurrentSession(), undefined)
  t.is((await browser().send('/look', cookie)).body, '["resumed",{"n":7}]')
})

test('run() serves the upgrade of a raw http server', async (t) => {
  const { middleware, cookie } = await stored(t)
  const server = createServer()
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy())
    void middleware
      .run(request, ({ data }) => data.n)
      .then((n) =>
        socket.end(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\nX-Count: ${String(n)}\r\n\r\n`,
        ),
      )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const count = await new Promise((resolve, reject) => {
    httpRequest({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      headers: { connection: 'Upgrade', upgrade: 'test', cookie },
    })
      .on('upgrade', ({ headers }, socket) => {
        socket.destroy()
        resolve(headers['x-count'])
      })
      .on('error', reject)
      .end()
  })

  t.is(count, '1')
})

test('a visitor without a session may be served, and nothing is stored', async (t) => {
  const { middleware, store } = await stored(t)
  store.counted()
  const origins = [
    await middleware.run(requestWith(), ({ origin }) => origin),
    await middleware.run(requestWith('sid=forged'), ({ origin, data }) => [origin, data.n]),
  ]

  t.deepEqual(origins, ['new', ['invalid', undefined]])
  t.deepEqual(store.counted(), {})
})

test('changing a session that is not stored throws, for its cookie cannot be sent', async (t) => {
  const { middleware, store } = await stored(t)
  store.counted()
  const changes: ((session: Session) => unknown)[] = [
    ({ data }) => (data.n = 1),
    (session) => session.save(),
    (session) => session.update((data) => (data.n = 1)),
    (session) => session.flash('info', 1),
    (session) => (session.maxAge = '1d'),
  ]
  for (const change of changes) await t.throwsAsync(middleware.run(requestWith(), change), HEADERS_SENT)

  t.deepEqual(store.counted(), {})
})

test('regenerate() and signIn() throw, and leave the session alone', async (t) => {
  const { middleware, request, browser, cookie } = await stored(t)
  for (const call of [(session: Session) => session.regenerate(), (session: Session) => session.signIn('ada')])
    await t.throwsAsync(middleware.run(request, call), HEADERS_SENT)

  t.is((await browser().send('/look', cookie)).body, '["resumed",{"n":1}]')
})

test('destroy() ends the session', async (t) => {
  const { middleware, request, browser, cookie } = await stored(t)
  await middleware.run(request, (session) => session.destroy())

  t.is((await browser().send('/look', cookie)).body, '["expired",{}]')
})

test('an error of the function is thrown; it commits where it is an answer below 500, and only there', async (t) => {
  for (const [status, n] of [
    [403, 2],
    [500, 1],
    [undefined, 1],
  ] as const) {
    const { middleware, request, browser, cookie } = await stored(t)
    const error = Object.assign(new Error('mine'), { status })
    const thrown = await t.throwsAsync(
      middleware.run(request, ({ data }) => {
        data.n = 2
        throw error
      }),
    )

    t.is(thrown, error)
    t.is((await browser().send('/look', cookie)).body, `["resumed",{"n":${n}}]`)
  }
})

test('run() again in the same request finds what the first stored', async (t) => {
  const { middleware, request } = await stored(t)
  await middleware.run(request, ({ data }) => (data.n = 5))

  t.is(await middleware.run(request, ({ data }) => data.n), 5)
})

test('run() inside a request of the chain serves another request, and then the chain goes on with its own', async (t) => {
  const inner = await stored(t)
  const outer = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const origin = await inner.middleware.run(inner.request, (other) => {
          t.is(currentSession<Things>(), other)
          t.is(currentSession<Things>('session'), other, 'the request around it is none of this one')
          return other.origin
        })
        t.is(currentSession<Things>(), session)
        return origin
      },
    },
  )

  t.is((await outer.browser().get('/')).body, 'resumed')
})

test('run() of the request that is running is a second session of the same name', async (t) => {
  const app: { middleware?: SessionMiddleware<Things> } = {}
  const running = await mounted(
    t,
    {},
    {
      '/': async (_session, ctx) =>
        t.throwsAsync(async () => app.middleware?.run(ctx.req, () => 1), { code: 'ERR_SESSION_ALREADY_MOUNTED' }),
    },
  )
  app.middleware = running.middleware

  t.is((await running.browser().get('/')).status, 200)
})

test('run() without a function is refused', async (t) => {
  await t.throwsAsync(session({ keys: KEYS }).run(requestWith(), 5 as unknown as () => void), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'the second argument of run() must be a function, got a number',
  })
})

test('run() of what is no request of node:http is refused, where no cookie would be found in silence too', async (t) => {
  const { middleware, cookie } = await stored(t)
  const others: readonly unknown[] = [
    {},
    null,
    'GET /',
    { headers: null },
    { headers: [] },
    { headers: 'cookie' },
    { headers: { cookie: 1 } },
    { headers: { cookie: [cookie] } },
    new Request('http://localhost/', { headers: { cookie } }),
    { headers: new Map([['cookie', cookie]]) },
  ]
  for (const other of others) {
    await t.throwsAsync(
      middleware.run(other as IncomingMessage, () => 1),
      {
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^the first argument of run\(\) must be an http\.IncomingMessage, got /,
      },
    )
  }
  t.is(await middleware.run({ headers: { cookie, get: 'a header' } } as never, ({ origin }) => origin), 'resumed')
})

test('before the first request run() needs keys as an option', async (t) => {
  await t.throwsAsync(
    session().run(requestWith(), () => 1),
    {
      code: 'ERR_INVALID_ARG_VALUE',
      message:
        /^options\.keys must be given to session\(\) when run\(\) or sessionCookie\(\) is used before the first request: /,
    },
  )
  t.is(await session({ keys: KEYS }).run(requestWith(), () => 1), 1)
})

test('a request that is skipped tells run() of its app, with the keys', async (t) => {
  const app = new Koa()
  app.keys = [...KEYS]
  const middleware = session({ skip: () => true })
  app.use(middleware)
  await (await served(t, app)).browser().get('/')

  t.is(await middleware.run(requestWith(), () => 1), 1)
})

test('a cookie that is a function of ctx is asked with one made for the request', async (t) => {
  const app = await mounted(t, { cookie: (ctx) => ({ name: ctx.get('x-tenant') || 'sid' }) }, handlers)
  const { setCookie } = await app.browser().get('/set', { headers: { 'x-tenant': 'blue' } })
  const request = requestWith((setCookie[0] ?? '').split(';')[0])
  request.headers['x-tenant'] = 'blue'

  t.is(await app.middleware.run(request, ({ data }) => data.n), 1)
})

test('a cookie that is a function of ctx needs a request before run()', async (t) => {
  await t.throwsAsync(
    session({ keys: KEYS, cookie: () => ({}) }).run(requestWith(), () => 1),
    {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^an option is a function of ctx: run\(\) needs a Koa request before/,
    },
  )
})

test('before the first Koa request run() serves without asking passive, and counts as a use', async (t) => {
  let now = Date.now()
  const store = new MemoryStore()
  const middleware = session<Things>({ keys: KEYS, store, now: () => now, passive: () => true })
  const cookie = await sessionCookie(middleware, { n: 1 })
  now += 3_600_000

  t.is(await middleware.run(requestWith(cookie), ({ data }) => data.n), 1)
  t.is((await sessionOf(middleware, cookie))?.lastSeenAt, now)
})

test('with lazy false, run() serves a visitor without a session, who cannot get one there', async (t) => {
  t.is(await session({ keys: KEYS, lazy: false }).run(requestWith(), ({ origin }) => origin), 'new')
})

test('the middleware is a function that Koa takes, with its methods', (t) => {
  const middleware = session({ keys: KEYS })

  t.notThrows(() => new Koa().use(middleware))
  t.deepEqual(Object.keys(middleware).sort(), [
    'close',
    'deleteExpired',
    'destroy',
    'destroyAll',
    'destroyEverything',
    'get',
    'list',
    'run',
    'scan',
    'update',
    'updateAll',
  ])
})
