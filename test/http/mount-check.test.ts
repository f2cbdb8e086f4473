// A file of its own, since AVA gives it a process of its own: whether a request has come is remembered for all of it. What is
// said when none has is in remedies.test.ts.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { settle, warnings } from '../support/warnings.ts'

test.serial('once a request has come to a session, a failure before it is no news', async (t) => {
  const seen = warnings(t)
  const app = new Koa()
  app.use((ctx, next) => (ctx.path === '/fail' ? ctx.throw(500) : next()))
  app.use(session())
  const running = await served(t, app)
  await running.browser().get('/')
  await running.browser().get('/fail')
  await settle()

  t.deepEqual(seen, [])
})
