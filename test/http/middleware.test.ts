import { PassThrough, Readable } from 'node:stream'
import test from 'ava'
import { session, type SessionManager } from '../../src/index.ts'
import { servedMiddlewares } from '../support/app.ts'
import { answering, mounted, valueIn, type Handler, type Session, type Things } from '../support/mounted.ts'

const handlers: Readonly<Record<string, Handler>> = {
  '/n': ({ data }) => (data.n = (data.n ?? 0) + 1),
  '/origin': ({ origin }) => origin,
  '/unseen': () => 'unseen',
}

test('a session goes on from request to request', async (t) => {
  const app = await mounted(t, {}, handlers)
  const browser = app.browser()
  const bodies: string[] = []
  for (let turn = 0; turn < 3; turn++) bodies.push((await browser.get('/n')).body)

  t.deepEqual(bodies, ['1', '2', '3'])
  t.is((await app.browser().get('/n')).body, '1', 'another browser has another')
})

test('session() needs no options', async (t) => {
  const browser = (await servedMiddlewares(t, session<Things>(), answering(handlers))).browser()
  await browser.get('/n')

  t.is((await browser.get('/n')).body, '2')
})

test('the middleware is called session in the lines of DEBUG and in traces', (t) => {
  t.is(session().name, 'session')
})

test('a visitor for whom nothing is kept costs the store nothing and gets no cookie', async (t) => {
  const app = await mounted(
    t,
    {},
    { ...handlers, '/look': ({ data, publicId, isNew, expiresAt }) => [data.n, publicId, isNew, expiresAt] },
  )
  for (const path of ['/origin', '/unseen', '/look', '/nowhere'])
    t.deepEqual((await app.browser().get(path)).setCookie, [], path)

  t.deepEqual(app.store.counted(), {})
})

test('a new session has one cookie: HttpOnly, SameSite=Lax, no lifetime, and no cache may keep it', async (t) => {
  const app = await mounted(t, {}, handlers)
  const { setCookie, headers } = await app.browser().get('/n')

  t.is(setCookie.length, 1)
  t.regex(setCookie[0] ?? '', /^sid=[\w-]{32}\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
  t.is(headers.get('cache-control'), 'no-store')
  t.is(headers.get('vary'), 'Cookie')
})

test('Vary says who consulted the session: visitors without one too, and nobody else', async (t) => {
  const app = await mounted(t, {}, { ...handlers, '/vary': ({ origin }, ctx) => (ctx.vary('Accept'), origin) })
  const browser = app.browser()
  await browser.get('/n')

  t.is((await app.browser().get('/origin')).headers.get('vary'), 'Cookie')
  t.is((await browser.get('/origin')).headers.get('vary'), 'Cookie')
  t.is((await browser.get('/vary')).headers.get('vary'), 'Accept, Cookie')
  t.is((await browser.get('/unseen')).headers.get('vary'), null)
  t.is((await browser.get('/origin')).headers.get('cache-control'), null)
})

test('a session that is the body, or in it, is consulted', async (t) => {
  const app = await mounted(t, {}, { ...handlers, '/body': (session, ctx) => void (ctx.body = { session }) })
  const browser = app.browser()
  await browser.get('/n')

  const { body, headers } = await browser.get('/body')

  t.regex(body, /^\{"session":\{"origin":"resumed","publicId":"[\w-]{43}"\}\}$/)
  t.is(headers.get('vary'), 'Cookie')
})

test("our cookie is appended to the app's own, whoever sets them and when", async (t) => {
  const app = await servedMiddlewares(
    t,
    async (ctx, next) => {
      ctx.cookies.set('before', '1')
      await next()
      ctx.cookies.set('after', '1')
    },
    session<Things>(),
    answering({ '/n': ({ data }, ctx) => (ctx.cookies.set('inside', '1', { signed: false }), (data.n = 1)) }),
  )
  const { setCookie } = await app.browser().get('/n')
  const names = setCookie.map((line) => line.split('=')[0])

  t.deepEqual(
    names.filter((name) => name?.endsWith('.sig') === false),
    ['before', 'inside', 'after', 'sid'],
  )
})

const secured: readonly [
  secure: boolean | 'auto' | undefined,
  proxy: boolean,
  forwarded: string | undefined,
  isSecure: boolean,
][] = [
  [undefined, false, undefined, false],
  ['auto', false, undefined, false],
  ['auto', true, 'https', true],
  ['auto', true, 'http', false],
  ['auto', false, 'https', false],
  [true, false, undefined, true],
  [false, true, 'https', false],
]

for (const [secure, proxy, forwarded, isSecure] of secured) {
  test(`secure ${String(secure)} ${proxy ? 'behind a trusted proxy' : 'without a proxy'} that says ${String(forwarded)} ${isSecure ? 'marks' : 'does not mark'} the cookie`, async (t) => {
    const app = await mounted(t, { cookie: secure === undefined ? {} : { secure }, logger: {} }, handlers)
    app.app.proxy = proxy
    const { setCookie } = await app
      .browser()
      .get('/n', forwarded === undefined ? {} : { headers: { 'x-forwarded-proto': forwarded } })

    t.is(/; Secure(;|$)/.test(setCookie[0] ?? ''), isSecure)
  })
}

test('every attribute is on the wire, and the cookie is cleared with the same', async (t) => {
  const cookie = {
    name: 'app',
    domain: '127.0.0.1',
    path: '/in',
    sameSite: 'strict',
    priority: 'low',
    partitioned: true,
    httpOnly: false,
  } as const
  const app = await mounted(
    t,
    { cookie, maxAge: '1h' },
    { '/in': ({ data }) => (data.n = 1), '/in/out': (session) => session.destroy() },
  )
  const { setCookie } = await app.browser().get('/in')
  const cleared = await app.browser().send('/in/out', `app=${valueIn(setCookie[0])}`)
  const attributes = 'Domain=127.0.0.1; Path=/in; SameSite=Strict; Priority=Low; Partitioned; Secure'

  t.is(setCookie[0]?.replace(/=[^;]*/, ''), `app; Max-Age=3600; ${attributes}`)
  t.deepEqual(cleared.setCookie, [`app=; Max-Age=0; ${attributes}`])
})

test('cookie may be a function of ctx, asked for each request', async (t) => {
  const app = await mounted(
    t,
    { cookie: (ctx) => ({ name: ctx.get('x-tenant') || 'sid', sameSite: 'strict' }) },
    handlers,
  )
  const { setCookie } = await app.browser().get('/n', { headers: { 'x-tenant': 'blue' } })
  const cookie = `blue=${valueIn(setCookie[0])}`

  t.regex(setCookie[0] ?? '', /^blue=.+; SameSite=Strict$/)
  t.is((await app.browser().send('/n', cookie, { headers: { 'x-tenant': 'blue' } })).body, '2')
  t.is((await app.browser().send('/origin', cookie)).body, 'new')
})

test('a function that gives attributes which browsers refuse answers 500 and says so', async (t) => {
  const app = await mounted(t, { cookie: () => ({ name: '__Host-sid', path: '/in' }) }, handlers)

  t.is((await app.browser().get('/n')).status, 500)
  t.like(app.errors[0], { code: 'ERR_INVALID_ARG_VALUE' })
  t.regex(
    (app.errors[0] as Error).message,
    /^options\.cookie\(ctx\) must have no domain and the path \/ with the name prefix __host-/,
  )
})

test('skip leaves a request without a session, without a cookie and without an entry on ctx.state', async (t) => {
  let keys: string[] = []
  const app = await servedMiddlewares(
    t,
    session<Things>({ skip: ({ path }) => path.startsWith('/assets'), skipHeader: { name: 'X-Probe', value: 'yes' } }),
    (ctx) => {
      keys = Object.keys(ctx.state)
      ctx.body = 'done'
    },
  )

  t.deepEqual((await app.browser().get('/assets/a.css')).setCookie, [])
  t.deepEqual(keys, [])
  await app.browser().get('/', { headers: { 'x-probe': 'yes' } })
  t.deepEqual(keys, [])
  await app.browser().get('/', { headers: { 'x-probe': 'no' } })
  t.deepEqual(keys, ['session'])
})

test('skip is taken by its truth, as JavaScript predicates are', async (t) => {
  // serve() compares with true: skip: (ctx) => ctx.path.match(/^\/assets/) skips nothing.
  const app = await mounted(
    t,
    { skip: (({ path }: { path: string }) => /^\/assets/.exec(path)) as unknown as () => boolean },
    { '/assets': (session) => (session as unknown) === undefined },
  )

  t.is((await app.browser().get('/assets')).body, 'true')
})

test('skip that throws is an error of the request', async (t) => {
  const app = await mounted(
    t,
    {
      skip: () => {
        throw new Error('mine')
      },
    },
    handlers,
  )

  t.is((await app.browser().get('/n')).status, 500)
  t.is((app.errors[0] as Error).message, 'mine')
})

test('stateKey says where the manager stands', async (t) => {
  const app = await mounted(
    t,
    { stateKey: 'user' },
    { '/': (session: Session, ctx) => [session.origin, 'session' in ctx.state] },
  )

  t.is((await app.browser().get('/')).body, '["new",false]')
})

test('lazy false gives every visitor a session at once, also where no handler looks', async (t) => {
  const app = await mounted(t, { lazy: false }, handlers)
  const browser = app.browser()

  t.is((await browser.get('/unseen')).setCookie.length, 1)
  t.is((await browser.get('/origin')).body, 'resumed')
  t.deepEqual(app.store.counted(), { create: 1, read: 1 })
})

test('lazy false makes no session for an OPTIONS request, as a preflight is, unless a handler keeps something', async (t) => {
  const app = await mounted(t, { lazy: false }, handlers)
  for (const headers of [{}, { origin: 'https://other.example', 'access-control-request-method': 'PUT' }]) {
    t.deepEqual((await app.browser().get('/unseen', { method: 'OPTIONS', headers })).setCookie, [])
  }
  t.deepEqual(app.store.counted(), {})

  t.is((await app.browser().get('/n', { method: 'OPTIONS' })).setCookie.length, 1)
  t.deepEqual(app.store.counted(), { create: 1 })
})

test('an update that changes nothing leaves a new session as it is', async (t) => {
  const looks = (session: Session): Promise<number> => session.update(({ n }) => n ?? 0)
  const path = { '/': looks, '/id': async (session: Session) => [session.id, await looks(session)][0] }
  const [lazy, eager] = [await mounted(t, {}, path), await mounted(t, { lazy: false }, path)]

  t.deepEqual((await lazy.browser().get('/')).setCookie, [])
  t.is((await eager.browser().get('/')).setCookie.length, 1)
  for (const app of [lazy, eager]) {
    const { body, setCookie } = await app.browser().get('/id')
    t.is(valueIn(setCookie[0]).split('.')[0], body)
  }
})

for (const [what, keep] of Object.entries<(session: SessionManager<Things>) => unknown>({
  data: (session) => (session.data.n = 1),
  'a flash message': (session) => session.flash('info', 'hello'),
  maxAge: (session) => (session.maxAge = 60_000),
  'reading id': (session) => session.id.length,
  'save()': (session) => session.save(),
  'signIn()': (session) => session.signIn('ada'),
})) {
  test(`a new session is kept for ${what}`, async (t) => {
    const app = await mounted(t, {}, { ...handlers, '/keep': (session) => (keep(session), undefined) })
    const browser = app.browser()
    t.is((await browser.get('/keep')).setCookie.length, 1)

    t.is((await browser.get('/origin')).body, 'resumed')
  })
}

test('data that is empty again when the handler returns keeps nothing', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': ({ data }) => {
        data.n = 1
        data.name = undefined as unknown as string
        delete data.n
      },
    },
  )

  t.deepEqual((await app.browser().get('/')).setCookie, [])
  t.deepEqual(app.store.counted(), {})
})

test('a streamed body is sent whole, and its session is committed before', async (t) => {
  const app = await mounted(
    t,
    {},
    { ...handlers, '/stream': ({ data }) => ((data.n = 10), Readable.from(['a', 'b', 'c'])) },
  )
  const browser = app.browser()
  const answer = await browser.get('/stream')

  t.is(answer.body, 'abc')
  t.is(answer.setCookie.length, 1)
  t.is((await browser.get('/n')).body, '11')
})

test('the commit does not wait for a stream that goes on', async (t) => {
  const stream = new PassThrough()
  stream.write('early, ')
  const app = await mounted(t, {}, { ...handlers, '/stream': ({ data }) => ((data.n = 10), stream) })
  const response = await fetch(`${app.url}/stream`)
  const cookie = (response.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''

  t.is((await app.browser().send('/n', cookie)).body, '11')
  stream.end('late')
  t.is(await response.text(), 'early, late')
})
