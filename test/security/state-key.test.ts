// A request object passed where a state key belongs: the error shows no header of the request, so neither cookie nor id.
import test from 'ava'
import type { Context } from 'koa'
import { currentSession } from '../../src/index.ts'
import { mounted } from '../support/mounted.ts'

test('currentSession(ctx) refuses without the cookie of the request in its message', async (t) => {
  let error: (Error & { code?: string }) | undefined
  const lookUp = currentSession as unknown as (stateKey: Context) => unknown
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => session.id,
      '/mistaken': (_session, ctx) => {
        error = t.throws(() => lookUp(ctx))
      },
    },
  )
  const browser = app.browser()
  const { body: id } = await browser.get('/')
  await browser.get('/mistaken')

  t.is(error?.code, 'ERR_SESSION_NO_CONTEXT')
  t.false(error?.message.includes(id), error?.message)
  t.false(error?.message.includes('cookie'))
})

test('a state key that is no text, or one that would forge a line of a log, is told as what it is', (t) => {
  const lookUp = currentSession as unknown as (stateKey: unknown) => unknown
  for (const mistaken of [Symbol('sid'), Object.create(null), null])
    t.throws(() => lookUp(mistaken), { code: 'ERR_SESSION_NO_CONTEXT' })
  t.throws(() => lookUp('a\nb'), { message: /stateKey "a\\nb" here/ })
})
