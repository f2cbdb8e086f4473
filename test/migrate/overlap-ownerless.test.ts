// During an overlap, in an app whose users the middleware does not know (koa-passport without the option `owner`): a login and a
// logout count for the old session all the same.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import koaPassport from 'koa-passport'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served, type Running } from '../support/app.ts'
import { ours } from '../support/deployed.ts'
import { bagOf, visitorOf } from '../support/ecosystem.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

async function site(t: ExecutionContext, store: OldStore | undefined, now = Date.now): Promise<Running> {
  const passport = new koaPassport.KoaPassport()
  passport.serializeUser((user, done) => done(null, user.id))
  passport.deserializeUser((id, done) => done(null, { id }))
  const app = new Koa()
  app.use(session<Record<string, unknown>>({ keys: [...KEYS], koaSession: true, logger: {}, now }))
  app.use(
    takeOver<Record<string, unknown>>({
      from: fromKoaSession({ store }),
      until: Date.now() + 30 * DAY,
      overlap: '1d',
      now,
      goOn: ({ data }, old) => void Object.assign(data, old),
    }),
  )
  app.use(passport.initialize()).use(passport.session())
  app.use(async (ctx) => {
    if (ctx.path === '/login') await visitorOf(ctx).login({ id: 'eve' })
    if (ctx.path === '/login/left') void visitorOf(ctx).login({ id: 'eve' })
    if (ctx.path === '/logout') await visitorOf(ctx).logout()
    if (ctx.path === '/logout/left') void visitorOf(ctx).logout()
    if (ctx.path === '/by-hand') {
      bagOf(ctx)['passport'] = { user: 'eve' }
      await bagOf(ctx).regenerate()
    }
    ctx.body = (ctx.state as { user?: { id: string } }).user?.id ?? 'nobody'
  })
  return served(t, app)
}

const ends = (): object => ({ _expire: Date.now() + DAY, _maxAge: DAY })

for (const path of ['/login', '/login/left', '/by-hand'])
  for (const isStored of [true, false])
    test(`an old cookie that was planted does not open the session of who signs in there: ${path}, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
      const store = new OldStore(['k1', { cart: ['book'], ...ends() }])
      let late = 0
      const app = await site(t, isStored ? store : undefined, () => Date.now() + late)
      const planted = isStored ? signed('k1') : inCookie({ cart: ['book'] })
      const mine = ours(await app.browser().send('/', planted))
      const login = await app.browser().send(path, `${mine}; ${planted}`)

      t.is((await app.browser().send('/', planted)).body, 'nobody')
      t.is((await app.browser().send('/', `${ours(login)}; ${planted}`)).body, 'eve')
      late = 120_000
      t.is((await app.browser().send('/', planted)).body, 'nobody')
    })

for (const path of ['/logout', '/logout/left'])
  test(`a logout is one at old processes as well: ${path}`, async (t) => {
    const store = new OldStore(['k1', { passport: { user: 'ada' }, ...ends() }])
    const app = await site(t, store)
    const mine = ours(await app.browser().send('/', signed('k1')))
    t.is((await app.browser().send('/', `${mine}; ${signed('k1')}`)).body, 'ada')
    await app.browser().send(path, `${mine}; ${signed('k1')}`)

    t.false(store.records.has('k1'))
  })
