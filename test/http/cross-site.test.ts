// Requests that pages of other sites send with a visitor's session: which are refused, which are served.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { IncomingMessage, request } from 'node:http'
import { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { MemoryStore, session, type EventMessage, type SessionManager, type SessionOptions } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { served, type Answer, type Browser } from '../support/app.ts'
import { keyIn } from '../support/mounted.ts'

interface Things {
  n?: number
}

type Headers = Record<string, string>

interface Site {
  readonly visitor: Browser
  readonly host: string
  readonly middleware: ReturnType<typeof session<Things>>
  /** How often a handler ran. */
  readonly ran: { count: number }
  readonly post: (headers: Headers, path?: string, method?: string) => Promise<Answer>
}

async function site(t: ExecutionContext, options: SessionOptions<Things> = {}, proxy = false): Promise<Site> {
  const ran = { count: 0 }
  const middleware = session<Things>({ logger: {}, ...options })
  const app = new Koa()
  app.proxy = proxy
  app.silent = true
  app.use(middleware)
  app.use(async (ctx) => {
    const manager = ctx.state.session as SessionManager<Things>
    ran.count++
    if (ctx.path === '/in') await manager.signIn('ada')
    if (ctx.path === '/out') await manager.destroy()
    else manager.data.n = (manager.data.n ?? 0) + 1
    ctx.body = manager.origin
  })
  const running = await served(t, app)
  const visitor = running.browser()
  await visitor.get('/')
  ran.count = 0
  return {
    visitor,
    host: new URL(running.url).host,
    middleware,
    ran,
    post: (headers, path = '/', method = 'POST') => visitor.get(path, { method, headers }),
  }
}

const CROSS = { 'sec-fetch-site': 'cross-site' }

test('an unsafe request of another site that carries a live session is 403, before any handler', async (t) => {
  const { post, ran } = await site(t)

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
    const refused = await post(CROSS, '/', method)
    t.is(refused.status, 403, method)
    t.is(refused.body, 'Forbidden')
    t.deepEqual(refused.setCookie, [])
  }

  t.is(ran.count, 0)
  for (const method of ['GET', 'HEAD', 'OPTIONS']) t.is((await post(CROSS, '/', method)).status, 200, method)
  t.is(ran.count, 3)
})

test('Fetch Metadata decides where it is there: of one site, one origin, or the user themselves is served', async (t) => {
  const { post } = await site(t)
  for (const value of ['same-site', 'same-origin', 'none'])
    t.is((await post({ 'sec-fetch-site': value, origin: 'https://evil.example' })).status, 200, value)
  t.is((await post({})).status, 200)
})

test('without it an Origin of another host or port is another site', async (t) => {
  const { post, host, ran } = await site(t)
  const others = [
    'null',
    '',
    'https://evil.example',
    `http://${host}.evil.example`,
    `http://evil.example/${host}`,
    'http://127.0.0.1',
    'http://127.0.0.1:1',
    'https://127.0.0.1:443',
    'no url',
    'file://',
    '://',
    host,
    `javascript:${host}`,
    `http://${host}, http://${host}`,
    `http://${host.replace('127', '0127')}x`,
  ]
  for (const origin of others) {
    // A header without text is none to the client that these tests use.
    if (origin === '') continue
    t.is((await post({ origin })).status, 403, origin)
  }
  t.is(ran.count, 0)
  for (const origin of [`http://${host}`, `https://${host}`, `HTTP://${host}`])
    t.is((await post({ origin })).status, 200, origin)
})

test('behind a proxy the host is the one that the browser knows, default ports are those of the Origin, case is none', async (t) => {
  const { post } = await site(t, {}, true)
  const status = async (forwarded: string, origin: string): Promise<number> =>
    (await post({ 'x-forwarded-host': forwarded, origin })).status
  t.is(await status('shop.example', 'https://shop.example'), 200)
  t.is(await status('shop.example:443', 'https://shop.example'), 200)
  t.is(await status('shop.example', 'https://shop.example:443'), 200)
  t.is(await status('shop.example:80', 'http://shop.example'), 200)
  t.is(await status('Shop.Example', 'https://shop.example'), 200)
  t.is(await status('shop.example:80', 'https://shop.example'), 403)
  t.is(await status('shop.example:8443', 'https://shop.example'), 403)
  t.is(await status('shop.example', 'https://www.shop.example'), 403)
  t.is(await status('', 'https://shop.example'), 403)
})

test('a request without a live session is served, but for a sign-in', async (t) => {
  const { visitor, ran, middleware } = await site(t)
  const send = (path: string, cookie = ''): Promise<Answer> =>
    visitor.send(path, cookie, { method: 'POST', headers: CROSS })

  t.is((await send('/')).body, 'new')
  t.is((await send('/', `sid=${'x'.repeat(32)}.${'y'.repeat(43)}`)).body, 'invalid')
  t.is(ran.count, 2)

  const refused = await send('/in')
  t.is(refused.status, 403)
  t.deepEqual(refused.setCookie, [])
  t.deepEqual(await middleware.list('ada'), [])
})

test('a session that cannot be read is no live one, whether or not anybody listens', async (t) => {
  for (const logger of [undefined, {}]) {
    const store = new MemoryStore()
    const { visitor, post, ran } = await site(t, { store, logger })
    const key = keyIn(await visitor.cookie())
    const record = store.read(key, Date.now())
    if (record === undefined) return t.fail('not stored')
    store.replace({ ...record, version: record.version + 1, payload: '{"n":' }, record.version, Date.now())

    t.is((await post(CROSS, '/in')).status, 403)
    const served = await post(CROSS)

    t.is(served.status, 200)
    t.is(served.body, 'expired')
    t.is(ran.count, 2)
  }
})

test('an owner that the owner option finds is a sign-in', async (t) => {
  const { visitor, middleware } = await site(t, { owner: ({ n }) => (n === undefined ? undefined : 'ada') })
  const before = await middleware.list('ada')

  const refused = await visitor.send('/', '', { method: 'POST', headers: CROSS })

  t.is(refused.status, 403)
  t.deepEqual(refused.setCookie, [])
  t.is((await middleware.list('ada')).length, before.length)
})

test('listed origins are let in, others are not', async (t) => {
  const { post } = await site(t, { crossSite: { trust: ['https://Pay.example', 'https://bank.example:8443'] } })
  const status = async (origin?: string): Promise<number> =>
    (await post(origin === undefined ? CROSS : { ...CROSS, origin }, '/in')).status
  t.is(await status('https://pay.example'), 200)
  t.is(await status('https://bank.example:8443'), 200)
  for (const origin of ['https://bank.example', 'http://pay.example', 'https://pay.example.evil', 'null', undefined])
    t.is(await status(origin), 403, origin)
})

test('a function is asked of unsafe requests of other sites alone, and says so at once', async (t) => {
  const asked: string[] = []
  const { post } = await site(t, {
    crossSite: {
      trust: (ctx) => {
        asked.push(ctx.path)
        return ctx.path === '/hook'
      },
    },
  })
  t.is((await post(CROSS, '/hook')).status, 200)
  t.is((await post(CROSS, '/other')).status, 403)
  t.is((await post({}, '/mine')).status, 200)
  t.is((await post(CROSS, '/safe', 'GET')).status, 200)
  t.deepEqual(asked, ['/hook', '/other'])
  const wrong = await site(t, { crossSite: { trust: (() => Promise.resolve(true)) as unknown as () => boolean } })
  t.is((await wrong.post(CROSS)).status, 500)
})

test("'allow' looks at nothing", async (t) => {
  const { post } = await site(t, { crossSite: 'allow' })
  t.is((await post(CROSS)).status, 200)
  t.is((await post(CROSS, '/in')).status, 200)
})

test('a refused request moves nothing and renews no cookie', async (t) => {
  let now = Date.now()
  const { post, middleware, visitor } = await site(t, { maxAge: '1h', rolling: true, now: () => now })
  await visitor.get('/in')
  const [before] = await middleware.list('ada')
  now += 30 * 60_000

  const refused = await post(CROSS)

  t.is(refused.status, 403)
  t.deepEqual(refused.setCookie, [])
  t.deepEqual(await middleware.list('ada'), before === undefined ? [] : [before])
})

test.serial('a refusal is an event with the public id and the owner', async (t) => {
  const heard: unknown[] = []
  const hear = (message: unknown): void => {
    const { reason, owner, publicId } = message as EventMessage
    heard.push({ reason, owner, isNamed: publicId !== undefined })
  }
  const { post, visitor } = await site(t)
  await visitor.get('/in')
  subscribe('koa-fastsession:reject', hear)
  t.teardown(() => unsubscribe('koa-fastsession:reject', hear))

  await post(CROSS)

  t.deepEqual(heard, [{ reason: 'cross-site', owner: 'ada', isNamed: true }])
})

// ---- WebSockets

function upgrade(cookie: string, headers: Headers): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  Object.assign(request, { method: 'GET', url: '/' })
  Object.assign(request.headers, { cookie, host: 'shop.example', connection: 'upgrade', ...headers })
  return request
}

test('a WebSocket upgrade is unsafe, in the chain', async (t) => {
  const { visitor, ran } = await site(t)
  const cookie = await visitor.cookie()
  // fetch sends no Upgrade header.
  const status = (value: string, headers: Headers): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      request(visitor.url, { headers: { cookie, connection: 'upgrade', upgrade: value, ...headers } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .once('error', reject)
        .end()
    })
  for (const value of ['websocket', 'WebSocket', 'h2c, websocket']) t.is(await status(value, CROSS), 403, value)
  t.is(ran.count, 0)
  t.is(await status('websocket', { 'sec-fetch-site': 'same-origin' }), 200)
  t.is(await status('h2c', CROSS), 200)
})

test('a WebSocket upgrade is unsafe in run(), also before the first request', async (t) => {
  const { middleware, visitor } = await site(t)
  const cookie = await visitor.cookie()
  const first = session<Things>({
    keys: ['a secret that is long enough for this'],
    crossSite: { trust: ['https://pay.example'] },
  })
  const made = await sessionCookie(first, { n: 1 })

  for (const [sessions, pair] of [
    [middleware, cookie],
    [first, made],
  ] as const) {
    const run = (headers: Headers): Promise<number | undefined> =>
      sessions.run(upgrade(pair, { upgrade: 'websocket', ...headers }), ({ data }) => data.n)
    await t.throwsAsync(run(CROSS), { code: 'ERR_SESSION_CROSS_SITE' })
    await t.throwsAsync(run({ origin: 'https://evil.example' }), { code: 'ERR_SESSION_CROSS_SITE' })
    await t.throwsAsync(run({ origin: 'null' }), { code: 'ERR_SESSION_CROSS_SITE' })
    t.is(await run({ origin: 'https://shop.example' }), 1)
    t.is(await run({}), 1)
  }
  t.is(await first.run(upgrade(made, { upgrade: 'websocket', origin: 'https://pay.example' }), ({ data }) => data.n), 1)
})

test('behind a proxy run() knows the host that the browser knows', async (t) => {
  const { middleware, visitor } = await site(t, {}, true)
  const cookie = await visitor.cookie()
  const run = (origin: string): Promise<number | undefined> =>
    middleware.run(
      upgrade(cookie, { upgrade: 'websocket', 'x-forwarded-host': 'www.shop.example', origin }),
      ({ data }) => data.n,
    )

  t.is(await run('https://www.shop.example'), 1)
  await t.throwsAsync(run('https://shop.example'), { code: 'ERR_SESSION_CROSS_SITE' })
})

// ---- Clear-Site-Data

test('Clear-Site-Data goes with a response that clears the cookie, and with no other', async (t) => {
  const { visitor } = await site(t, { clearSiteData: ['cache', 'storage'] })
  t.is((await visitor.get('/')).headers.get('clear-site-data'), null)
  t.is((await visitor.get('/out')).headers.get('clear-site-data'), '"cache", "storage"')
  t.is((await visitor.get('/out')).headers.get('clear-site-data'), null)
})

test('a page of another site ends no session that has expired for this process alone', async (t) => {
  const store = new MemoryStore()
  const clock = { now: 1_800_000_000_000 }
  const now = (): number => clock.now
  const patient = await site(t, { store, now })
  const strict = await site(t, { store, now, idleTimeout: '1m' })
  const cookie = await patient.visitor.cookie()
  clock.now += 120_000

  await fetch(`http://${strict.host}/out`, { method: 'POST', headers: { ...CROSS, cookie } })
  t.is((await patient.visitor.get('/')).body, 'resumed')

  // The user's own logout reaches it.
  await fetch(`http://${strict.host}/out`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin', cookie } })
  t.is((await patient.visitor.get('/')).body, 'expired')
})
