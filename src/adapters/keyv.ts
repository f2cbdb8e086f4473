// Keyv of any version, recognised by its shape. In an outage of its storage, Keyv answers as if nothing were stored. Versions
// differ in what they emit, throw or conceal, and an outage must never look like an absent session.
import { invalidMix } from '../errors.ts'
import type { SessionStore } from '../store.ts'
import { assertStore, notByCallback } from './arguments.ts'
import { errorOf, KeyValueStore, type KeyValueClient } from './key-value-store.ts'

/** A Keyv, or anything else with these methods. */
export interface KeyvLike {
  get(key: string): unknown
  set(key: string, value: string, ttl: number): unknown
  delete(key: string): unknown
  getRaw?(key: string): unknown
  readonly throwOnErrors?: boolean
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

/**
 * A Keyv (5, 6) as a store for `session()`. The caller owns it; it is never disconnected. Give it a namespace of its own.
 *
 * Keyv cannot compare and set, and has no index by owner: the log says once what follows from that. Each change takes one
 * more read than with a store of this package. An error that Keyv emits fails the calls under way, because Keyv itself
 * answers `undefined` then, and an outage is not an absent session. Over memcached a session ends thirty days after its last
 * write, because memcached keeps nothing longer.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for something without `get`, `set` and `delete`, or a Map;
 * `ERR_INVALID_ARG_VALUE` for a Keyv 5.4 without `throwOnErrors: true`, which conceals outages.
 */
export function fromKeyv(keyv: KeyvLike, ...none: readonly []): SessionStore {
  assertStore('fromKeyv()', keyv, 'a Keyv', ['get', 'set', 'delete'], none)
  if (typeof keyv.getRaw !== 'function' && keyv.throwOnErrors === false) {
    throw invalidMix(
      'this Keyv answers an outage as an absent session: update it to 5.5 or later, or make it with throwOnErrors: true',
    )
  }
  return new KeyValueStore('fromKeyv()', keyv, clientOf(keyv))
}

function clientOf(keyv: KeyvLike): KeyValueClient {
  let errors = 0
  let lastError: unknown
  keyv.on?.('error', (error) => {
    errors++
    lastError = error
  })
  /** Fails if an error was emitted meanwhile. It may belong to another call, but no outage is taken for an absent session. */
  const watched = async (call: () => unknown): Promise<unknown> => {
    const before = errors
    const answer = await call()
    if (errors === before) return answer
    throw errorOf(lastError)
  }
  return {
    async get(key) {
      if (typeof keyv.getRaw !== 'function') return watched(() => notByCallback('fromKeyv()', keyv.get(key)))
      // Keyv 5 conceals a failed get(), but not a failed getRaw().
      const held = await watched(() => keyv.getRaw?.(key))
      return typeof held === 'object' && held !== null && 'value' in held ? held.value : held
    },
    async set(key, record, ttl) {
      const isSet = await watched(() => keyv.set(key, record, ttl))
      if (isSet === false) throw new Error('Keyv did not store the session')
    },
    async remove(key) {
      const isRemoved = await watched(() => keyv.delete(key))
      // Another process may have removed it. But Keyv 5 with `emitErrors: false` answers a failure in the same way.
      if (isRemoved === false && ((await this.get(key)) ?? undefined) !== undefined)
        throw new Error('Keyv did not remove the session')
    },
  }
}
