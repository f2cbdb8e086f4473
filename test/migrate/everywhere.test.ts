// "Log out everywhere" in the user's own request, by a method of the middleware, during the overlap.
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ada, goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'

test('destroyAll in a request of a taken-over session ends the old session as well', async (t) => {
  const old = new OldStore(ada())
  const sessions = session<Visitor>({ keys: [...KEYS] })
  const app = new Koa().use(sessions)
  app.use(takeOver<Visitor>({ from: fromKoaSession({ store: old }), until: Date.now() + DAY, overlap: '1d', goOn }))
  app.use(async (ctx, next) => {
    if (ctx.path !== '/everywhere') {
      await next()
      return
    }
    ctx.body = String(await sessions.destroyAll(currentSession().owner ?? ''))
  })
  app.use(pages)
  const running = await served(t, app)
  const mine = ours(await running.browser().send('/', signed('k1')))

  t.is((await running.browser().send('/everywhere', `${mine}; ${signed('k1')}`)).body, '1')

  t.false(old.records.has('k1'), 'a process of before would still serve ada')
})
