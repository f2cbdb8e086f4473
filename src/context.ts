// Which session belongs to the code that is running. Everything async in a request sees its frame.
import { AsyncLocalStorage } from 'node:async_hooks'
import { SessionError } from './errors.ts'

/** One mounted middleware in one request. Shows nothing secret: Node prints it with a timer or a socket. */
export class Frame {
  readonly session: unknown
  readonly stateKey: string
  readonly cookieName: string
  /** The frame of the middleware around it in the same request. */
  readonly outer: Frame | undefined
  readonly #request: object

  constructor(session: unknown, stateKey: string, cookieName: string, outer: Frame | undefined, request: object) {
    this.session = session
    this.stateKey = stateKey
    this.cookieName = cookieName
    this.outer = outer
    this.#request = request
  }

  /** Whether it belongs to that request: an async context may outlive one. */
  isOf(request: object): boolean {
    return this.#request === request
  }
}

// Two copies or two versions of this package in one process share one storage: its shape is part of their contract.
const KEY = Symbol.for('koa-fastsession.context')
const holder = globalThis as { [KEY]?: AsyncLocalStorage<Frame> }

/** The one AsyncLocalStorage of this process. */
export const frames: AsyncLocalStorage<Frame> = shared()

function shared(): AsyncLocalStorage<Frame> {
  const existing = holder[KEY]
  if (existing !== undefined) return existing
  return (holder[KEY] = new AsyncLocalStorage<Frame>())
}

/** The session of the running code, the innermost one or that of a state key. */
export function sessionInContext(stateKey?: string): unknown {
  let frame = frames.getStore()
  if (stateKey !== undefined) while (frame !== undefined && frame.stateKey !== stateKey) frame = frame.outer
  return frame?.session
}

/** @throws {SessionError} `ERR_SESSION_NO_CONTEXT`, naming what is missing. */
export function noContext(caller: string, stateKey?: string): SessionError {
  return new SessionError(
    'ERR_SESSION_NO_CONTEXT',
    stateKey === undefined
      ? `${caller} was called outside a request: mount session() before the middleware that calls it, or bind the callback with bindSession()`
      : `${caller} found no session with stateKey ${JSON.stringify(stateKey)} here: mount session({ stateKey }) before the middleware that calls it`,
  )
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
 */
export function bindSession<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result {
  const frame = frames.getStore()
  if (frame === undefined) throw noContext('bindSession()')
  return function bound(this: This, ...args: Args): Result {
    return frames.run(frame, () => fn.apply(this, args))
  }
}
