// Claims that no test held until a fault was put into the core and nobody noticed.
import test from 'ava'
import Koa from 'koa'
import { session, tryCurrentSession } from '../../src/index.ts'
import { served } from '../support/app.ts'

test('the session of a request is current below its middleware alone, not in the middleware around it', async (t) => {
  const app = new Koa()
  const outside: unknown[] = []
  const inside: unknown[] = []
  app.use(async (_ctx, next) => {
    outside.push(tryCurrentSession())
    const rest = next()
    outside.push(tryCurrentSession())
    await rest
    outside.push(tryCurrentSession())
  })
  app.use(session())
  app.use((ctx) => {
    inside.push(tryCurrentSession())
    ctx.body = 'done'
  })
  const running = await served(t, app)

  const browser = running.browser()
  await browser.get('/')
  await browser.get('/')

  t.deepEqual(
    outside,
    Array.from({ length: 6 }, () => undefined),
  )
  t.is(new Set(inside).size, 2)
  t.false(inside.includes(undefined))
})
