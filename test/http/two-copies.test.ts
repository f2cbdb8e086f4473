// Two copies of the package in one process: the other one was there first, so nothing here may import this one before.
import test from 'ava'
import { servedMiddlewares } from '../support/app.ts'
import { secondCopy } from '../support/second-copy.ts'

const KEY = Symbol.for('koa-fastsession.context')
const storage = (): unknown => (globalThis as Record<symbol, unknown>)[KEY]
const none = storage()
const other = await secondCopy()
const made = storage()
const { bindSession, currentSession, session, tryCurrentSession } = await import('../../src/index.ts')

test('whichever copy comes first makes the one AsyncLocalStorage of the process', (t) => {
  t.is(none, undefined)
  t.not(made, undefined)
  t.is(storage(), made)
  t.not<unknown, unknown>(other.currentSession, currentSession)
})

test('each copy finds the session of the other', async (t) => {
  const app = await servedMiddlewares(t, session(), (ctx) => {
    const mine: unknown = ctx.state.session
    t.is<unknown, unknown>(other.currentSession(), mine)
    t.is<unknown, unknown>(other.tryCurrentSession('session'), mine)
    t.is<unknown, unknown>(other.bindSession(() => currentSession())(), mine)
    t.is<unknown, unknown>(bindSession(() => other.tryCurrentSession())(), mine)
    ctx.body = 'done'
  })

  t.is((await app.browser().get('/')).status, 200)
  t.is(tryCurrentSession(), undefined)
  t.throws(() => other.currentSession(), { code: 'ERR_SESSION_NO_CONTEXT' })
})

test('middlewares of both are each found by their state key', async (t) => {
  const app = await servedMiddlewares(
    t,
    session(),
    other.session({ stateKey: 'admin', cookie: { name: 'admin' } }),
    (ctx) => {
      t.is<unknown, unknown>(currentSession('session'), ctx.state.session)
      t.is<unknown, unknown>(other.currentSession('admin'), currentSession())
      t.not<unknown, unknown>(currentSession(), ctx.state.session)
      ctx.body = 'done'
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})

test('middlewares of both with one name are refused', async (t) => {
  const app = await servedMiddlewares(t, session(), other.session())

  t.is((await app.browser().get('/')).status, 500)
  t.like(app.errors[0], { code: 'ERR_SESSION_ALREADY_MOUNTED' })
})

test('a session error of the other copy is no answer of the handler: it commits nothing', async (t) => {
  const app = await servedMiddlewares(t, session(), (ctx) => {
    t.is(typeof ctx.state.session.id, 'string')
    throw new other.SessionError('ERR_SESSION_GONE', 'of a session of the other copy')
  })

  t.deepEqual((await app.browser().get('/')).setCookie, [])
})

test('inside a middleware of the other copy, destroy() after destroyAll() clears the cookie', async (t) => {
  const mine = session()
  const app = await servedMiddlewares(
    t,
    mine,
    other.session({ stateKey: 'admin', cookie: { name: 'admin' } }),
    async (ctx) => {
      if (ctx.path === '/in') await ctx.state.session.signIn('ada')
      else {
        await mine.destroyAll('ada')
        await ctx.state.session.destroy()
      }
      ctx.body = 'done'
    },
  )
  const browser = app.browser()
  await browser.get('/in')

  t.deepEqual((await browser.get('/out')).setCookie, ['sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'])
})

test('an update joins the one of its session also through an update of the other copy', async (t) => {
  let runs = 0
  const app = await servedMiddlewares(
    t,
    session(),
    other.session({ stateKey: 'admin', cookie: { name: 'admin' } }),
    async (ctx) => {
      const mine = currentSession<{ count?: number }>('session')
      const admin = other.currentSession()
      await mine.save()
      await admin.save()
      const count = (data: { count?: number }): number => (data.count = (data.count ?? 0) + 1)
      await mine.update(async () => {
        // Of an endless row of tries, two tell enough.
        if (++runs > 2) throw new Error('tried again, though no other request came between')
        await admin.update(() => mine.update(count))
        await t.throwsAsync(
          admin.update(() => mine.save()),
          { code: 'ERR_SESSION_IN_UPDATE' },
        )
      })
      ctx.body = { runs, ...mine.data }
    },
  )

  t.is((await app.browser().get('/')).body, '{"runs":1,"count":1}', String(app.errors[0]))
})
