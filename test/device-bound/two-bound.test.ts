// Two middlewares in one app, of which the inner one binds sessions: what a browser sends by itself passes the outer one.
import test from 'ava'
import Koa, { type Context } from 'koa'
import { session, type SessionManager } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'
import { boundSite, MINUTE } from '../support/bound-site.ts'
import { challengeIn, Device, refreshProof, registration, type Instructions } from '../support/device.ts'
import { settle, warnings } from '../support/warnings.ts'

const PATH = '/admin/.session/device'

test('a refresh of the inner session is no activity of the user in the outer one', async (t) => {
  const clock = { now: 1_800_000_000_000 }
  const options = { now: () => clock.now, sweepInterval: false, logger: {}, deviceBound: { path: PATH } } as const
  const outer = session({ ...options, deviceBound: false })
  const app = new Koa()
  app.keys = [...KEYS]
  app.proxy = true
  app.use(outer).use(session({ ...options, stateKey: 'admin', cookie: { name: 'admin' } }))
  app.use(async (ctx: Context) => {
    const state = ctx.state as Record<'session' | 'admin', SessionManager>
    if (ctx.path === '/in') await state.session.signIn('ada')
    if (ctx.path === '/admin/in') await state.admin.signIn('root')
    ctx.body = 'done'
  })
  const device = new Device((await served(t, app)).browser())
  await device.get('/in')
  const offer = /challenge="([^"]+)"/.exec(
    (await device.get('/admin/in')).headers.get('secure-session-registration') ?? '',
  )
  const proof = registration(device.pair, offer?.[1] ?? t.fail())
  const registered = await device.post(`${PATH}/register`, { 'secure-session-response': proof })
  t.is(registered.status, 200)
  const [before] = await outer.list('ada')
  clock.now += 30 * MINUTE

  device.id = (JSON.parse(registered.body) as Instructions).session_identifier
  const asked = await device.post(`${PATH}/refresh`, { 'sec-secure-session-id': device.id })
  const { challenge, id } = challengeIn(asked) ?? t.fail()
  const headers = { 'sec-secure-session-id': id, 'secure-session-response': refreshProof(device.pair, challenge) }
  t.is((await device.post(`${PATH}/refresh`, headers)).status, 200)

  const [after] = await outer.list('ada')
  t.is(after?.lastSeenAt, before?.lastSeenAt)
  t.is(after?.expiresAt, before?.expiresAt)
})

test.serial(
  'two middlewares with one path are worth a notice also where the outer one skips what the inner one serves',
  async (t) => {
    const seen = warnings(t)
    const isAdmin = (path: string): boolean => path.startsWith('/admin')
    const app = new Koa()
    app.use(session({ deviceBound: true, skip: ({ path }) => isAdmin(path) }))
    app.use(
      session({ deviceBound: true, skip: ({ path }) => !isAdmin(path), stateKey: 'admin', cookie: { name: 'admin' } }),
    )
    app.use((ctx) => void (ctx.body = 'done'))
    const browser = (await served(t, app)).browser()

    for (const path of ['/', '/admin', '/admin']) t.is((await browser.get(path)).status, 200)
    await settle()

    t.deepEqual(
      seen.map(({ code }) => code),
      ['KOA_FASTSESSION_DEVICE_BOUND_PATH'],
    )
  },
)

test.serial('two apps with one path are worth a notice where one serves the requests of the other', async (t) => {
  const seen = warnings(t)
  const inner = new Koa()
  inner.keys = [...KEYS]
  inner.use(session({ deviceBound: true, stateKey: 'admin', cookie: { name: 'admin' } }))
  inner.use((ctx) => void (ctx.body = 'done'))
  const app = new Koa()
  app.use(session({ deviceBound: true }))
  app.use((ctx) => {
    ctx.respond = false
    return inner.callback()(ctx.req, ctx.res)
  })

  t.is((await (await served(t, app)).browser().get('/')).status, 200)
  await settle()

  t.deepEqual(
    seen.map(({ code }) => code),
    ['KOA_FASTSESSION_DEVICE_BOUND_PATH'],
  )
})

test('a request that calls itself a refresh and asks for a page is a use of its session', async (t) => {
  const { clock, middleware, ...site } = await boundSite(t)
  const device = site.device()
  await device.get('/in')
  for (const path of ['/', '/?/refresh', '/add']) {
    clock.now += 30 * MINUTE

    await device.get(path, { 'sec-secure-session-id': 'x' })

    t.is((await middleware.list('ada'))[0]?.lastSeenAt, clock.now, path)
  }
})
