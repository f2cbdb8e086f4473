// Test environments replace timers: docs/troubleshooting.md says that Jest's fake timers work, and they may be numbers (jsdom).
import { get } from 'node:http'
import { mock } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { currentSession, MemoryStore, session, type SessionOptions } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS, served } from '../support/app.ts'

const OPTIONS: SessionOptions = { keys: [...KEYS], sweepInterval: false, logger: {} }

/** `jest.useFakeTimers()` and `vi.useFakeTimers()` do so for all timers. */
function faked(t: ExecutionContext): void {
  mock.timers.enable({ apis: ['setImmediate'] })
  t.teardown(() => mock.timers.reset())
}

const inTime = <T>(work: Promise<T>): Promise<T | string> => Promise.race([work, sleep(2000, 'never', { ref: false })])

test.serial('fake timers hold up no walk over sessions', async (t) => {
  const middleware = session({ ...OPTIONS, store: new MemoryStore() })
  for (let at = 0; at < 20; at++) await sessionCookie(middleware, {}, { owner: 'ada' })
  faked(t)

  t.is(await inTime(middleware.list('ada').then(({ length }) => length)), 20)
  t.is(await inTime(middleware.updateAll('ada', () => undefined)), 20)
  t.is(await inTime(middleware.destroyAll('ada')), 20)
})

test.serial('fake timers hold up no sign-in over the limit of its owner', async (t) => {
  const middleware = session({ ...OPTIONS, maxPerOwner: 1 })
  const app = new Koa().use(middleware).use(async (ctx) => {
    await currentSession().signIn('ada')
    ctx.body = 'done'
  })
  const { url } = await served(t, app)
  const signIn = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get(url, { agent: false }, (answer) => resolve(answer.resume().statusCode)).on('error', reject)
    })
  await signIn()
  faked(t)

  t.is(await inTime(signIn()), 200)
})

test.serial('timers that are numbers, as in jsdom, fail no look at the signal', async (t) => {
  const real = globalThis.setInterval
  // As in a browser: no unref.
  const numbers = (work: () => void, delay: number): number => Number(real(work, delay).unref())
  globalThis.setInterval = numbers as unknown as typeof setInterval
  t.teardown(() => {
    globalThis.setInterval = real
  })
  const app = new Koa().use(session(OPTIONS)).use(async (ctx) => {
    if (ctx.path === '/begin') await currentSession().signIn('ada')
    ctx.body = String(currentSession().signal.aborted)
  })
  const browser = (await served(t, app)).browser()
  await browser.get('/begin')

  const answer = await browser.get('/watch')

  t.deepEqual([answer.status, answer.body], [200, 'false'])
})

test.serial('fake timers keep nothing of a chain that never returns from being stored', async (t) => {
  const middleware = session<{ n?: number }>({ ...OPTIONS, store: new MemoryStore() })
  const app = new Koa().use(middleware).use(async (ctx) => {
    if (ctx.path === '/begin') await currentSession().signIn('ada')
    else currentSession<{ n: number }>().data.n = 7
    ctx.res.end('own')
    if (ctx.path !== '/begin') await new Promise(() => undefined) // koa-connect
  })
  const browser = (await served(t, app)).browser()
  await browser.get('/begin')
  const stored = async (): Promise<number | undefined> => (await middleware.list('ada'))[0]?.data?.n
  faked(t)

  await browser.get('/')
  for (let tries = 0; tries < 1000 && (await stored()) === undefined; tries++) await nextTurn()

  t.is(await stored(), 7)
})
