// What the Koa libraries have in common: an app that answers paths.
import Koa from 'koa'

/**
 * @param {readonly string[]} keys
 * @param {(app: Koa) => void} mount puts the session middleware in
 * @param {import('../site.js').Routes} routes
 * @param {(ctx: Koa.Context) => Partial<import('../site.js').Visit>} visitOf
 */
export function koaApp(keys, mount, routes, visitOf) {
  const app = new Koa()
  app.keys = [...keys]
  // Errors are what the scenes are about: the answer tells.
  app.on('error', () => undefined)
  mount(app)
  app.use(async (ctx) => {
    const visit = visitOf(ctx)
    visit.setCookie = (name, value) => ctx.cookies.set(name, value, { signed: false })
    ctx.body = JSON.stringify(await routes[ctx.path](visit))
  })
  return app.callback()
}
