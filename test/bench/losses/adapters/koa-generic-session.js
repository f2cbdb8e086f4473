import session from 'koa-generic-session'
import { withCtxSession } from './koa.js'

export const koaGenericSession = withCtxSession({
  name: 'koa-generic-session',
  configured:
    '`session({ store })` over a store that keeps JSON, as koa-redis does. Login is `await ctx.regenerateSession()`, logout `ctx.session = null`.',
  middleware: (store, { maxAge, sameSite, rolling }) =>
    session({
      store,
      cookie: { ...(maxAge && { maxAge }), ...(sameSite && { sameSite }) },
      ...(rolling && { rolling }),
    }),
  renew: (ctx) => ctx.regenerateSession(),
})

/** @type {import('../site.js').Adapter} */
export const koaGenericSessionInMemory = {
  ...koaGenericSession,
  configured: 'with its own `MemoryStore`',
  openStore: () => new session.MemoryStore(),
}
