import { createRequire } from 'node:module'
import session from 'koa-session-minimal'
import { NotOffered } from '../site.js'
import { withCtxSession } from './koa.js'

// Its default store, which its main module does not hand out.
const MemoryStore = createRequire(import.meta.url)('koa-session-minimal/src/memory_store.js')

export const koaSessionMinimal = withCtxSession({
  name: 'koa-session-minimal',
  configured:
    '`session({ store })` over a store that keeps JSON, as koa-redis does. Login is `ctx.sessionHandler.regenerateId()`, logout `ctx.session = null`.',
  middleware(store, { maxAge, sameSite, rolling }) {
    if (rolling) throw new NotOffered('no rolling')
    return session({ store, cookie: { ...(maxAge && { maxAge }), ...(sameSite && { sameSite }) } })
  },
  renew: (ctx) => ctx.sessionHandler.regenerateId(),
})

/** @type {import('../site.js').Adapter} */
export const koaSessionMinimalInMemory = {
  ...koaSessionMinimal,
  configured: 'with its own `MemoryStore`',
  openStore: () => new MemoryStore(),
  // Its timers would keep the process alive for a day.
  closeStore: ({ timeouts }) => Object.values(timeouts).forEach(clearTimeout),
}
