// A logout during the overlap that comes when the response has closed: the end of a stream is the logout, or its browser has left.
import { Readable } from 'node:stream'
import test from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ada, goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { Barrier } from '../support/faults.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'
import { turns } from '../support/stopped-clock.ts'

for (const leaves of [false, true])
  test(`destroy() after a stream ${leaves ? 'whose browser left' : 'that ended'} ends the old session as well`, async (t) => {
    const old = new OldStore(ada())
    const gone = new Barrier()
    const app = new Koa().use(session<Visitor>({ keys: [...KEYS] }))
    app.use(takeOver<Visitor>({ from: fromKoaSession({ store: old }), until: Date.now() + DAY, overlap: '1d', goOn }))
    app.use(async (ctx, next) => {
      if (ctx.path !== '/stream') {
        await next()
        return
      }
      const own = currentSession()
      ctx.res.once('close', () => void own.destroy().then(() => gone.pass()))
      ctx.body = leaves ? new Readable({ read: () => undefined }) : Readable.from(['bye'])
      ctx.flushHeaders()
    })
    app.use(pages)
    const running = await served(t, app)
    const mine = ours(await running.browser().send('/', signed('k1')))
    const leaving = new AbortController()
    const options = { headers: { cookie: `${mine}; ${signed('k1')}` }, signal: leaving.signal }

    t.is((await fetch(`${running.url}/stream`, options)).status, 200)
    if (leaves) leaving.abort()
    await gone.arrived

    await turns()
    t.false(old.records.has('k1'), 'a process of before would still serve ada')
  })
