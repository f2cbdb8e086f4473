// Checks the argument of an adapter. Much that is no such store has methods of the same names, so the errors say what it is.
import { invalidType } from '../errors.ts'

/**
 * Adapters have no options: the session sets the lifetime, the foreign store a prefix.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` for options after the store, for a store that lacks one of these methods, and for
 * known objects of another kind.
 */
export function assertStore(
  adapter: string,
  store: unknown,
  rule: string,
  methods: readonly string[],
  [options]: readonly unknown[],
): void {
  const name = `the argument of ${adapter}`
  const given = (store ?? {}) as Readonly<Record<string, unknown>>
  const has = (method: string): boolean => typeof given[method] === 'function'
  const refused = (remedy: string): TypeError => invalidType(name, rule, store, remedy)
  if (has('create') && has('read') && has('replace'))
    throw refused('this is a store for session() already: options.store takes it as it is')
  if (has('sendCommand') || has('customCommand'))
    throw refused('this is a Redis client: new RedisStore(client) takes it')
  if (has('getID')) throw refused('this is a store for koa-session2, which takes other arguments')
  if (adapter !== 'fromExpressStore()' && has('createSession'))
    throw refused('this is a store for express-session: fromExpressStore(store) takes it')
  if (store instanceof Map) throw refused('a Map forgets nothing, new Keyv() does')
  const missing = methods.find((method) => !has(method))
  if (missing !== undefined) throw invalidType(name, `${rule}, with a method ${missing}`, store)
  if (typeof options === 'object')
    throw invalidType(`a second argument of ${adapter}`, 'left out', options, 'an adapter has no options')
}

/**
 * The foreign answer, a promise or a value.
 *
 * @throws {Error} for `true` and `false`, which clients that answer by callback return.
 */
export function notByCallback(adapter: string, answer: unknown): unknown {
  if (typeof answer === 'boolean')
    throw new Error(
      `${adapter}: get() answered ${String(answer)} where a promise or a session is due. A client that answers by callback must be wrapped in promises`,
    )
  return answer
}
