// A request that passes session() more than once: two middlewares in one chain, or one app that a handler calls again.
import type { Context } from 'koa'
import { sessionContext, sessionInContext, type ContextScope } from './context.ts'
import { SessionError } from './errors.ts'
import type { Core, RequestInfo } from './session/core.ts'
import { requestSessionIn, type SessionManager } from './session/manager.ts'

/**
 * The scope around this one, if it belongs to the same request.
 *
 * @throws {SessionError} `ERR_SESSION_ALREADY_MOUNTED` where a scope around this one has the same state key or cookie name.
 */
export function outerScope({ request, cookie }: RequestInfo, core: Core): ContextScope | undefined {
  const { stateKey } = core.settings
  const around = sessionContext.getStore()
  // An async context may outlive its request: only scopes of this request count.
  if (around?.isOf(request) !== true) return
  for (let scope: ContextScope | undefined = around; scope !== undefined; scope = scope.outer) {
    if (scope.stateKey === stateKey || scope.cookieName === cookie.name) {
      throw new SessionError(
        'ERR_SESSION_ALREADY_MOUNTED',
        `session() is mounted twice in one request with the same ${scope.stateKey === stateKey ? `stateKey ${JSON.stringify(stateKey)}` : `cookie name ${JSON.stringify(cookie.name)}`}: remove one, or give it another stateKey and another cookie.name`,
      )
    }
  }
  return around
}

/** The session of a request that a handler passes to the same app once more, as an internal redirect. */
export function forwardedManager(ctx: Context, core: Core): SessionManager | undefined {
  const { stateKey } = core.settings
  if (sessionContext.getStore()?.isOf(ctx.req) !== true || stateKey in ctx.state) return
  const manager = sessionInContext(stateKey)
  const session = requestSessionIn(manager)
  // It has a session, so it is a manager.
  return session?.core === core && session.phase === 'open' ? (manager as SessionManager) : undefined
}
