// Without a store, during an overlap: what the real koa-session and koa-passport do to the cookie at an old process.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import koaPassport from 'koa-passport'
import koaSession from 'koa-session'
import { fromKoaSession } from '../../src/migrate.ts'
import { KEYS, served, type Running } from '../support/app.ts'
import { after } from '../support/deployed.ts'
import { visitorOf } from '../support/ecosystem.ts'

async function before(t: ExecutionContext): Promise<Running> {
  const passport = new koaPassport.KoaPassport()
  passport.serializeUser((user, done) => done(null, user.id))
  passport.deserializeUser((id, done) => done(null, { id }))
  const app = new Koa()
  app.keys = [...KEYS]
  app.use(koaSession({}, app) as Koa.Middleware)
  app.use(passport.initialize()).use(passport.session())
  app.use(async (ctx) => {
    const [, verb, id = ''] = ctx.path.split('/')
    if (verb === 'login') await visitorOf(ctx).login({ id })
    if (verb === 'logout') await visitorOf(ctx).logout()
    if (verb === 'null') visitorOf(ctx).session = null
    ctx.body = (ctx.state as { user?: { id: string } }).user?.id ?? 'nobody'
  })
  return served(t, app)
}

for (const [path, expected] of [
  ['/logout', 'nobody {}'],
  ['/null', 'nobody {}'],
  ['/null+/login/eve', 'eve {}'],
] as const)
  test(`a logout at an old process is one here: ${path}`, async (t) => {
    const old = await before(t)
    const app = await after(
      t,
      fromKoaSession(),
      {},
      {
        overlap: '1h',
        goOn: async (current, { passport }) => {
          const { user } = (passport ?? {}) as { user?: string }
          if (user !== undefined) await current.signIn(user)
        },
      },
    )
    const browser = old.browser()
    const jar = async (): Promise<string> => browser.cookie()
    const here = async (): Promise<string> => {
      const answer = await app.browser().send('/', await jar())
      for (const line of answer.setCookie) await browser.jar.setCookie(line, old.url + '/')
      return answer.body
    }
    await browser.get('/login/ada')
    t.is((await browser.get('/')).body, 'ada')
    t.is(await here(), 'ada {}')
    for (const one of path.split('+')) await browser.get(one)

    t.is(await here(), expected)
    t.is(await here(), expected)
  })
