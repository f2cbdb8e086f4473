// A request that a chain without an end answers is a use of its session, whether its handler looks at the session or not.
import { once } from 'node:events'
import type { Context } from 'koa'
import { claim, HOUR, MINUTE } from '../support/scene.ts'

claim('a request of a chain that never returns keeps its session alive', async (t, { visitor, clock, store }) => {
  await visitor.does(({ data }) => void (data.a = 1))
  clock.advance(HOUR)
  store.counted()
  let seen: Context | undefined
  await visitor.does((_session, ctx) => {
    seen = ctx
    ctx.respond = false
    ctx.res.end('own')
    return new Promise<never>(() => undefined)
  })
  if (seen !== undefined && !seen.res.closed) await once(seen.res, 'close')
  await new Promise((resolve) => setImmediate(resolve))

  t.deepEqual(store.counted(), { read: 1, touch: 1 })
  clock.advance(90 * MINUTE)
  t.is(await visitor.origin(), 'resumed')
})
