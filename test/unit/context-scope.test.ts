// The scopes by themselves; what handlers see of them is in context.test.ts.
import { inspect } from 'node:util'
import test from 'ava'
import { bindSession, currentSession, tryCurrentSession } from '../../src/index.ts'
import { ContextScope, scopeOutside, sessionContext, sessionInContext } from '../../src/context.ts'
import { outsideRequests } from '../../src/timers.ts'

const request = {}
const outer = new ContextScope('outer session', 'first', 'a', undefined, request)
const scope = new ContextScope('inner session', 'second', 'b', outer, request)

test('a scope inside an update is the same scope, and names the update', (t) => {
  const update = { of: 'this one' }
  const inside = scope.inside(update)

  t.is(inside.update, update)
  t.is(scope.update, undefined)
  t.like(inside, { session: 'inner session', stateKey: 'second', cookieName: 'b', outer })
  t.true(inside.isOf(request))
  t.false(inside.isOf({}))
  sessionContext.run(inside, () => {
    t.is(sessionInContext(), 'inner session')
    t.is(sessionInContext('first'), 'outer session')
  })
})

test('neither the request nor the update is printed with a scope', (t) => {
  const printed = inspect(new ContextScope('s', 'k', 'c', undefined, { secret: 1 }).inside({ secret: 2 }), { depth: 9 })

  t.false(printed.includes('secret'))
})

test('a scope outside of requests has no session, whatever is asked for, and is of no request', (t) => {
  const update = {}
  const outside = scopeOutside(update)

  t.is(outside.update, update)
  t.false(outside.isOf(request))
  sessionContext.run(outside, () => {
    t.is(tryCurrentSession(), undefined)
    for (const find of [() => currentSession(), () => currentSession('session'), () => bindSession(() => undefined)])
      t.throws(find, { code: 'ERR_SESSION_NO_CONTEXT' })
  })
})

test('what runs outside of requests sees none', async (t) => {
  await sessionContext.run(scope, async () => {
    t.is(
      outsideRequests(() => sessionContext.getStore()),
      undefined,
    )
    await outsideRequests(async () => {
      await Promise.resolve()
      t.is(sessionContext.getStore(), undefined)
    })
    t.is(sessionContext.getStore(), scope)
  })
})
