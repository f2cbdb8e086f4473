// close() while a request holds a session that the schema has not seen filled.
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import Koa from 'koa'
import { currentSession, session, type SessionManager } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'

test.serial(
  'a stored session that stays empty, and a close() meanwhile: the answer is 503, and no rejection is left',
  async (t) => {
    const left: unknown[] = []
    const hear = (error: unknown): void => void left.push(error)
    process.on('unhandledRejection', hear)
    t.teardown(() => process.off('unhandledRejection', hear))
    const schema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: object) =>
          Promise.resolve(Object.keys(value).length > 0 ? { value } : { issues: [{ message: 'empty' }] }),
      },
    } as const
    const middleware = session({ keys: [...KEYS], schema: schema as never, logger: {} })
    const app = new Koa()
    app.silent = true
    app.use(middleware)
    app.use(async (ctx) => {
      await currentSession().save()
      await middleware.close()
      ctx.body = 'done'
    })
    const running = await served(t, app)

    const { status } = await running.browser().get('/')
    await sleep(50)

    t.is(status, 503)
    t.deepEqual(left, [])
  },
)

for (const [what, end] of [
  ['ended', (manager: SessionManager) => manager.destroy()],
  [
    'filled',
    async (manager: SessionManager) => {
      Object.assign(manager.data, { n: 1 })
      await manager.save()
    },
  ],
] as const)
  test(`a session that was stored empty, then ${what}, leaves nothing to a close() after that`, async (t) => {
    const schema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: object) => (Object.keys(value).length > 0 ? { value } : { issues: [{ message: 'empty' }] }),
      },
    } as const
    const middleware = session({ keys: [...KEYS], schema: schema as never, logger: {} })
    const app = new Koa()
    app.silent = true
    app.use(middleware)
    app.use(async (ctx) => {
      await currentSession().save()
      await end(currentSession())
      await middleware.close()
      ctx.body = 'done'
    })
    const running = await served(t, app)

    t.is((await running.browser().get('/')).status, 200)
  })
