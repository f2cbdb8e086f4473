import session from 'koa-generic-session'
import { probedPromises, PromiseStore } from '../stores.js'
import { koaApp } from './koa.js'

/** @type {import('../site.js').Adapter} */
export const koaGenericSession = {
  name: 'koa-generic-session',
  packageName: 'koa-generic-session',
  configured:
    '`session({ store })` over a store that keeps JSON, as koa-redis does. Login is `await ctx.regenerateSession()`, logout `ctx.session = null`.',
  openStore: () => new PromiseStore(),
  listen: (store, probe, routes, { keys, maxAge, sameSite, rolling }) =>
    koaApp(
      keys,
      (app) =>
        app.use(
          session({
            store: probedPromises(store, probe),
            cookie: { ...(maxAge && { maxAge }), ...(sameSite && { sameSite }) },
            ...(rolling && { rolling }),
          }),
        ),
      routes,
      (ctx) => ({
        get data() {
          return ctx.session
        },
        async login(user) {
          await ctx.regenerateSession()
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

/** @type {import('../site.js').Adapter} */
export const koaGenericSessionInMemory = {
  ...koaGenericSession,
  configured: 'with its own `MemoryStore`',
  openStore: () => new session.MemoryStore(),
}
