// What the Koa libraries have in common: an app that answers paths.
import Koa from 'koa'
import { probedPromises, PromiseStore } from '../stores.js'

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

/**
 * A library whose session is the object `ctx.session`, over a store of promises: a logout and an increment are assignments.
 *
 * @param {object} library
 * @param {string} library.name
 * @param {string} library.configured
 * @param {(store: object, options: import('../site.js').Options, app: Koa) => Koa.Middleware} library.middleware
 * @param {(ctx: Koa.Context) => Promise<void> | void} library.renew gives the session a new id
 * @returns {import('../site.js').Adapter}
 */
export function withCtxSession({ name, configured, middleware, renew }) {
  return {
    name,
    configured,
    openStore: () => new PromiseStore(),
    listen: (store, probe, routes, options) =>
      koaApp(
        options.keys,
        (app) => app.use(middleware(probedPromises(store, probe), options, app)),
        routes,
        (ctx) => ({
          get data() {
            return ctx.session
          },
          async login(user) {
            await renew(ctx)
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
}
