// An app below koa-mount with a session of its own: ctx.session is the outer one again once it has returned.
import test from 'ava'
import Koa from 'koa'
import mount from 'koa-mount'
import { session } from '../../src/index.ts'
import { KEYS, servedMiddlewares } from '../support/app.ts'
import { bagOf } from '../support/ecosystem.ts'

test('ctx.session is that of the outer app again behind a mounted one that has a session of its own', async (t) => {
  const keys = [...KEYS]
  const inner = new Koa()
  inner.use(session({ keys, koaSession: true, stateKey: 'admin', cookie: { name: 'admin' } }))
  inner.use((ctx) => {
    bagOf(ctx)['in'] = 'admin'
    if (ctx.path === '/fails') ctx.throw(400)
    ctx.body = 'done'
  })
  const browser = (
    await servedMiddlewares(
      t,
      session({ keys, koaSession: true }),
      async (ctx, next) => {
        try {
          await next()
        } finally {
          if (ctx.path !== '/') bagOf(ctx)['last'] = ctx.path
        }
      },
      mount('/admin', inner),
      (ctx) => void (ctx.body = JSON.stringify(bagOf(ctx))),
    )
  ).browser()

  for (const [path, status] of [
    ['/admin/x', 200],
    ['/admin/fails', 400],
  ] as const) {
    t.is((await browser.get(path)).status, status)
    t.is((await browser.get('/')).body, JSON.stringify({ last: path }))
  }
})
