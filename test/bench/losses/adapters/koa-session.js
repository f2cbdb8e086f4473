import session from 'koa-session'
import { withCtxSession } from './koa.js'

export const koaSession = withCtxSession({
  name: 'koa-session',
  configured:
    '`session({ store }, app)`; it ships no store. Login is `await ctx.session.regenerate()`, logout `ctx.session = null`.',
  middleware: (store, { maxAge, sameSite, rolling }, app) =>
    session({ store, ...(maxAge && { maxAge }), ...(sameSite && { sameSite }), ...(rolling && { rolling }) }, app),
  renew: (ctx) => ctx.session.regenerate(),
})
