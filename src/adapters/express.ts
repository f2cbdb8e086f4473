// Stores written for express-session: they answer by callback and read the lifetime from the session's cookie.
import { isPromise, type SessionStore } from '../store.ts'
import { assertStore } from './arguments.ts'
import { errorOf, KeyValueStore, type KeyValueClient } from './key-value-store.ts'

/** What an express-session store gets for a session: the cookie that it reads the lifetime from, and the record. */
export interface ExpressSession {
  /** Where stores for express-session read the lifetime. */
  readonly cookie: {
    readonly originalMaxAge: number
    readonly maxAge: number
    readonly expires: Date
    readonly path: string
    readonly httpOnly: boolean
  }
  /** The record as JSON, under a hash of the id; opaque to the store. */
  readonly record: string
}

/** A store for express-session. Its other methods are not used. */
export interface ExpressStore {
  get(sid: string, callback: (error?: unknown, session?: unknown) => void): unknown
  set(sid: string, session: ExpressSession, callback: (error?: unknown) => void): unknown
  destroy(sid: string, callback: (error?: unknown) => void): unknown
}

/**
 * A store for express-session (connect-redis, connect-pg-simple, connect-mongo, session-file-store ...) as a store for
 * `session()`. The caller owns it; it is never closed.
 *
 * Such a store cannot compare and set, and has no index by owner: the log says once what follows from that. Each change
 * takes one more read than with a store of this package. A `ttl` option of the store must not be shorter than the sessions'
 * lifetime. The first record that is created is read back once: a store that does not return it is refused there, as a
 * failure of the store.
 *
 * ```ts
 * app.use(session({ store: fromExpressStore(new FileStore({ path: 'sessions' })) }))
 * ```
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `destroy`, or a database client.
 */
export function fromExpressStore(store: ExpressStore, ...none: readonly []): SessionStore {
  assertStore('fromExpressStore()', store, 'a store for express-session', ['get', 'set', 'destroy'], none)
  return new KeyValueStore('fromExpressStore()', store, clientOf(store))
}

function clientOf(store: ExpressStore): KeyValueClient {
  let hasCalledBack = false
  /**
   * Calls with a callback. If the store also returns a promise, its rejection counts.
   *
   * The promise's value counts only if the function declares no callback and the store has never called one: an async
   * function that does call back may resolve before it has the answer.
   */
  const called = (
    namesCallback: boolean,
    call: (callback: (error?: unknown, value?: unknown) => void) => unknown,
  ): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const refuse = (error: unknown): void => reject(errorOf(error))
      const answer = call((error, value) => {
        hasCalledBack = true
        // As express-session does, which treats any truthy value as an error.
        if (error) refuse(error)
        else resolve(value)
      })
      if (!isPromise<unknown>(answer)) return
      answer.then((value) => {
        if (!namesCallback && !hasCalledBack) resolve(value)
      }, refuse)
    })
  return {
    async get(key) {
      try {
        return recordIn(await called(store.get.length >= 2, (callback) => store.get(key, callback)))
      } catch (error) {
        if (isNotFound(error)) return undefined
        throw error
      }
    },
    async set(key, record, ttl) {
      const cookie = cookieOf(ttl, Date.now())
      await called(store.set.length >= 3, (callback) => store.set(key, { cookie, record }, callback))
    },
    async remove(key) {
      await called(store.destroy.length >= 2, (callback) => store.destroy(key, callback))
    },
  }
}

/** The cookie of a session that ends `ttl` milliseconds after `now`. Stores differ in which of these they read, so each states it. */
export function cookieOf(ttl: number, now: number): ExpressSession['cookie'] {
  return { originalMaxAge: ttl, maxAge: ttl, expires: new Date(now + ttl), path: '/', httpOnly: true }
}

/** The record in a foreign session. A value without one is passed on as it is, and counts as corrupt. */
export function recordIn(session: unknown): unknown {
  if (typeof session !== 'object' || session === null) return session
  return (session as { readonly record?: unknown }).record ?? session
}

/**
 * express-session takes an error with this code for "no such session", and file stores rely on that. A missing socket has the
 * same code, but is an outage.
 */
export function isNotFound(error: unknown): boolean {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'ENOENT' && syscall !== 'connect'
}
