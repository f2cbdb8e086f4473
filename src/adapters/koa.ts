// Stores written for koa-session and koa-generic-session: promises, and a lifetime as an argument and in the value.
import type { SessionStore } from '../store.ts'
import { assertStore, notByCallback } from './arguments.ts'
import { recordIn } from './express.ts'
import { KeyValueStore, MAX_TTL, type KeyValueClient } from './key-value-store.ts'

/** What a store of the Koa world is given for a session: as koa-session gives it, with the record in the place of data. */
export interface KoaStoredSession {
  /** The record as JSON, under a hash of the id; opaque to the store. */
  readonly record: string
  /** When the store may drop it, in epoch milliseconds. */
  readonly _expire: number
  /** How long that is from now, in milliseconds. */
  readonly _maxAge: number
}

/** A store for koa-session; what else it has is not used. There is no `ctx` for it. */
export interface KoaStore {
  get(key: string, maxAge: number, options: { rolling: boolean }): unknown
  set(key: string, session: KoaStoredSession, maxAge: number, options: { rolling: boolean; changed: boolean }): unknown
  destroy(key: string, options: object): unknown
}

/**
 * A store for koa-session (koa-redis and its kind) as a store for `session()`. It stays the caller's, and is never closed.
 *
 * Such a store cannot compare and set, and has no index by owner: the log says once what follows from that. Each change
 * costs it a read more than a store of this package. It gets `_expire` and `_maxAge` with the value, as from koa-session,
 * but no `ctx`. What the first create has stored is read back once: a store that does not give it back (one for
 * koa-session2, a client that answers by callback) is refused there, as a failure of the store.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `destroy`, a database client, or a
 * store for koa-session2 or express-session.
 */
export function fromKoaStore(store: KoaStore, ...none: readonly []): SessionStore {
  assertStore('fromKoaStore()', store, 'a store for koa-session', ['get', 'set', 'destroy'], none)
  return new KeyValueStore('fromKoaStore()', store, new KoaClient(store))
}

class KoaClient implements KeyValueClient {
  readonly #store: KoaStore

  constructor(store: KoaStore) {
    this.#store = store
  }

  async get(key: string): Promise<unknown> {
    // Some stores prolong a session by this when they read it: it must not cut one short.
    return recordIn(await notByCallback('fromKoaStore()', this.#store.get(key, MAX_TTL, { rolling: false })))
  }

  async set(key: string, record: string, ttl: number): Promise<void> {
    const session = { record, _expire: Date.now() + ttl, _maxAge: ttl }
    await this.#store.set(key, session, ttl, { rolling: false, changed: true })
  }

  async remove(key: string): Promise<void> {
    await this.#store.destroy(key, {})
  }
}
