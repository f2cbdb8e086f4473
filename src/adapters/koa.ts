// Stores written for koa-session and koa-generic-session: promises, and a lifetime as an argument.
import { invalidType } from '../errors.ts'
import type { SessionStore } from '../store.ts'
import { LONGEST_TTL, ShelfStore, type Shelf } from './shelf.ts'

/** What a store of the Koa world is given for a session. */
export interface KoaStoredSession {
  /** The record as JSON, under a hash of the id; opaque to the store. */
  readonly record: string
}

/** A store for koa-session; what else it has is not used. There is no `ctx` for it. */
export interface KoaStore {
  get(key: string, maxAge: number, options: { rolling: boolean }): unknown
  set(key: string, session: KoaStoredSession, maxAge: number, options: { rolling: boolean; changed: boolean }): unknown
  destroy(key: string, options: object): unknown
}

/**
 * A store for koa-session (koa-redis and its kind) as a store for `session()`. It stays the caller's: nobody closes it.
 *
 * Such a store cannot compare and set, and has no index by owner: the log says once what follows from that. Each change
 * costs it a read more than a store of this package.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `destroy`.
 */
export function fromKoaStore(store: KoaStore): SessionStore {
  for (const name of ['get', 'set', 'destroy'] as const) {
    if (typeof (store as Partial<KoaStore> | undefined)?.[name] !== 'function') {
      throw invalidType('the argument of fromKoaStore()', `a store for koa-session, with a method ${name}`, store)
    }
  }
  return new ShelfStore('fromKoaStore()', store, new KoaShelf(store))
}

class KoaShelf implements Shelf {
  readonly #store: KoaStore

  constructor(store: KoaStore) {
    this.#store = store
  }

  async get(key: string): Promise<unknown> {
    // Some stores prolong a session by this when they read it: it must not cut one short.
    const session = await this.#store.get(key, LONGEST_TTL, { rolling: false })
    return (session as Partial<KoaStoredSession> | null | undefined)?.record
  }

  async put(key: string, record: string, ttl: number): Promise<void> {
    await this.#store.set(key, { record }, ttl, { rolling: false, changed: true })
  }

  async remove(key: string): Promise<void> {
    await this.#store.destroy(key, {})
  }
}
