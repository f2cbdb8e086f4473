// Sessions that koa-session left go on, so that nobody has to sign in again. Mounted right below session(), with the old
// secrets and the old store; taken out when its time is over. For express-session it is fromExpressSession().
import type { Middleware } from 'koa'
import { fromKoaSession, takeOver, type OldKoaStore } from 'koa-fastsession/migrate'

export interface Visitor {
  cart?: string[]
  isTakenOver?: boolean
}

export function goOnFrom(store: OldKoaStore): Middleware {
  return takeOver<Visitor>({
    from: fromKoaSession({ store }),
    // In an app a date that is written out, so that no restart moves it: the last old session has ended by then.
    until: Date.now() + 30 * 86_400_000,
    // Processes of before may still serve the same people for a day: while the deploy rolls, or after it was rolled back.
    overlap: '1d',
    async goOn(session, { user, cart }) {
      if (Array.isArray(cart)) session.data.cart = cart.filter((item) => typeof item === 'string')
      if (typeof user !== 'string') return
      // The password was given long ago, and authenticatedAt will say now: so it is remembered that it does not count.
      session.data.isTakenOver = true
      await session.signIn(user)
    },
  })
}
