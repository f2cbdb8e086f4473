// An app below koa-mount with a session of its own: ctx.session is the outer one again once it has returned. A callback that it does
// not wait for still finds its own.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import mount from 'koa-mount'
import { session } from '../../src/index.ts'
import { KEYS, servedMiddlewares, type Browser } from '../support/app.ts'
import { bagOf } from '../support/ecosystem.ts'

/** A browser of an app that shows its ctx.session; below /admin is another app, with a session of its own. */
async function browserOf(t: ExecutionContext, around: Koa.Middleware, within: Koa.Middleware): Promise<Browser> {
  const keys = [...KEYS]
  const inner = new Koa()
  inner.use(session({ keys, koaSession: true, stateKey: 'admin', cookie: { name: 'admin' } }))
  inner.use(within)
  const show: Koa.Middleware = (ctx) => void (ctx.body = JSON.stringify(bagOf(ctx)))
  const app = await servedMiddlewares(t, session({ keys, koaSession: true }), around, mount('/admin', inner), show)
  return app.browser()
}

test('ctx.session is that of the outer app again behind a mounted one that has a session of its own', async (t) => {
  const browser = await browserOf(
    t,
    async (ctx, next) => {
      try {
        await next()
      } finally {
        if (ctx.path !== '/') bagOf(ctx)['last'] = ctx.path
      }
    },
    (ctx) => {
      bagOf(ctx)['in'] = 'admin'
      if (ctx.path === '/fails') ctx.throw(400)
      ctx.body = 'done'
    },
  )

  for (const [path, status] of [
    ['/admin/x', 200],
    ['/admin/fails', 400],
  ] as const) {
    t.is((await browser.get(path)).status, status)
    t.is((await browser.get('/')).body, JSON.stringify({ last: path }))
  }
})

test('ctx.session is that of the outer app again behind a mounted one that fails', async (t) => {
  const browser = await browserOf(
    t,
    async (ctx, next) => {
      await next().catch(() => void (bagOf(ctx)['failed'] = ctx.path))
      ctx.body = JSON.stringify(bagOf(ctx))
    },
    () => {
      throw new Error('no database')
    },
  )

  t.is((await browser.get('/admin/x')).body, '{"failed":"/admin/x"}')
  t.is((await browser.get('/')).body, '{"failed":"/admin/x"}')
})

for (const path of ['/login', '/login/fails'])
  test(`a callback that a mounted app does not wait for writes to that app's session: ${path}`, async (t) => {
    const browser = await browserOf(
      t,
      (_ctx, next) => next(),
      (ctx) => {
        if (ctx.path.startsWith('/login')) bagOf(ctx).regenerate(() => void (bagOf(ctx)['user'] = 'ada'))
        if (ctx.path === '/login/fails') ctx.throw(400)
        ctx.body = JSON.stringify(bagOf(ctx))
      },
    )

    await browser.get(`/admin${path}`)

    t.is((await browser.get('/')).body, '{}')
    t.is((await browser.get('/admin')).body, '{"user":"ada"}')
  })
