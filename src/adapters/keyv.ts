// Keyv of any version, recognised by its shape. In an outage of its storage, Keyv answers as if nothing were stored. Versions
// differ in what they emit, throw or conceal, and an outage must never look like an absent session.
import { invalidMix } from '../errors.ts'
import type { SessionStore } from '../store.ts'
import { assertStore, notByCallback } from './arguments.ts'
import { KeyValueStore, type KeyValueClient } from './key-value-store.ts'

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
  return new KeyValueStore('fromKeyv()', keyv, new KeyvClient(keyv))
}

class KeyvClient implements KeyValueClient {
  readonly #keyv: KeyvLike
  #errors = 0
  #lastError: unknown

  constructor(keyv: KeyvLike) {
    this.#keyv = keyv
    keyv.on?.('error', (error) => {
      this.#errors++
      this.#lastError = error
    })
  }

  async get(key: string): Promise<unknown> {
    if (typeof this.#keyv.getRaw !== 'function')
      return this.#watched(() => notByCallback('fromKeyv()', this.#keyv.get(key)))
    // Keyv 5 conceals a failed get(), but not a failed getRaw().
    const held = await this.#watched(() => this.#keyv.getRaw?.(key))
    return typeof held === 'object' && held !== null && 'value' in held ? held.value : held
  }

  async set(key: string, record: string, ttl: number): Promise<void> {
    const isSet = await this.#watched(() => this.#keyv.set(key, record, ttl))
    if (isSet === false) throw new Error('Keyv did not store the session')
  }

  async remove(key: string): Promise<void> {
    await this.#watched(() => this.#keyv.delete(key))
  }

  /** Fails if an error was emitted meanwhile. It may belong to another call, but no outage is taken for an absent session. */
  async #watched(call: () => unknown): Promise<unknown> {
    const before = this.#errors
    const answer = await call()
    if (this.#errors === before) return answer
    throw this.#lastError instanceof Error ? this.#lastError : new Error(String(this.#lastError))
  }
}
