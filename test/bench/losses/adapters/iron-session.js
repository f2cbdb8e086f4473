import { getIronSession } from 'iron-session'
import { NotOffered } from '../site.js'
import { koaApp } from './koa.js'

/** @type {import('../site.js').Adapter} */
export const ironSession = {
  name: 'iron-session',
  configured:
    'the sealed data is the cookie: there is no store, no id, and nothing that a server could end. `cookieOptions: { secure: false }` for plain HTTP. `await session.save()` after a handler that changed data; logout is `session.destroy()`, login and increment are assignments.',
  isStateless: true,
  openStore: () => undefined,
  listen(_store, _probe, routes, { keys, maxAge, rolling }) {
    if (rolling) throw new NotOffered('no rolling')
    // The highest number seals.
    const password = Object.fromEntries([...keys].reverse().map((key, at) => [at + 1, key]))
    return koaApp(
      keys,
      (app) =>
        app.use(async (ctx, next) => {
          const options = {
            password,
            cookieName: 'sid',
            ...(maxAge && { ttl: maxAge / 1000 }),
            cookieOptions: { secure: false },
          }
          ctx.iron = await getIronSession(ctx.req, ctx.res, options)
          const before = JSON.stringify(ctx.iron)
          await next()
          if (!ctx.hasEnded && JSON.stringify(ctx.iron) !== before) await ctx.iron.save()
        }),
      routes,
      (ctx) => ({
        get data() {
          return ctx.iron
        },
        async login(user) {
          ctx.iron.user = user
        },
        async logout() {
          ctx.iron.destroy()
          ctx.hasEnded = true
        },
        async increment(key) {
          ctx.iron[key] = (ctx.iron[key] ?? 0) + 1
        },
      }),
    )
  },
  idIn: (value) => decodeURIComponent(value),
}
