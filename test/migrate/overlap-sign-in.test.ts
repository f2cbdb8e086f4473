// During an overlap, an old cookie that somebody else had before a login must not open the session of who signs in.
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { after, goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const visitor = (): Record<string, unknown> => ({ cart: ['book'], _expire: Date.now() + DAY, _maxAge: DAY })

for (const isFirst of [true, false])
  for (const isStored of [true, false]) {
    const when = isFirst ? 'in the request of the take-over' : 'in a later request'
    test(`an old cookie that was planted in a browser does not open the session of who signs in there, ${when}, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
      const old = new OldStore(['k1', visitor()])
      const planted = isStored ? signed('k1') : inCookie({ cart: ['book'] })
      const app = await after(t, fromKoaSession(isStored ? { store: old } : {}))
      const mine = isFirst ? '' : ours(await app.browser().send('/', planted))
      const login = await app.browser().send('/other', `${mine}; ${planted}`) // signIn('eve')
      t.is(login.body, 'eve {"cart":["book"]}')

      const attacker = await app.browser().send('/', planted)

      t.is(attacker.body, 'nobody {}')
      t.false(attacker.setCookie.some((line) => /^sid=[^;]/.test(line)))
      t.is((await app.browser().send('/', ours(login))).body, 'eve {"cart":["book"]}')
    })
  }

test('the same where data names the owner under a new id, as koa-passport does it', async (t) => {
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS], owner: ({ user }) => user }))
  app.use(
    takeOver<Visitor>({
      from: fromKoaSession({ store: new OldStore(['k1', visitor()]) }),
      until: Date.now() + DAY,
      overlap: '1d',
      goOn,
    }),
  )
  app.use(async (ctx, next) => {
    if (ctx.path !== '/login') {
      await next()
      return
    }
    const current = currentSession<Visitor>()
    await current.regenerate({ keep: false })
    current.data.user = 'eve'
    ctx.body = 'done'
  })
  app.use(pages)
  const running = await served(t, app)
  const mine = ours(await running.browser().send('/', signed('k1')))
  const login = await running.browser().send('/login', `${mine}; ${signed('k1')}`)

  t.is((await running.browser().send('/', signed('k1'))).body, 'nobody {}')
  t.is((await running.browser().send('/', ours(login))).body, 'eve {"user":"eve"}')
})
