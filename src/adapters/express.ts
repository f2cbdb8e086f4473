// Stores written for express-session: callbacks, and a lifetime that they read from the session's cookie.
import { invalidType } from '../errors.ts'
import type { SessionStore } from '../store.ts'
import { ShelfStore, type Shelf } from './shelf.ts'

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
 * `session()`. It stays the caller's: nobody closes it.
 *
 * Such a store cannot compare and set, and has no index by owner: the log says once what follows from that. Each change
 * costs it a read more than a store of this package. A lifetime of its own (`ttl` as an option) must not be shorter than
 * the sessions are to live.
 *
 * ```ts
 * app.use(session({ store: fromExpressStore(new FileStore({ path: 'sessions' })) }))
 * ```
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `destroy`.
 */
export function fromExpressStore(store: ExpressStore): SessionStore {
  for (const name of ['get', 'set', 'destroy'] as const) {
    if (typeof (store as Partial<ExpressStore> | undefined)?.[name] !== 'function') {
      throw invalidType(
        'the argument of fromExpressStore()',
        `a store for express-session, with a method ${name}`,
        store,
      )
    }
  }
  return new ShelfStore('fromExpressStore()', store, new ExpressShelf(store))
}

class ExpressShelf implements Shelf {
  readonly #store: ExpressStore

  constructor(store: ExpressStore) {
    this.#store = store
  }

  async get(key: string): Promise<unknown> {
    try {
      const session = await called((callback) => this.#store.get(key, callback))
      return (session as Partial<ExpressSession> | null | undefined)?.record
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async put(key: string, record: string, ttl: number): Promise<void> {
    // Different stores read different ones of these: the lifetime must be in all of them.
    const cookie = { originalMaxAge: ttl, maxAge: ttl, expires: new Date(Date.now() + ttl), path: '/', httpOnly: true }
    await called((callback) => this.#store.set(key, { cookie, record }, callback))
  }

  async remove(key: string): Promise<void> {
    await called((callback) => this.#store.destroy(key, callback))
  }
}

/** Calls with a callback; a promise that is answered as well counts when it is rejected. */
function called(call: (callback: (error?: unknown, value?: unknown) => void) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const refuse = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)))
    const answer = call((error, value) => {
      if (error === undefined || error === null || error === false) resolve(value)
      else refuse(error)
    })
    if (answer instanceof Promise) answer.catch(refuse)
  })
}

/**
 * express-session takes an error of this code for "no such session", and stores of files count on it. A socket that is
 * not there has the same code, and is an outage.
 */
function isNotFound(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return code === 'ENOENT' && syscall !== 'connect'
}
