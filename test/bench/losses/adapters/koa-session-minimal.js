import { createRequire } from 'node:module'
import session from 'koa-session-minimal'
import { NotOffered } from '../site.js'
import { probedPromises, PromiseStore } from '../stores.js'
import { koaApp } from './koa.js'

// Its default store, which its main module does not hand out.
const MemoryStore = createRequire(import.meta.url)('koa-session-minimal/src/memory_store.js')

/** @type {import('../site.js').Adapter} */
export const koaSessionMinimal = {
  name: 'koa-session-minimal',
  packageName: 'koa-session-minimal',
  configured:
    '`session({ store })` over a store that keeps JSON, as koa-redis does. Login is `ctx.sessionHandler.regenerateId()`, logout `ctx.session = null`.',
  openStore: () => new PromiseStore(),
  listen(store, probe, routes, { keys, maxAge, sameSite, rolling }) {
    if (rolling) throw new NotOffered('no rolling')
    return koaApp(
      keys,
      (app) =>
        app.use(
          session({
            store: probedPromises(store, probe),
            cookie: { ...(maxAge && { maxAge }), ...(sameSite && { sameSite }) },
          }),
        ),
      routes,
      (ctx) => ({
        get data() {
          return ctx.session
        },
        async login(user) {
          ctx.sessionHandler.regenerateId()
          ctx.session.user = user
        },
        async logout() {
          ctx.session = null
        },
        async increment(key) {
          ctx.session[key] = (ctx.session[key] ?? 0) + 1
        },
      }),
    )
  },
  idIn: (value) => value,
}

/** @type {import('../site.js').Adapter} */
export const koaSessionMinimalInMemory = {
  ...koaSessionMinimal,
  configured: 'with its own `MemoryStore`',
  openStore: () => new MemoryStore(),
  // Its timers would keep the process alive for a day.
  closeStore: ({ timeouts }) => Object.values(timeouts).forEach(clearTimeout),
}
