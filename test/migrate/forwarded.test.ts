// A request that a handler forwards to its own app (an internal redirect) passes takeOver twice.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { currentSession, session } from '../../src/index.ts'
import { fromKoaSession, takeOver } from '../../src/migrate.ts'
import { KEYS, served, type Running } from '../support/app.ts'
import { ada, goOn, ours, pages, type Visitor } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'

/** An app whose paths below /forward change the session, and forward the request to the rest of the path. */
function site(t: ExecutionContext, overlap: 0 | '1d'): Promise<Running> {
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS] }))
  app.use(
    takeOver<Visitor>({ from: fromKoaSession({ store: new OldStore(ada()) }), until: Date.now() + DAY, overlap, goOn }),
  )
  app.use(async (ctx, next) => {
    const [, verb, inner] = /^\/(forward|renewed)(\/.*)$/.exec(ctx.path) ?? []
    if (inner === undefined) {
      await next()
      return
    }
    const current = currentSession<Visitor>()
    if (verb === 'renewed') await current.regenerate()
    current.data.n = 1
    ctx.respond = false
    ctx.req.url = inner
    return ctx.app.callback()(ctx.req, ctx.res)
  })
  app.use(pages)
  return served(t, app)
}

for (const overlap of [0, '1d'] as const) {
  test(`with overlap ${overlap}, a change before the request of a take-over is forwarded is not lost`, async (t) => {
    const app = await site(t, overlap)
    const answer = await app.browser().send('/forward/', signed('k1'))

    t.is(answer.body, 'ada {"cart":["book"],"n":1}')
    t.is((await app.browser().send('/', ours(answer))).body, 'ada {"cart":["book"],"n":1}')
  })

  test(`with overlap ${overlap}, a new id before the request of a take-over is forwarded is no end of the session`, async (t) => {
    const app = await site(t, overlap)
    const answer = await app.browser().send('/renewed/count', signed('k1'))

    t.is(answer.status, 200)
    t.is(answer.body, 'ada {"cart":["book"],"n":2}')
    t.is((await app.browser().send('/', ours(answer))).body, 'ada {"cart":["book"],"n":2}')
  })
}

for (const overlap of [0, '1d'] as const)
  for (const isFirst of [true, false])
    test(`with overlap ${overlap}, a request that is forwarded after a logout is served, ${isFirst ? 'in the request of the take-over' : 'later'}`, async (t) => {
      const old = new OldStore(ada())
      const app = new Koa()
      app.use(session<Visitor>({ keys: [...KEYS] }))
      app.use(takeOver<Visitor>({ from: fromKoaSession({ store: old }), until: Date.now() + DAY, overlap, goOn }))
      app.use(async (ctx, next) => {
        if (ctx.path === '/bye') {
          ctx.body = 'bye'
          return
        }
        if (ctx.path !== '/logout') {
          await next()
          return
        }
        await currentSession<Visitor>().destroy()
        ctx.respond = false
        ctx.req.url = '/bye'
        return ctx.app.callback()(ctx.req, ctx.res)
      })
      app.use(pages)
      const running = await served(t, app)
      const mine = isFirst ? '' : ours(await running.browser().send('/', signed('k1')))
      const answer = await running.browser().send('/logout', `${mine}; ${signed('k1')}`)

      t.deepEqual([answer.status, answer.body], [200, 'bye'])
      t.false(overlap === '1d' && old.records.has('k1'))
    })
