// A logout during the overlap that comes when the handlers have returned, from a stream.
import { Readable } from 'node:stream'
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ada, goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'
import { turns } from '../support/stopped-clock.ts'

test('destroy() in a stream of a taken-over session ends the old session as well', async (t) => {
  const old = new OldStore(ada())
  const app = new Koa().use(session<Visitor>({ keys: [...KEYS] }))
  app.use(takeOver<Visitor>({ from: fromKoaSession({ store: old }), until: Date.now() + DAY, overlap: '1d', goOn }))
  app.use(async (ctx, next) => {
    if (ctx.path !== '/stream') {
      await next()
      return
    }
    const own = currentSession()
    ctx.body = Readable.from(
      (async function* () {
        yield 'signed out'
        await own.destroy()
      })(),
    )
  })
  app.use(pages)
  const running = await served(t, app)
  const mine = ours(await running.browser().send('/', signed('k1')))

  t.is((await running.browser().send('/stream', `${mine}; ${signed('k1')}`)).body, 'signed out')

  await turns()
  t.false(old.records.has('k1'), 'a process of before would still serve ada')
})
