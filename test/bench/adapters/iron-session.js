// iron-session 8: stateless, the sealed data is the cookie. Another kind of
// library, kept for orientation; W5 does not fit a cookie.
import Koa from 'koa'
import { getIronSession } from 'iron-session'
import { SMALL } from '../harness/workloads.js'

export const floor = 'koa'
export const stores = ['cookie']

export function build({ keys, ttl }) {
  const options = { password: keys[0], cookieName: 'sid', ttl: ttl / 1000, cookieOptions: { secure: false } }
  const app = new Koa()
  app.use(async (ctx) => {
    if (ctx.path === '/plain') {
      ctx.body = 'ok'
      return
    }
    const session = await getIronSession(ctx.req, ctx.res, options)
    if (ctx.path === '/read') {
      ctx.body = session.user ?? 'none'
      return
    }
    if (ctx.path === '/count') session.n = (session.n ?? 0) + 1
    else Object.assign(session, SMALL)
    await session.save()
    ctx.body = ctx.path === '/count' ? String(session.n) : 'ok'
  })
  return { oneCookieState: true, listener: app.callback(), close() {} }
}
