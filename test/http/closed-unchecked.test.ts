// close() while a request holds a session that the schema has not seen filled.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { currentSession, session, type SessionManager } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'
import { turns } from '../support/stopped-clock.ts'

const filled = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value: object) =>
      Promise.resolve(Object.keys(value).length > 0 ? { value } : { issues: [{ message: 'empty' }] }),
  },
} as const

/** The status of a request that stores an empty session, and then closes the middleware. */
async function statusOf(t: ExecutionContext, use: (manager: SessionManager) => unknown): Promise<number> {
  const middleware = session({ keys: [...KEYS], schema: filled as never, logger: {} })
  const app = new Koa()
  app.silent = true
  app.use(middleware)
  app.use(async (ctx) => {
    await currentSession().save()
    await use(currentSession())
    await middleware.close()
    ctx.body = 'done'
  })
  return (await (await served(t, app)).browser().get('/')).status
}

test.serial(
  'a stored session that stays empty, and a close() meanwhile: the answer is 503, and no rejection is left',
  async (t) => {
    const left: unknown[] = []
    const hear = (error: unknown): void => void left.push(error)
    process.on('unhandledRejection', hear)
    t.teardown(() => process.off('unhandledRejection', hear))

    t.is(await statusOf(t, () => undefined), 503)
    await turns()
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
    t.is(await statusOf(t, end), 200)
  })
