// Apps of koa-session tell by ctx.session.isNew whether anybody is signed in: a session that goes on is not new to them.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ours } from '../support/deployed.ts'
import { bagOf } from '../support/ecosystem.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

for (const overlap of [0, '1h'] as const)
  for (const isStored of [true, false])
    test(`with overlap ${overlap}, a session is not new in the request that takes it over, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
      const store = new OldStore(['k1', { user: 'ada', _expire: Date.now() + DAY, _maxAge: DAY }])
      const app = new Koa()
      app.use(session<Record<string, unknown>>({ keys: [...KEYS], koaSession: true }))
      app.use(
        takeOver<Record<string, unknown>>({
          from: fromKoaSession(isStored ? { store } : {}),
          until: Date.now() + DAY,
          overlap,
          goOn: ({ data }, old) => void Object.assign(data, old),
        }),
      )
      app.use((ctx) => void (ctx.body = bagOf(ctx).isNew ? 'sign in, please' : bagOf(ctx)['user']))
      const browser = (await served(t, app)).browser()
      const cookie = isStored ? signed('k1') : inCookie({ user: 'ada' })
      const first = await browser.send('/', cookie)

      t.is(first.body, 'ada')
      t.is((await browser.send('/', `${ours(first)}; ${cookie}`)).body, 'ada')
      t.is((await browser.send('/', '')).body, 'sign in, please')
    })
