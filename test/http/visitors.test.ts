// Requests without a cookie: their session begins with the first look at it, and ends with the request all the same.
import { inspect } from 'node:util'
import test from 'ava'
import { bindSession, currentSession, tryCurrentSession } from '../../src/index.ts'
import { mounted, type Session, type Things } from '../support/mounted.ts'

test('a visitor whose session nobody looks at costs neither a look at the clock nor an id', async (t) => {
  let asked = 0
  const app = await mounted(
    t,
    {
      sweepInterval: false,
      now: () => (asked++, 1_800_000_000_000),
      generateId: () => {
        asked++
        return 'i'.repeat(32)
      },
    },
    { '/': (session) => `hello ${inspect(session)}`, '/look': (session) => session.isNew },
  )
  const before = asked
  t.is((await app.browser().get('/')).body, "hello SessionManager { origin: 'new' }")
  t.is(asked, before)
  t.deepEqual(app.store.counted(), {})

  t.is((await app.browser().get('/look')).body, 'true')
  t.true(asked > before)
})

test('what a visitor does is committed, however late in the request it is', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/write': async (session) => {
        await new Promise((resolve) => setImmediate(resolve))
        session.data.n = 1
      },
      '/not-found': (session, ctx) => {
        session.data.n = 2
        return ctx.throw(404)
      },
      '/read': ({ data, origin }) => [origin, data.n],
    },
  )
  for (const [path, n] of [
    ['/write', 1],
    ['/not-found', 2],
  ] as const) {
    const browser = app.browser()
    await browser.get(path)
    t.deepEqual(JSON.parse((await browser.get('/read')).body), ['resumed', n])
  }
})

test('what a visitor does is stored before the answer: where it cannot be, they are told', async (t) => {
  const app = await mounted(t, {}, { '/write': ({ data }) => (data.n = 1) })
  app.store.break('create')
  const { status, setCookie } = await app.browser().get('/write')

  t.is(status, 503)
  t.deepEqual(setCookie, [])
})

for (const [what, answer] of [
  ['has answered', () => 'done'],
  ['has failed', () => Promise.reject(new Error('a bug'))],
  ['has answered with an error', (_session: Session, ctx: { throw(status: number): never }) => ctx.throw(404)],
] as const) {
  test(`a visitor's session that is first looked at once its request ${what} is closed`, async (t) => {
    let held: Session | undefined
    const app = await mounted(
      t,
      {},
      {
        '/': (session, ctx) => {
          held = session
          ctx.app.silent = true
          return answer(session, ctx)
        },
      },
    )
    const response = await app.browser().get('/')
    t.is(response.headers.get('set-cookie'), null)
    const session = held
    if (session === undefined) throw new Error('no handler ran')

    t.is(session.origin, 'new')
    t.throws(() => (session.data.n = 1), { code: 'ERR_SESSION_CLOSED' })
    t.throws(() => session.id, { code: 'ERR_SESSION_CLOSED' })
    t.deepEqual({ ...session.data }, {})
    t.deepEqual(session.toJSON(), { origin: 'new' })
    t.deepEqual(app.store.counted(), {})
  })
}

test('each look at a session of a visitor finds the same', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const [{ id }, { createdAt }] = [session, session]
        await new Promise((resolve) => setTimeout(resolve, 5))
        return [session.id === id, session.createdAt === createdAt, session.data === session.data]
      },
    },
  )
  t.deepEqual(JSON.parse((await app.browser().get('/')).body), [true, true, true])
})

test('an update of a visitor runs in the scope of its request, from wherever it is called', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/': async (session) => {
        const found = await new Promise<unknown>((resolve) => {
          const later = bindSession(() => {
            const update = currentSession<Things>().update((data) => {
              data.n = 1
              return currentSession() === (session as unknown)
            })
            resolve(update)
          })
          setImmediate(later)
        })
        return [found, session.data.n]
      },
    },
  )
  t.deepEqual(JSON.parse((await app.browser().get('/')).body), [true, 1])
})

test('a visitor of two middlewares looks at one of the two sessions', async (t) => {
  const { default: Koa } = await import('koa')
  const { session } = await import('../../src/index.ts')
  const { KEYS, served } = await import('../support/app.ts')
  const app = new Koa()
  app.use(session({ keys: [...KEYS] }))
  app.use(session<Things, 'admin'>({ keys: [...KEYS], stateKey: 'admin', cookie: { name: 'admin' } }))
  app.use((ctx) => {
    const { admin } = ctx.state as unknown as { admin: Session }
    admin.data.n = 1
    ctx.body = currentSession('session').isNew
  })
  const running = await served(t, app)
  const response = await running.browser().get('/')

  t.deepEqual(
    response.headers.getSetCookie().map((line) => line.split('=', 1)[0]),
    ['admin'],
  )
})

test('the clock of an app may look at the current session: a visitor has one session all the same', async (t) => {
  const app = await mounted(
    t,
    { now: () => Date.now() + (tryCurrentSession<Things>()?.data.n ?? 0) },
    { '/': ({ data }) => (data.n = 1), '/read': ({ data }) => data.n },
  )
  const browser = app.browser()
  const { status, setCookie } = await browser.get('/')
  t.is(status, 200)
  t.is(setCookie.length, 1)
  t.is((await browser.get('/read')).body, '1')
})
