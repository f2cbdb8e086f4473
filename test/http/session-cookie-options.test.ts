// sessionCookie() and sessionOf() where the cookie is a function of ctx.
import test from 'ava'
import { currentSession, session } from '../../src/index.ts'
import { sessionCookie, sessionOf } from '../../src/testing.ts'
import { servedMiddlewares } from '../support/app.ts'

test('where a cookie is a function of ctx, sessionCookie() and sessionOf() need a request before, and the error says so', async (t) => {
  const middleware = session({ keys: ['a secret of more than sixteen characters'], cookie: () => ({}) })
  for (const call of [() => sessionCookie(middleware, {}), () => sessionOf(middleware, 'sid=x')])
    await t.throwsAsync(call, { code: 'ERR_INVALID_ARG_VALUE', message: /run\(\).+sessionCookie\(\)/ })
})

test('sessionCookie() and sessionOf() serve a cookie whose attributes depend on the path', async (t) => {
  const sessions = session({
    cookie: (ctx) => (ctx.path.startsWith('/embed') ? { sameSite: 'none', partitioned: true } : { sameSite: 'lax' }),
  })
  const app = await servedMiddlewares(t, sessions, (ctx) => {
    ctx.body = currentSession<{ name?: string }>().data.name ?? 'nobody'
  })
  t.is((await app.browser().get('/')).body, 'nobody')

  const cookie = await sessionCookie(sessions, { name: 'Ada' })

  t.is(await (await fetch(app.url, { headers: { cookie } })).text(), 'Ada')
  t.deepEqual((await sessionOf(sessions, cookie))?.data, { name: 'Ada' })
})
