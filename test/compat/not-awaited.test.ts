// Code for koa-session calls ctx.session.save() and regenerate() without await (Egg's guide, "extending the session"). There they
// fail only with the store.
import test from 'ava'
import { turns } from '../support/stopped-clock.ts'
import { answering, bagOf, ecosystem, visitorOf } from '../support/ecosystem.ts'

for (const [what, call] of [
  ['save()', (bag) => bag.save()],
  ['regenerate()', (bag) => bag.regenerate()],
  ['manuallyCommit()', (bag) => bag.manuallyCommit()],
] as const satisfies [string, (bag: ReturnType<typeof bagOf>) => Promise<void>][])
  test.serial(`a logout beside a request whose ${what} nobody awaits does not end the process`, async (t) => {
    const unhandled: unknown[] = []
    const hear = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', hear)
    t.teardown(() => process.off('unhandledRejection', hear))
    let arrive: () => void = () => undefined
    let goOn: () => void = () => undefined
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const goes = new Promise<void>((resolve) => (goOn = resolve))
    const app = await ecosystem(
      t,
      {},
      answering({
        '/login': (ctx) => void (bagOf(ctx)['user'] = 'ada'),
        '/logout': (ctx) => void (visitorOf(ctx).session = null),
        '/slow': async (ctx) => {
          arrive()
          await goes
          bagOf(ctx)['seen'] = 1
          void call(bagOf(ctx))
        },
      }),
    )
    const browser = app.browser()
    await browser.get('/login')
    const slow = browser.get('/slow')
    await arrived
    await browser.get('/logout')
    goOn()
    await slow
    await turns(5)

    t.deepEqual(unhandled, [])
  })
