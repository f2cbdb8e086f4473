// A request that a chain without an end answers is a use of its session, whether its handler looks at the session or not.
import { once } from 'node:events'
import type { Context } from 'koa'
import { claim, DAY, HOUR, MINUTE } from '../support/scene.ts'

const policies = [
  { name: 'after a tenth of its idle timeout', options: {}, wait: HOUR, rest: 90 * MINUTE },
  {
    name: 'after an hour',
    options: { idleTimeout: '30d', absoluteTimeout: false },
    wait: 2 * HOUR,
    rest: 30 * DAY - HOUR,
  },
] as const

for (const { name, options, wait, rest } of policies)
  claim(
    `a request of a chain that never returns keeps its session alive, ${name}`,
    options,
    async (t, { visitor, clock, store }) => {
      await visitor.does(({ data }) => void (data.a = 1))
      clock.advance(wait)
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
      clock.advance(rest)
      t.is(await visitor.origin(), 'resumed')
    },
  )
