// Stores written for express-session: callbacks, and a lifetime that they read from the session's cookie.
import { isPromise, type SessionStore } from '../store.ts'
import { assertStore } from './arguments.ts'
import { KeyValueStore, type KeyValueClient } from './key-value-store.ts'

/** What an express-session store is given for a session: the cookie that it takes the lifetime from, and the record. */
export interface ExpressSession {
  /** What stores of express-session ask for a lifetime. */
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

/** A store for express-session; what else it has is not used. */
export interface ExpressStore {
  get(sid: string, callback: (error?: unknown, session?: unknown) => void): unknown
  set(sid: string, session: ExpressSession, callback: (error?: unknown) => void): unknown
  destroy(sid: string, callback: (error?: unknown) => void): unknown
}

/**
 * A store for express-session (connect-redis, connect-pg-simple, connect-mongo, session-file-store ...) as a store for
 * `session()`. It stays the caller's, and is never closed.
 *
 * Such a store cannot compare and set, and has no index by owner: the log says once what follows from that. Each change
 * costs it a read more than a store of this package. A lifetime of its own (`ttl` as an option) must not be shorter than
 * the sessions are to live. What the first create has stored is read back once: a store that does not give it back is
 * refused there, as a failure of the store.
 *
 * ```ts
 * app.use(session({ store: fromExpressStore(new FileStore({ path: 'sessions' })) }))
 * ```
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `destroy`, or a database client.
 */
export function fromExpressStore(store: ExpressStore, ...none: readonly []): SessionStore {
  assertStore('fromExpressStore()', store, 'a store for express-session', ['get', 'set', 'destroy'], none)
  return new KeyValueStore('fromExpressStore()', store, new ExpressClient(store))
}

class ExpressClient implements KeyValueClient {
  readonly #store: ExpressStore
  #hasCalledBack = false

  constructor(store: ExpressStore) {
    this.#store = store
  }

  async get(key: string): Promise<unknown> {
    try {
      const session = await this.#called(this.#store.get.length >= 2, (callback) => this.#store.get(key, callback))
      return recordIn(session)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async set(key: string, record: string, ttl: number): Promise<void> {
    // Different stores read different ones of these: the lifetime must be in all of them.
    const cookie = { originalMaxAge: ttl, maxAge: ttl, expires: new Date(Date.now() + ttl), path: '/', httpOnly: true }
    await this.#called(this.#store.set.length >= 3, (callback) => this.#store.set(key, { cookie, record }, callback))
  }

  async remove(key: string): Promise<void> {
    await this.#called(this.#store.destroy.length >= 2, (callback) => this.#store.destroy(key, callback))
  }

  /**
   * Calls with a callback. A promise that is answered as well counts when it is rejected.
   *
   * Some stores answer by promise alone: those whose function names no callback, as long as none was ever called. A
   * function that does call back may be async, too, and be done before it has the answer.
   */
  #called(
    namesCallback: boolean,
    call: (callback: (error?: unknown, value?: unknown) => void) => unknown,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const refuse = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)))
      const answer = call((error, value) => {
        this.#hasCalledBack = true
        // express-session asks whether the error is truthy.
        if (error) refuse(error)
        else resolve(value)
      })
      if (!isPromise<unknown>(answer)) return
      answer.then((value) => {
        if (!namesCallback && !this.#hasCalledBack) resolve(value)
      }, refuse)
    })
  }
}

/** The record in a foreign session; what holds none passes on as it is, and counts as corrupt. */
export function recordIn(session: unknown): unknown {
  if (typeof session !== 'object' || session === null) return session
  return (session as { readonly record?: unknown }).record ?? session
}

/**
 * express-session takes an error of this code for "no such session", and stores of files count on it. A socket that is
 * not there has the same code, and is an outage.
 */
function isNotFound(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return code === 'ENOENT' && syscall !== 'connect'
}
