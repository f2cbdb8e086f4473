// takeOver without the secret of the old cookies, or without their store: nobody is taken over, and nothing is taken away either.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { MemoryStore, session, type SessionManager, type SessionMiddleware } from '../../src/index.ts'
import {
  fromExpressSession,
  fromKoaSession,
  takeOver,
  type OldSessions,
  type TakeOverOptions,
} from '../../src/migrate.ts'
import { KEYS, served, type Browser, type Running } from '../support/app.ts'
import { goOn, pages, type Visitor } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const FORGOTTEN = 'another secret than the old one'

type Overlap = TakeOverOptions<Visitor>['overlap']

async function siteOf(
  t: ExecutionContext,
  from: OldSessions,
  {
    until = Date.now() + DAY,
    overlap = 0,
    store = new MemoryStore(),
  }: { until?: number; overlap?: Overlap; store?: MemoryStore } = {},
): Promise<Running> {
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS], store }))
  app.use(takeOver<Visitor>({ from, until, overlap, goOn }))
  app.use(pages)
  return served(t, app)
}

async function browserOf(t: ExecutionContext, from: OldSessions, until?: number): Promise<Browser> {
  return (await siteOf(t, from, { ...(until !== undefined && { until }) })).browser()
}

/** A browser that keeps the old cookies. */
async function withOld(running: Running, old: string): Promise<Browser> {
  const browser = running.browser()
  for (const pair of old.split('; ')) await browser.jar.setCookie(pair, running.url)
  return browser
}

test('where the old secret is forgotten, the old cookies stay, and their users go on once it is there', async (t) => {
  const old = inCookie({ user: 'ada' })
  const wrong = await browserOf(t, fromKoaSession({ keys: [FORGOTTEN] }))
  const { body, setCookie } = await wrong.send('/', old)
  t.regex(body, /^nobody/)
  t.deepEqual(setCookie, [])

  const right = await browserOf(t, fromKoaSession({ keys: [...KEYS] }))
  t.regex((await right.send('/', old)).body, /^ada/)
})

test('where the old store is forgotten, the old cookies stay, and their users go on once it is there', async (t) => {
  const store = new OldStore(['k1', { user: 'ada' }])
  const { body, setCookie } = await (await browserOf(t, fromKoaSession())).send('/', signed('k1'))
  t.regex(body, /^nobody/)
  t.deepEqual(setCookie, [])

  const right = await browserOf(t, fromKoaSession({ store }))
  t.regex((await right.send('/', signed('k1'))).body, /^ada/)
})

test('where the old secret of express-session is forgotten, the old cookies stay', async (t) => {
  const store = new OldStore()
  const from = fromExpressSession({ secret: FORGOTTEN, store })
  const { setCookie } = await (await browserOf(t, from)).send('/', 'connect.sid=s%3Aabc.def')

  t.deepEqual(setCookie, [])
})

test('after the last day they are cleared, whoever signed them', async (t) => {
  const browser = await browserOf(t, fromKoaSession({ keys: [FORGOTTEN] }), Date.now() - 1)
  const { setCookie } = await browser.send('/', inCookie({ user: 'ada' }))

  t.deepEqual(setCookie.map((line) => line.split('=')[0]).sort(), ['koa.sess', 'koa.sess.sig'])
})

for (const overlap of [0, '1h'] as const) {
  test(`where the old secret is forgotten, the old cookies stay beside a session of ours, overlap ${overlap}`, async (t) => {
    const wrong = await siteOf(t, fromKoaSession({ keys: [FORGOTTEN] }), { overlap })
    const browser = await withOld(wrong, inCookie({ user: 'ada' }))
    await browser.get('/count') // a visitor's session begins
    await browser.get('/')

    t.regex(await browser.cookie(), /koa\.sess=/)
  })
}

type Logout = (current: SessionManager<Visitor>, middleware: SessionMiddleware<Visitor>) => unknown

for (const overlap of [0, '1h'] as const)
  for (const [what, logout] of Object.entries<Logout>({
    'destroy()': (current) => current.destroy(),
    'destroyAll() of her sessions': (_current, middleware) => middleware.destroyAll('ada'),
    'destroy() of the middleware': (current, middleware) => middleware.destroy(current.publicId),
    'regenerate({ keep: false })': (current) => current.regenerate({ keep: false }),
  }))
    test(`where the old secret is forgotten, a logout is final also once it is there: ${what}, overlap ${overlap}`, async (t) => {
      const store = new MemoryStore()
      const old = new OldStore(['k1', { user: 'ada' }])
      const siteWith = async (from: OldSessions): Promise<Running> => {
        const app = new Koa()
        const middleware = session<Visitor>({ keys: [...KEYS], store, logger: {} })
        app.use(middleware)
        app.use(takeOver<Visitor>({ from, until: Date.now() + DAY, overlap, goOn }))
        app.use(async (ctx) => {
          const current = ctx.state.session as SessionManager<Visitor>
          if (ctx.path === '/in') await current.signIn('ada')
          if (ctx.path === '/out') await logout(current, middleware)
          ctx.body = ctx.path === '/out' ? 'done' : (current.owner ?? 'nobody')
        })
        return served(t, app)
      }
      const wrong = await siteWith(fromKoaSession({ keys: [FORGOTTEN], store: old }))
      const right = await siteWith(fromKoaSession({ keys: [...KEYS], store: old }))
      const browser = wrong.browser()
      for (const pair of signed('k1').split('; ')) await browser.jar.setCookie(pair, wrong.url)
      t.is((await browser.get('/in')).body, 'ada')
      t.is((await browser.get('/out')).body, 'done')
      // The browser is closed, and our cookie, which lives as long as it runs, is gone.
      const kept = (await browser.cookie())
        .split('; ')
        .filter((pair) => !pair.startsWith('sid='))
        .join('; ')

      t.is((await right.browser().send('/', kept || 'x=y')).body, 'nobody')
    })
