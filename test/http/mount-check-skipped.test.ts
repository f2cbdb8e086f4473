// A file and a process of its own, as mount-check.test.ts.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { served } from '../support/app.ts'
import { settle, warnings } from '../support/warnings.ts'

test.serial('a request that is skipped has come to session(), and may fail without a notice', async (t) => {
  const seen = warnings(t)
  const app = new Koa()
  app.use(session({ skip: () => true }))
  app.use((ctx) => ctx.throw(500))
  const running = await served(t, app)
  await running.browser().get('/')
  await settle()

  t.deepEqual(seen, [])
})
