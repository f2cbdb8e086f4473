// Finds the session of the running code. All async code of a request sees the scope of that request.
import { AsyncLocalStorage } from 'node:async_hooks'
import { checkFunction } from './checks.ts'
import { noContext } from './errors.ts'

/**
 * One mounted middleware in one request. Two copies of this package share these fields, so fields are only ever added. Printing
 * a scope shows nothing secret: Node prints it with a timer or a socket.
 */
export class ContextScope {
  readonly session: unknown
  readonly stateKey: string
  readonly cookieName: string
  /** The scope of the middleware around this one, in the same request. */
  readonly outer: ContextScope | undefined
  readonly #request: object
  readonly #update: unknown

  constructor(
    session: unknown,
    stateKey: string,
    cookieName: string,
    outer: ContextScope | undefined,
    request: object,
    update?: unknown,
  ) {
    this.session = session
    this.stateKey = stateKey
    this.cookieName = cookieName
    this.outer = outer
    this.#request = request
    this.#update = update
  }

  /** The update whose function is running. A getter, so that it is not printed. */
  get update(): unknown {
    return this.#update
  }

  /** Whether the scope belongs to that request: an async context may outlive its request. */
  isOf(request: object): boolean {
    return this.#request === request || (this.#update !== undefined && (this.#request as ContextScope).isOf(request))
  }

  /** The same scope inside the function of an update. `this` may be a scope of 0.1, which has its public fields and `isOf` alone. */
  inside(update: unknown): ContextScope {
    return new ContextScope(this.session, this.stateKey, this.cookieName, this.outer, this, update)
  }
}

// Two copies or two versions of this package in one process share one storage: its shape is part of their contract.
const KEY = Symbol.for('koa-fastsession.context')
const holder = globalThis as { [KEY]?: AsyncLocalStorage<ContextScope> | undefined }

/** The one AsyncLocalStorage of this process. */
export const sessionContext: AsyncLocalStorage<ContextScope> = (holder[KEY] ??= new AsyncLocalStorage<ContextScope>())

/** A scope without a session, for an update from outside a request: `currentSession()` finds nothing in its function. */
export function scopeOutside(update: unknown): ContextScope {
  return new ContextScope(undefined, '', '', undefined, {}).inside(update)
}

/** The session of the running code: the innermost one, or the one of that state key. */
export function sessionInContext(stateKey?: string): unknown {
  let scope = sessionContext.getStore()
  if (stateKey !== undefined) while (scope !== undefined && scope.stateKey !== stateKey) scope = scope.outer
  return scope?.session
}

/**
 * Binds a function to the session of the running request, for callbacks that Node calls from elsewhere
 * (`req.on('end')`, a shared pool, an emitter). `this`, arguments and result pass through.
 *
 * ```ts
 * emitter.once('paid', bindSession(() => currentSession().publicId))
 * ```
 *
 * @throws {SessionError} `ERR_SESSION_NO_CONTEXT` outside a request.
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` when `fn` is not a function.
 */
export function bindSession<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result {
  const scope = sessionContext.getStore()
  if (scope?.session === undefined) throw noContext('bindSession()')
  checkFunction(fn, 'the argument of bindSession()')
  return function bound(this: This, ...args: Args): Result {
    return sessionContext.run(scope, () => fn.apply(this, args))
  }
}
