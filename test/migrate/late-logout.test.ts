// A logout during the overlap that comes when the handlers have returned: from a stream, or when the response has closed.
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { currentSession, session, type SessionManager } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served } from '../support/app.ts'
import { ada, goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { Barrier } from '../support/faults.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'
import { turns } from '../support/stopped-clock.ts'

type Stream = (ctx: Context, own: SessionManager) => void

/** The old store, and a request of `/stream` with the session that was taken over from it. */
async function taken(t: ExecutionContext, stream: Stream, signal?: AbortSignal): Promise<[OldStore, Response]> {
  const old = new OldStore(ada())
  const app = new Koa().use(session<Visitor>({ keys: [...KEYS] }))
  app.use(takeOver<Visitor>({ from: fromKoaSession({ store: old }), until: Date.now() + DAY, overlap: '1d', goOn }))
  app.use(async (ctx, next) => {
    if (ctx.path === '/stream') stream(ctx, currentSession())
    else await next()
  })
  app.use(pages)
  const running = await served(t, app)
  const mine = ours(await running.browser().send('/', signed('k1')))
  const headers = { cookie: `${mine}; ${signed('k1')}` }
  return [old, await fetch(`${running.url}/stream`, { headers, ...(signal && { signal }) })]
}

test('destroy() in a stream of a taken-over session ends the old session as well', async (t) => {
  const [old, response] = await taken(t, (ctx, own) => {
    ctx.body = Readable.from(
      (async function* () {
        yield 'signed out'
        await own.destroy()
      })(),
    )
  })

  t.is(await response.text(), 'signed out')

  await turns()
  t.false(old.records.has('k1'), 'a process of before would still serve ada')
})

for (const leaves of [false, true])
  test(`destroy() after a stream ${leaves ? 'whose browser left' : 'that ended'} ends the old session as well`, async (t) => {
    const gone = new Barrier()
    const leaving = new AbortController()
    const stream: Stream = (ctx, own) => {
      ctx.res.once('close', () => void own.destroy().then(() => gone.pass()))
      ctx.body = leaves ? new Readable({ read: () => undefined }) : Readable.from(['bye'])
      ctx.flushHeaders()
    }
    const [old, response] = await taken(t, stream, leaving.signal)

    t.is(response.status, 200)
    if (leaves) leaving.abort()
    await gone.arrived

    await turns()
    t.false(old.records.has('k1'), 'a process of before would still serve ada')
  })
