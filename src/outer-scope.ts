// A request that passes session() more than once: two middlewares in one chain, or one app that a handler calls again.
import type { Context } from 'koa'
import { sessionContext, sessionInContext, type ContextScope } from './context.ts'
import { SessionError } from './errors.ts'
import type { Core, RequestInfo } from './session/core.ts'
import { requestSessionOf, SessionManager } from './session/manager.ts'

/**
 * The scope around this one, if it belongs to the same request.
 *
 * @throws {SessionError} `ERR_SESSION_ALREADY_MOUNTED` where a scope around this one has the same state key or cookie name.
 */
export function outerScope({ request, cookie }: RequestInfo, core: Core): ContextScope | undefined {
  const { stateKey, deviceBound } = core.settings
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
    // What a browser sends to that path reaches only the outer one.
    if (deviceBound !== undefined && devicePathOf(scope) === deviceBound.path)
      core.events.notice(
        'DEVICE_BOUND_PATH',
        'the session() around this one answers browsers at the same deviceBound.path, so no session of this one is ever bound: give each a path of its own',
      )
  }
  return around
}

/** The `deviceBound.path` of the middleware of a scope. */
function devicePathOf({ session }: ContextScope): string | undefined {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-argument -- instanceof does not know the type of data
  return session instanceof SessionManager ? requestSessionOf(session).core.settings.deviceBound?.path : undefined
}

/** The session of a request that a handler passes to the same app once more, as an internal redirect. */
export function forwardedManager(ctx: Context, core: Core): SessionManager | undefined {
  const { stateKey } = core.settings
  if (sessionContext.getStore()?.isOf(ctx.req) !== true || stateKey in ctx.state) return
  const manager = sessionInContext(stateKey)
  if (!(manager instanceof SessionManager)) return
  // eslint-disable-next-line @typescript-eslint/no-unsafe-argument -- instanceof does not know the type of data
  const session = requestSessionOf(manager)
  return session.core === core && session.phase === 'open' ? manager : undefined
}
