// `currentSession()`: from the scope of the running code to the manager that a handler uses.
import { sessionInContext } from './context.ts'
import { noContext } from './errors.ts'
import type { SessionData, SessionManager } from './session/manager.ts'

/**
 * The session of the running request, at any async depth: the innermost one, or that of a state key.
 *
 * ```ts
 * async function addToCart(item: string): Promise<void> {
 *   await currentSession().update((data) => {
 *     data.cart = [...(data.cart ?? []), item]
 *   })
 * }
 * ```
 *
 * @throws {SessionError} `ERR_SESSION_NO_CONTEXT` outside a request, or if no session has that state key.
 */
export function currentSession<Data extends object = SessionData>(stateKey?: string): SessionManager<Data> {
  const session = tryCurrentSession<Data>(stateKey)
  if (session === undefined) throw noContext('currentSession()', stateKey)
  return session
}

/** As {@link currentSession}, but `undefined` outside a request, or if no session has that state key. */
export function tryCurrentSession<Data extends object = SessionData>(
  stateKey?: string,
): SessionManager<Data> | undefined {
  // Only this package makes scopes; the type of data is the app's claim.
  return sessionInContext(stateKey) as SessionManager<Data> | undefined
}
