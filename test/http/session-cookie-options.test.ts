// sessionCookie() before the first request, where an option is a function of ctx: the error names what was called.
import test from 'ava'
import { session } from '../../src/index.ts'
import { sessionCookie, sessionOf } from '../../src/testing.ts'

test('where a cookie is a function of ctx, sessionCookie() and sessionOf() need a request before, and the error says so', async (t) => {
  const middleware = session({ keys: ['a secret of more than sixteen characters'], cookie: () => ({}) })
  for (const call of [() => sessionCookie(middleware, {}), () => sessionOf(middleware, 'sid=x')])
    await t.throwsAsync(call, { code: 'ERR_INVALID_ARG_VALUE', message: /run\(\).+sessionCookie\(\)/ })
})
