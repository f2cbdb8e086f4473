// The life of a session in an app, over a store of any kind.
import type { ExecutionContext } from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import type { SessionStore } from '../../src/store.ts'
import { served } from './app.ts'

/** Checks that a session goes on from request to request, and ends. On a busy machine a store may be slow. */
export async function assertLives(t: ExecutionContext, store: SessionStore): Promise<void> {
  const app = new Koa()
  app.use(session({ store, logger: {}, storeTimeout: 30_000 }))
  app.use(async (ctx) => {
    const data = ctx.state.session.data as { n?: number }
    if (ctx.path === '/out') await ctx.state.session.destroy()
    else ctx.body = data.n = (data.n ?? 0) + 1
  })
  const running = await served(t, app)
  const browser = running.browser()

  t.is((await browser.get('/')).body, '1')
  t.is((await browser.get('/')).body, '2')
  const cookie = await browser.cookie()
  await browser.get('/out')
  t.is((await browser.send('/', cookie)).body, '1')
}
