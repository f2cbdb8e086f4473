// With options.owner an owner in data is a sign-in: it begins a new session also where the browser skipped its refresh.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { Context } from 'koa'
import type { SessionManager, SessionMiddleware } from '../../src/index.ts'
import { mountedSession } from '../../src/middleware.ts'
import type { Answer } from '../support/app.ts'
import { MINUTE, registeredSite } from '../support/bound-site.ts'
import { bagOf, visitorOf } from '../support/ecosystem.ts'

interface Account {
  user?: string
  text?: string
}

type Manager = SessionManager<Account>

/** The answer to a browser that is bound to its session and skipped its refresh. */
async function skipped(
  t: ExecutionContext,
  handle: (manager: Manager, ctx: Context) => unknown,
): Promise<{ answer: Answer; middleware: SessionMiddleware<Account, string> }> {
  const options = { owner: ({ user }: Account) => user, koaSession: true }
  const { device, clock, middleware } = await registeredSite<Account>(t, options, async (manager, ctx) => {
    if (ctx.path === '/in') manager.data.user = 'ada'
    else await handle(manager, ctx)
    return { origin: manager.origin, user: manager.data.user }
  })
  clock.now += 11 * MINUTE
  return { answer: await device.get('/', { 'secure-session-skipped': 'unreachable' }), middleware }
}

for (const [way, signIn] of Object.entries<(manager: Manager, ctx: Context) => unknown>({
  'the commit': ({ data }) => void (data.user = 'ada'),
  'regenerate()': async (manager) => {
    manager.data.user = 'ada'
    await manager.regenerate()
  },
  'regenerate() with a list': async (manager) => {
    manager.data.user = 'ada'
    await manager.regenerate({ keep: ['user'] })
  },
  'regenerate(callback), as koa-passport does': async (_manager, ctx) => {
    bagOf(ctx)['text'] = 'of before'
    await promisify((callback: (error: unknown) => void) => bagOf(ctx).regenerate(callback))()
    bagOf(ctx)['user'] = 'ada'
    await promisify((callback: (error: unknown) => void) => bagOf(ctx).save(callback))()
  },
  'regenerate(callback) and the commit': async (_manager, ctx) => {
    await promisify((callback: (error: unknown) => void) => bagOf(ctx).regenerate(callback))()
    bagOf(ctx)['user'] = 'ada'
  },
}))
  test.serial(`with the owner option a browser that skipped its refresh can sign in, too: ${way}`, async (t) => {
    const { answer, middleware } = await skipped(t, signIn)

    t.is(answer.status, 200)
    t.is((await middleware.list('ada')).length, 2)
  })

for (const [way, change] of Object.entries<(manager: Manager, ctx: Context) => unknown>({
  'regenerate() without an owner': async (manager) => {
    manager.data.text = 'no owner'
    await manager.regenerate()
  },
  'regenerate() that keeps no owner': async (manager) => {
    manager.data.user = 'ada'
    await manager.regenerate({ keep: false })
  },
  'regenerate(callback) without an owner after it': async (_manager, ctx) => {
    await promisify((callback: (error: unknown) => void) => bagOf(ctx).regenerate(callback))()
  },
}))
  test.serial(`with the owner option a browser that skipped its refresh gets 401 for ${way}`, async (t) => {
    const { answer, middleware } = await skipped(t, change)

    t.is(answer.status, 401)
    t.deepEqual(answer.setCookie, [])
    t.is((await middleware.list('ada')).length, 1)
  })

test.serial('after a sign-in by data that failed, a browser that skipped its refresh keeps its cookies', async (t) => {
  const { answer, middleware } = await skipped(t, async (manager) => {
    Object.assign(manager.data, { user: 'ada', text: 'x'.repeat(70_000) })
    await t.throwsAsync(manager.save(), { code: 'ERR_SESSION_TOO_LARGE' })
    manager.data.text = 'no owner'
  })

  t.is(answer.status, 401)
  t.deepEqual(answer.setCookie, [])
  t.is((await middleware.list('ada')).length, 1)
})

test.serial(
  'a logout after regenerate(callback) clears the cookies of a browser that skipped its refresh',
  async (t) => {
    const { answer, middleware } = await skipped(t, async (_manager, ctx) => {
      await promisify((callback: (error: unknown) => void) => bagOf(ctx).regenerate(callback))()
      visitorOf(ctx).session = null
    })

    t.is(answer.status, 200)
    t.deepEqual(answer.setCookie.filter((cookie) => cookie.includes('Max-Age=0')).length, 2)
    t.is((await middleware.list('ada')).length, 1)
  },
)

test.serial(
  'the signal of a sign-in by data in a browser that skipped its refresh is watched until the response is over',
  async (t) => {
    const { answer, middleware } = await skipped(t, (manager) => {
      t.false(manager.signal.aborted)
      manager.data.user = 'ada'
    })
    const { watches } = mountedSession(middleware).core
    for (let tries = 0; tries < 1000 && watches.isWatching; tries++) await nextTurn()

    t.is(answer.status, 200)
    t.false(watches.isWatching)
  },
)
