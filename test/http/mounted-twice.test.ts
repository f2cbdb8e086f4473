import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, type SessionManager, type SessionOptions } from '../../src/index.ts'
import { served, type Running } from '../support/app.ts'
import type { Session, Things } from '../support/mounted.ts'

/** An app with one middleware below the other. */
async function nested(
  t: ExecutionContext,
  outer: SessionOptions<Things>,
  inner: SessionOptions<Things>,
  handler: Koa.Middleware,
): Promise<Running> {
  const app = new Koa()
  app.use(session<Things>(outer)).use(session<Things>(inner)).use(handler)
  const running = await served(t, app)
  return running
}

const both = (state: object): Record<'session' | 'admin', Session> => state as Record<'session' | 'admin', Session>

const clashes: readonly [options: SessionOptions<Things>, what: string][] = [
  [{}, 'the same stateKey "session"'],
  [{ cookie: { name: 'admin' } }, 'the same stateKey "session"'],
  [{ stateKey: 'admin' }, 'the same cookie name "sid"'],
  [{ stateKey: 'admin', cookie: () => ({ name: 'sid' }) }, 'the same cookie name "sid"'],
]

for (const [options, what] of clashes) {
  test(`two middlewares with ${what} in one request are refused: ${JSON.stringify(Object.keys(options))}`, async (t) => {
    const app = await nested(t, {}, options, (ctx) => (ctx.body = 'done'))

    t.is((await app.browser().get('/')).status, 500)
    t.like(app.errors[0], { code: 'ERR_SESSION_ALREADY_MOUNTED' })
    t.true(
      (app.errors[0] as Error).message.includes(
        `with ${what}: remove one, or give it another stateKey and another cookie.name`,
      ),
    )
  })
}

test('one middleware that is used twice is refused', async (t) => {
  const app = new Koa()
  const middleware = session<Things>()
  app.use(middleware).use(middleware)
  const running = await served(t, app)

  t.is((await running.browser().get('/')).status, 500)
  t.like(running.errors[0], { code: 'ERR_SESSION_ALREADY_MOUNTED' })
})

test('a request that a handler hands to the same app once more keeps its session, and both chains store into it', async (t) => {
  const app = new Koa()
  app.use(session<Things>())
  app.use(async (ctx) => {
    const { data } = ctx.state.session as SessionManager<Things>
    data.n = (data.n ?? 0) + 1
    if (ctx.path === '/forward') {
      ctx.respond = false
      ctx.req.url = '/'
      await app.callback()(ctx.req, ctx.res)
      data.name = 'outer'
    } else ctx.body = data
  })
  const running = await served(t, app)
  const browser = running.browser()

  t.is((await browser.get('/forward')).body, '{"n":2}')
  const { body } = await browser.get('/')
  t.like(JSON.parse(body), { n: 3 })
  t.deepEqual(running.errors, [])
})

test('a session set to null in a request that went through the app twice ends, its handler having answered with an error', async (t) => {
  const app = new Koa()
  const middleware = session<Things>({ koaSession: true })
  app.use(middleware)
  app.use(async (ctx) => {
    if (ctx.path === '/in') await (ctx.state.session as SessionManager<Things>).signIn('ada')
    else if (ctx.path === '/forward') {
      ctx.respond = false
      ctx.req.url = '/out'
      await app.callback()(ctx.req, ctx.res)
      return
    } else {
      Object.assign(ctx, { session: null })
      ctx.throw(401)
    }
    ctx.body = 'done'
  })
  const running = await served(t, app)
  const browser = running.browser()
  await browser.get('/in')

  t.is((await browser.get('/forward')).status, 401)
  t.deepEqual(await middleware.list('ada'), [])
  t.is(await browser.cookie(), '')
})

test('the third of three is compared with both', async (t) => {
  const app = new Koa()
  app
    .use(session<Things>())
    .use(session<Things>({ stateKey: 'admin', cookie: { name: 'admin' } }))
    .use(session<Things>({ stateKey: 'third', cookie: { name: 'sid' } }))
  const running = await served(t, app)

  t.is((await running.browser().get('/')).status, 500)
})

test('two with different state keys and cookie names keep two sessions, each with its cookie', async (t) => {
  const app = await nested(t, {}, { stateKey: 'admin', cookie: { name: 'admin' }, maxAge: '1h' }, (ctx) => {
    const { session, admin } = both(ctx.state)
    session.data.n = (session.data.n ?? 0) + 1
    admin.data.n = (admin.data.n ?? 10) + 1
    ctx.body = [session.data.n, admin.data.n, session.publicId === admin.publicId]
  })
  const browser = app.browser()
  const first = await browser.get('/')

  t.deepEqual(first.setCookie.map((line) => line.split('=')[0]).sort(), ['admin', 'sid'])
  t.is(first.headers.get('vary'), 'Cookie')
  t.is((await browser.get('/')).body, '[2,12,false]')
})

test('an error of 403 commits both, one of 500 neither', async (t) => {
  for (const [status, count] of [
    [403, 2],
    [500, 0],
  ] as const) {
    const app = await nested(t, {}, { stateKey: 'admin', cookie: { name: 'admin' } }, (ctx) => {
      const { session, admin } = both(ctx.state)
      session.data.n = admin.data.n = 1
      ctx.throw(status)
    })

    t.is((await app.browser().get('/')).setCookie.length, count)
  }
})

test('both clear their own cookie', async (t) => {
  const app = await nested(t, {}, { stateKey: 'admin', cookie: { name: 'admin' } }, async (ctx) => {
    const { session, admin } = both(ctx.state)
    if (ctx.path === '/in') session.data.n = admin.data.n = 1
    else await Promise.all([session.destroy(), admin.destroy()])
    ctx.body = 'done'
  })
  const browser = app.browser()
  await browser.get('/in')
  await browser.get('/out')

  t.is(await browser.cookie(), '')
})
