import session from 'koa-session'
import { probedPromises, PromiseStore } from '../stores.js'
import { koaApp } from './koa.js'

/** @type {import('../site.js').Adapter} */
export const koaSession = {
  name: 'koa-session',
  packageName: 'koa-session',
  configured:
    '`session({ store }, app)`; it ships no store. Login is `await ctx.session.regenerate()`, logout `ctx.session = null`.',
  openStore: () => new PromiseStore(),
  listen: (store, probe, routes, { keys, maxAge, sameSite, rolling }) =>
    koaApp(
      keys,
      (app) =>
        app.use(
          session(
            {
              store: probedPromises(store, probe),
              ...(maxAge && { maxAge }),
              ...(sameSite && { sameSite }),
              ...(rolling && { rolling }),
            },
            app,
          ),
        ),
      routes,
      (ctx) => ({
        get data() {
          return ctx.session
        },
        async login(user) {
          await ctx.session.regenerate()
          ctx.session.user = user
        },
        async logout() {
          ctx.session = null
        },
        async increment(key) {
          ctx.session[key] = (ctx.session[key] ?? 0) + 1
        },
      }),
    ),
  idIn: (value) => value,
}
