// Stores written for koa-session and koa-generic-session: they answer by promise, and get the lifetime as an argument and in
// the value.
import type { SessionStore } from '../store.ts'
import { assertStore, notByCallback } from './arguments.ts'
import { recordIn } from './express.ts'
import { KeyValueStore, MAX_TTL } from './key-value-store.ts'

/** What a store for koa-session gets for a session: what koa-session would give it, with the record in place of data. */
export interface KoaStoredSession {
  /** The record as JSON, under a hash of the id; opaque to the store. */
  readonly record: string
  /** When the store may drop it, in epoch milliseconds. */
  readonly _expire: number
  /** The same as a duration from now, in milliseconds. */
  readonly _maxAge: number
}

/** A store for koa-session. Its other methods are not used, and it gets no `ctx`. */
export interface KoaStore {
  get(key: string, maxAge: number, options: { rolling: boolean }): unknown
  set(key: string, session: KoaStoredSession, maxAge: number, options: { rolling: boolean; changed: boolean }): unknown
  destroy(key: string, options: object): unknown
}

/**
 * A store for koa-session (such as koa-redis) as a store for `session()`. The caller owns it; it is never closed.
 *
 * Such a store cannot compare and set, and has no index by owner: the log says once what follows from that. Each change
 * takes one more read than with a store of this package. It gets `_expire` and `_maxAge` with the value, as from koa-session,
 * but no `ctx`. The first record that is created is read back once: a store that does not return it (one for koa-session2, a
 * client that answers by callback) is refused there, as a failure of the store.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `destroy`, a database client, or a
 * store for koa-session2 or express-session.
 */
export function fromKoaStore(store: KoaStore, ...none: readonly []): SessionStore {
  assertStore('fromKoaStore()', store, 'a store for koa-session', ['get', 'set', 'destroy'], none)
  return new KeyValueStore('fromKoaStore()', store, {
    async get(key) {
      // Some stores set a session's lifetime to this when they read it, so it must be the longest.
      return recordIn(await notByCallback('fromKoaStore()', store.get(key, MAX_TTL, { rolling: false })))
    },
    async set(key, record, ttl) {
      const session = { record, _expire: Date.now() + ttl, _maxAge: ttl }
      await store.set(key, session, ttl, { rolling: false, changed: true })
    },
    async remove(key) {
      await store.destroy(key, {})
    },
  })
}
