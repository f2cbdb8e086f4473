// The clients, recognised by shape: sends a command to the server that holds a key, or to each primary.
import { describe, invalidType } from '../../errors.ts'
import { isObject, isPromise } from '../../store.ts'

/** `redis`: `createClient()`, `createClientPool()`. */
interface RedisSingle {
  sendCommand(args: string[]): Promise<unknown>
}

/** `redis`: `createSentinel()`. */
interface RedisSentinel {
  sendCommand(isReadonly: boolean | undefined, args: string[]): Promise<unknown>
  getMasterNode(): unknown
}

/** `redis`: `createCluster()`. */
interface RedisCluster {
  sendCommand(firstKey: string | undefined, isReadonly: boolean | undefined, args: string[]): Promise<unknown>
  getSlotRandomNode(slot: number): unknown
}

/** `ioredis` and `iovalkey`: `Redis`, `Cluster`. */
interface CallingClient {
  call(command: string, args: string[]): Promise<unknown>
}

/** `@valkey/valkey-glide`: `GlideClient`, `GlideClusterClient`. */
interface GlideClient {
  customCommand(args: string[]): Promise<unknown>
}

/** A client of `redis`, `ioredis`, `iovalkey` or `@valkey/valkey-glide`: for one server, a Sentinel set or a Cluster. */
export type RedisClient = RedisSingle | RedisSentinel | RedisCluster | CallingClient | GlideClient

/** What the store asks of a client. */
export interface Connection {
  /**
   * Sends a command to the server that holds `key` and handles the answer, with one promise beside the client's own.
   * Errors that it rejects with, or passes to `fail`, show no argument of the command.
   */
  readonly ask: <T>(
    command: string[],
    key: string,
    then: (answer: unknown) => T | Promise<T>,
    fail?: (error: unknown) => T | Promise<T>,
  ) => Promise<T>
  /** Sends a command to each primary of a Cluster that the client knows; `undefined` where there is one server. */
  readonly sendToAll: ((command: string[]) => Promise<readonly unknown[]>) | undefined
}

// Members that are used of clients but are not in the union above, whose types are public and stay narrow.
interface Shapes {
  readonly options?: {
    readonly keyPrefix?: unknown
    readonly legacyMode?: unknown
    readonly enableAutoPipelining?: unknown
  }
  readonly isCluster?: unknown
  readonly masters: readonly unknown[]
  nodeClient(node: unknown): RedisSingle | Promise<RedisSingle>
  nodes(role: 'master'): readonly CallingClient[]
  pipeline(commands: string[][]): { exec(): Promise<[Error | null, unknown][] | null> }
  customCommand(args: string[], options: { decoder: 0; route?: 'allPrimaries' }): Promise<unknown>
}

// valkey-glide rejects an answer that is not UTF-8, unless it is asked for bytes.
const BYTES = { decoder: 0 } as const

type Send = (command: string[], key: string) => Promise<unknown>

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` unless it is a client that answers with promises. */
export function connect(client: RedisClient): Connection {
  const shape = client as unknown as Shapes
  refuseCallbacks(client)
  const send = route(client, shape)
  return {
    ask: (command, key, then, fail = thrown) =>
      promised(send(command, key)).then(then, (error: unknown) => fail(discreet(error, command[0]))),
    sendToAll: broadcast(client, shape),
  }
}

function route(client: RedisClient, shape: Shapes): Send {
  if (has(client, 'customCommand')) return (command) => shape.customCommand(command, BYTES)
  if (has(client, 'call')) {
    const { enableAutoPipelining, keyPrefix } = shape.options ?? {}
    if (shape.isCluster === true && enableAutoPipelining === true) return pipelined(shape)
    // iovalkey, and ioredis before version 6, recognise commands only in lower case: they neither route others by their key nor
    // add the `keyPrefix` to it. With a `keyPrefix`, commands stay in upper case, so that keys stay as in version 0.1.
    if (typeof keyPrefix === 'string' && keyPrefix !== '')
      return noticing(([name = '', ...args]) => client.call(name, args), keyPrefix)
    return ([name = '', ...args]) => client.call(name.toLowerCase(), args)
  }
  if (has(client, 'sendCommand')) {
    if (has(client, 'getSlotRandomNode')) return (command, key) => client.sendCommand(key, false, command)
    if (has(client, 'getMasterNode')) return (command) => client.sendCommand(false, command)
    return (command) => client.sendCommand(command)
  }
  throw notAClient(client)
}

const noticed = new Set<string>()

/** Warns once if the server's keys do not have the client's `keyPrefix`, so that apps may share keys that they think apart. */
function noticing(send: Send, keyPrefix: string): Send {
  let isAsked = false
  return (command, key) => {
    const answer = send(command, key)
    if (isAsked) return answer
    isAsked = true
    const look = async (): Promise<void> => {
      const seen = textOf(await send(['EVAL', 'return KEYS[1]', '1', key], key))
      if (seen?.startsWith(keyPrefix) !== false || noticed.has(keyPrefix)) return
      noticed.add(keyPrefix)
      process.emitWarning(
        'the Redis client does not add its keyPrefix to the keys of the RedisStore: apps that differ only in their keyPrefix share their sessions. Give each store a prefix of its own, as in new RedisStore(client, { prefix }); its sessions begin anew then.',
        { type: 'SessionWarning', code: 'KOA_FASTSESSION_KEY_PREFIX_IGNORED' },
      )
    }
    answer.then(
      () => void look().catch(ignore), // only a help: where EVAL is refused there is no warning
      () => (isAsked = false),
    )
    return answer
  }
}

/**
 * For a Cluster with `enableAutoPipelining`: iovalkey, and ioredis before version 6, then take the first argument for the key,
 * which is wrong for `call` and for EVALSHA. A pipeline of one command is routed by its keys.
 */
function pipelined(cluster: Shapes): Send {
  return async ([name = '', ...args]) => {
    const [answer] = (await cluster.pipeline([[name.toLowerCase(), ...args]]).exec()) ?? []
    if (answer === undefined) throw new Error('the Redis client gave no answer')
    if (answer[0] !== null) throw answer[0]
    return answer[1]
  }
}

function broadcast(client: RedisClient, shape: Shapes): Connection['sendToAll'] {
  if (has(client, 'customCommand')) {
    // Only a Cluster client has routes.
    if (!hasMethod(client, 'fcallWithRoute')) return undefined
    return async (command) => {
      const answers = await shape.customCommand(command, { ...BYTES, route: 'allPrimaries' })
      // One answer per node, under the node's address; with a single node, the answer alone.
      if (isAnswerOfNodes(answers)) return answers.map(({ value }) => value)
      return isObject(answers) && !Array.isArray(answers) ? (Object.values(answers) as unknown[]) : [answers]
    }
  }
  if (has(client, 'call')) {
    if (shape.isCluster !== true) return undefined
    return ([name = '', ...args]) => Promise.all(shape.nodes('master').map((node) => node.call(name, args)))
  }
  if (!has(client, 'getSlotRandomNode')) return undefined
  return (command) =>
    Promise.all(shape.masters.map(async (master) => (await shape.nodeClient(master)).sendCommand(command)))
}

function isAnswerOfNodes(answers: unknown): answers is { value: unknown }[] {
  return Array.isArray(answers) && answers.every((each: unknown) => isObject(each) && 'key' in each && 'value' in each)
}

// ioredis attaches the command to the error, and with it the session, which a logger would print.
function discreet(error: unknown, name: string | undefined): unknown {
  if (error instanceof Error && 'command' in error) error.command = name
  return error
}

function thrown(error: unknown): never {
  throw error
}

function promised(answer: Promise<unknown>): Promise<unknown> {
  if (isPromise<unknown>(answer)) return answer
  return Promise.reject(
    new TypeError(
      'the client gave no promise, so it answers by callback: RedisStore takes a client of redis 4 or later, without legacyMode',
    ),
  )
}

const CLIENTS = 'a client of redis, ioredis, iovalkey or @valkey/valkey-glide'

function refuseCallbacks(client: RedisClient): void {
  const isOfRedis3 = hasMethod(client, 'internal_send_command')
  // The argument may be of any type.
  const { options, constructor } = ((client as unknown) ?? {}) as Partial<Shapes> & { constructor?: { name?: unknown } }
  const remedy =
    'redis 3, legacyMode and legacy() answer by callback; give the client of createClient() in redis 4 or later'
  if (isOfRedis3 || options?.legacyMode === true || constructor?.name === 'RedisLegacyClient')
    throw invalidType('client', `${CLIENTS} that answers with promises`, client, remedy)
}

function notAClient(client: unknown): TypeError {
  const inner: unknown = isObject(client) ? Reflect.get(client, 'client') : undefined
  const remedy = isObject(inner) ? 'the client is the first argument: new RedisStore(client, options)' : undefined
  return invalidType('client', CLIENTS, client, remedy)
}

/** Whether a value has that method. */
export function hasMethod(value: unknown, name: string): boolean {
  return isObject(value) && typeof Reflect.get(value, name) === 'function'
}

/** Whether a client has that method; narrows the union to that shape. */
function has<Name extends string>(
  client: RedisClient,
  name: Name,
): client is Extract<RedisClient, Record<Name, unknown>> {
  return hasMethod(client, name)
}

/** For an answer or an error that does not matter. */
export function ignore(): undefined {
  return undefined
}

/** The text of an answer, which a client may give as bytes. `undefined` for nil. */
export function textOf(answer: unknown): string | undefined {
  if (typeof answer === 'string') return answer
  if (answer instanceof Uint8Array) return Buffer.from(answer).toString()
  if (answer === null || answer === undefined) return undefined
  throw unexpected(answer)
}

/** The texts of a list answer; numbers become text, nil becomes ''. */
export function textsOf(answer: unknown): string[] {
  if (!Array.isArray(answer)) throw unexpected(answer)
  return answer.map((each: unknown) => (typeof each === 'number' ? `${each}` : (textOf(each) ?? '')))
}

/** The error for an answer that the protocol does not allow. */
export function unexpected(answer: unknown): Error {
  return new Error(`the Redis client answered with ${describe(answer)} where RedisStore expected something else`)
}
