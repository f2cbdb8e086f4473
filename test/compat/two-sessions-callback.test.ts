// A callback that a mounted app with a session of its own does not wait for still finds that session as ctx.session.
import test from 'ava'
import Koa from 'koa'
import mount from 'koa-mount'
import { session } from '../../src/index.ts'
import { KEYS, servedMiddlewares } from '../support/app.ts'
import { bagOf } from '../support/ecosystem.ts'

for (const path of ['/login', '/login/fails'])
  test(`a callback that a mounted app does not wait for writes to that app's session: ${path}`, async (t) => {
    const keys = [...KEYS]
    const inner = new Koa()
    inner.use(session({ keys, koaSession: true, stateKey: 'admin', cookie: { name: 'admin' } }))
    inner.use((ctx) => {
      if (ctx.path.startsWith('/login')) bagOf(ctx).regenerate(() => void (bagOf(ctx)['user'] = 'ada'))
      if (ctx.path === '/login/fails') ctx.throw(400)
      ctx.body = JSON.stringify(bagOf(ctx))
    })
    const browser = (
      await servedMiddlewares(
        t,
        session({ keys, koaSession: true }),
        mount('/admin', inner),
        (ctx) => void (ctx.body = JSON.stringify(bagOf(ctx))),
      )
    ).browser()

    await browser.get(`/admin${path}`)

    t.is((await browser.get('/')).body, '{}')
    t.is((await browser.get('/admin')).body, '{"user":"ada"}')
  })

test('ctx.session is that of the outer app again behind a mounted one that fails', async (t) => {
  const keys = [...KEYS]
  const inner = new Koa()
  inner.use(session({ keys, koaSession: true, stateKey: 'admin', cookie: { name: 'admin' } }))
  inner.use(() => {
    throw new Error('no database')
  })
  const browser = (
    await servedMiddlewares(
      t,
      session({ keys, koaSession: true }),
      async (ctx, next) => {
        await next().catch(() => void (bagOf(ctx)['failed'] = ctx.path))
        ctx.body = JSON.stringify(bagOf(ctx))
      },
      mount('/admin', inner),
    )
  ).browser()

  t.is((await browser.get('/admin/x')).body, '{"failed":"/admin/x"}')
  t.is((await browser.get('/')).body, '{"failed":"/admin/x"}')
})
