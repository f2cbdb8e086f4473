/**
 * Sessions in Redis or Valkey, for any number of machines: {@link RedisStore}.
 *
 * @module koa-fastsession/redis
 */

// Keeps session records in Redis or Valkey: one string for each, changed by small scripts that touch one key, so that
// they run in a Cluster too. It knows the clients by their shape only, and what a record is made of; not what it is for.
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { invalidType, invalidValue } from '../errors.ts'
import { CorruptRecord, type Replaced, type SessionRecord, type SessionStore } from '../store.ts'
import { textIn } from './text.ts'

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

/** What a {@link RedisStore} may be told. */
export interface RedisStoreOptions {
  /**
   * What the name of every key begins with: apps that share a database need one each. 1 to 64 characters; none of
   * `{ } * ? [ ] \`, no blanks and no control characters.
   *
   * @default 'session:'
   */
  readonly prefix?: string | undefined
}

// What the server waits beyond the end of a record before it collects it: clocks of processes and servers differ.
const SLACK = 60_000
// A time to live that Redis can still add to its clock.
const LONGEST = 1e15

// A record is one string: seven lines and the payload. Scripts change the first lines and leave `back` alone.
//
//   kind and version       kind: t = text payload, j = text as JSON, b = bytes as base64
//   expiresAt
//   lastSeenAt
//   listedUntil            the score that its entry in the owner's index surely has; empty without an owner
//   tags                   who wrote last, eight characters each, see below
//   owner                  as JSON; empty without one
//   createdAt, meta        meta as JSON; empty without one
//   payload
//
// Numbers are in base 36, or decimal behind `=` where they are no whole number.
//
// Tags: a client may send a command twice, when a connection broke before the answer came (ioredis does). So each
// create and replace carries a tag, four characters for the store and four for the call, and a script that finds its own
// tag in the record knows that it ran before and answers again. Others may have replaced the record in between: hence
// the last tag of each store that wrote within the last minute stays, of up to eight. One for each is enough, because
// a client sends the commands of one connection in order.
const PARSE = `
local function number(text)
  return tonumber(text, 36) or tonumber(string.sub(text, 2))
end

local function holds(tags, tag)
  for one in string.gmatch(tags, '........') do
    if one == tag then return true end
  end
  return false
end

local value = redis.call('GET', KEYS[1])
local kind, version, expires, seen, listed, tags, owner, rest
if value then
  kind, version, expires, seen, listed, tags, owner, rest = string.match(value,
    '^(%l)([^\\n]+)\\n([^\\n]+)\\n([^\\n]+)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n()')
  if not rest then return redis.error_reply('ERR the value was not written by RedisStore') end
end
`

interface Script {
  readonly text: string
  readonly sha: string
}

function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

// KEYS: record. ARGV: tag, now, time to live, value. Answers 'done' or 'taken'.
const CREATE = script(`${PARSE}
if value then
  if holds(tags, ARGV[1]) then return 'done' end
  if number(expires) > number(ARGV[2]) then return 'taken' end
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
return 'done'
`)

// KEYS: record. ARGV: tag, now, time to live, the version to replace, front, expiresAt, listedUntil ('' when the index
// was not written for this call), owner, back. Answers 'done', 'stale', 'gone', or 'unlisted': nothing was written, for
// the index has to be written first.
const REPLACE = script(`${PARSE}
if not value then return 'gone' end
local tag, now = ARGV[1], number(ARGV[2])
local live = number(expires) > now
if not live or version ~= ARGV[4] then
  if holds(tags, tag) then return 'done' end
  return live and 'stale' or 'gone'
end

local covered = ARGV[7]
if covered == '' and ARGV[8] ~= '' then
  if ARGV[8] ~= owner or number(listed) < number(ARGV[6]) then return 'unlisted' end
  covered = listed
end

local kept = tag
if now - number(seen) <= 60000 then
  for one in string.gmatch(tags, '........') do
    if #kept < 64 and string.sub(one, 1, 4) ~= string.sub(tag, 1, 4) then kept = kept .. one end
  end
end
redis.call('SET', KEYS[1], ARGV[5] .. covered .. '\\n' .. kept .. ARGV[9], 'PX', ARGV[3])
return 'done'
`)

// KEYS: record. ARGV: now, time to live, version, lastSeenAt, expiresAt, listedUntil ('' as above). Answers '-' refused,
// '=' older than what is stored, '+' and the owner when done, '?' and the owner when the index has to be written first.
const TOUCH = script(`${PARSE}
if not value or version ~= ARGV[3] or number(expires) <= number(ARGV[1]) then return '-' end
if number(ARGV[4]) < number(seen) then return '=' end
local covered = ARGV[6]
if covered == '' and owner ~= '' then
  if number(listed) < number(ARGV[5]) then return '?' .. owner end
  covered = listed
end
local front = kind .. version .. '\\n' .. ARGV[5] .. '\\n' .. ARGV[4] .. '\\n' .. covered .. '\\n' .. tags .. '\\n' .. owner .. '\\n'
redis.call('SET', KEYS[1], front .. string.sub(value, rest), 'PX', ARGV[2])
return '+' .. owner
`)

// KEYS: index. ARGV: the record's key, its score, the instant before which entries are past, now, slack.
const ENLIST = script(`
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last then redis.call('PEXPIRE', KEYS[1], math.ceil(math.min(last - ARGV[4] + ARGV[5], ${LONGEST}))) end
return 'done'
`)

/**
 * Keeps sessions in Redis (6.2 or later) or Valkey, on one server, a Sentinel set or a Cluster.
 *
 * The client is the caller's, connected and closed by the caller. It must read from primaries: a replica may still show
 * a session that ended. A read takes one round trip, a change one. An owner adds one to create, touch and delete; a touch
 * or replace that has to extend the owner's index first takes two more: the first of a new owner, and then one each time
 * that the session has grown older by its lifetime.
 *
 * Every key has a time to live, a minute longer than what it keeps. A server that is out of memory must refuse writes
 * (`maxmemory-policy noeviction`) rather than end sessions. Replication is asynchronous: a failover may lose the last
 * writes that were acknowledged, and an end among them.
 *
 * An ACL needs `GET`, `SET`, `GETDEL`, `EVAL`, `EVALSHA`, `PEXPIRE`, `ZADD`, `ZREM`, `ZRANGEBYSCORE`, `ZREVRANGE` and
 * `ZREMRANGEBYSCORE` on the keys under the prefix.
 *
 * ```ts
 * const client = await createClient({ url }).connect()
 * app.use(session({ store: new RedisStore(client) }))
 * ```
 */
export class RedisStore implements SessionStore {
  readonly #send: Send
  readonly #prefix: string
  readonly #writer = randomBytes(3)
  #calls = randomInt(0x1000000)

  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` when `client` has none of the shapes, `ERR_INVALID_ARG_VALUE` when the
   * prefix breaks its rule.
   */
  constructor(client: RedisClient, options: RedisStoreOptions = {}) {
    this.#send = sender(client)
    this.#prefix = validPrefix(options)
  }

  async create(record: SessionRecord, now: number): Promise<boolean> {
    const tag = this.#tag()
    const { key, owner, expiresAt } = record
    const listedUntil = owner === undefined ? '' : number(coverage(expiresAt, now))
    const value = `${front(record)}${listedUntil}\n${tag}${back(record)}`

    const name = this.#prefix + key
    const lifetime = timeToLive(expiresAt, now)

    if (owner !== undefined) await this.#enlist(owner, key, expiresAt, now)
    // A new key is free but for a chance of nothing. Only where it is not, the script looks at what holds it: a live record, an
    // expired one, or this very record, whose answer was lost when the client sent the command again.
    if (textOf(await this.#send(['SET', name, value, 'NX', 'PX', lifetime], name)) !== undefined) return true
    return (await this.#run(CREATE, name, [tag, number(now), lifetime, value])) === 'done'
  }

  async read(key: string, now: number): Promise<SessionRecord | undefined> {
    const name = this.#prefix + key
    const value = textOf(await this.#send(['GET', name], name))
    if (value === undefined) return undefined
    const record = decode(key, value)
    return record.expiresAt > now ? record : undefined
  }

  async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const { key, owner, expiresAt } = record
    const before = [
      this.#tag(),
      number(now),
      timeToLive(expiresAt, now),
      number(version),
      front(record),
      number(expiresAt),
    ]
    const after = [owner === undefined ? '' : JSON.stringify(owner), back(record)]
    const attempt = (listedUntil: string) => this.#run(REPLACE, this.#prefix + key, [...before, listedUntil, ...after])

    let answer = await attempt('')
    if (answer === 'unlisted' && owner !== undefined) {
      await this.#enlist(owner, key, expiresAt, now)
      answer = await attempt(number(coverage(expiresAt, now)))
    }
    if (answer === 'done' || answer === 'stale' || answer === 'gone') return answer
    throw unexpected(answer)
  }

  async touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    const before = [number(now), timeToLive(expiresAt, now), number(version), number(lastSeenAt), number(expiresAt)]
    const attempt = (listedUntil: string) => this.#run(TOUCH, this.#prefix + key, [...before, listedUntil])

    const answer = await attempt('')
    if (answer === '-') return false
    if (answer === '=' || answer === '+') return true

    const owner = JSON.parse(answer.slice(1)) as string
    if (answer.startsWith('?')) {
      await this.#enlist(owner, key, expiresAt, now)
      return (await attempt(number(coverage(expiresAt, now)))) !== '-'
    }
    // The index covers the record already. It is written all the same, because a failover may have lost the entry; so
    // a failure takes nothing from the touch, which is done.
    await this.#enlist(owner, key, expiresAt, now).catch(() => undefined)
    return true
  }

  async delete(key: string): Promise<boolean> {
    const name = this.#prefix + key
    const value = textOf(await this.#send(['GETDEL', name], name))
    if (value === undefined) return false
    const owner = value.split('\n', 6)[5] ?? ''
    if (owner !== '') {
      const index = this.#index(JSON.parse(owner) as string)
      // The session has ended. An entry that stays behind is passed over by list and goes when it is past.
      await this.#send(['ZREM', index, key], index).catch(() => undefined)
    }
    return true
  }

  // The index is a sorted set of keys. An entry is written before its record, with a score that no expiresAt of the
  // record exceeds until the next entry, and only an entry whose score is past goes, when another one is written. So a
  // live record is always listed, whatever was interrupted between the two. That list finds no record behind an entry,
  // or one of another owner, proves nothing: a create or replace may be under way which has written its entry and not yet
  // its record, and neither clock nor lock spans two slots of a Cluster. Therefore list passes over such an entry and
  // leaves it; it costs one GET until its score is past. Only delete removes one: after it nothing revives the record.
  async list(owner: string, now: number): Promise<SessionRecord[]> {
    const index = this.#index(owner)
    const keys = await this.#send(['ZRANGEBYSCORE', index, `(${now}`, '+inf'], index)
    if (!Array.isArray(keys)) throw unexpected(keys)
    const records = await Promise.all(keys.map((key: unknown) => this.read(textOf(key) ?? '', now).catch(passOver)))
    return records.filter((record): record is SessionRecord => record?.owner === owner)
  }

  /** Does nothing: the client is the caller's, and the store has no timers. */
  close(): void {
    // nothing of its own
  }

  #index(owner: string): string {
    return `${this.#prefix}owner:${createHash('sha256').update(owner).digest('base64url').slice(0, 32)}`
  }

  async #enlist(owner: string, key: string, expiresAt: number, now: number): Promise<void> {
    await this.#run(ENLIST, this.#index(owner), [
      key,
      `${coverage(expiresAt, now)}`,
      `${now - SLACK}`,
      `${now}`,
      `${SLACK}`,
    ])
  }

  #tag(): string {
    this.#calls = (this.#calls + 1) % 0x1000000
    const call = Buffer.allocUnsafe(3)
    call.writeUIntBE(this.#calls, 0, 3)
    return this.#writer.toString('base64url') + call.toString('base64url')
  }

  /** Runs a script by its hash; sends it whole where the server does not know it (new, flushed or failed over). */
  async #run({ sha, text }: Script, key: string, args: readonly string[]): Promise<string> {
    let answer
    try {
      answer = await this.#send(['EVALSHA', sha, '1', key, ...args], key)
    } catch (error) {
      if (!(error instanceof Error && /NOSCRIPT|NoScript/.test(error.message))) throw error
      answer = await this.#send(['EVAL', text, '1', key, ...args], key)
    }
    const word = textOf(answer)
    if (word === undefined) throw unexpected(answer)
    return word
  }
}

type Send = (command: string[], key: string) => Promise<unknown>

function sender(client: RedisClient): Send {
  const send = route(client)
  return async (command, key) => {
    try {
      return await send(command, key)
    } catch (error) {
      // ioredis hangs the command on the error, and with it the session, for every logger to print.
      if (error instanceof Error && 'command' in error) error.command = command[0]
      throw error
    }
  }
}

function route(client: RedisClient): Send {
  if (has(client, 'customCommand')) return (command) => client.customCommand(command)
  if (has(client, 'call')) return ([name = '', ...args]) => client.call(name, args)
  if (has(client, 'sendCommand')) {
    if (has(client, 'getSlotRandomNode')) return (command, key) => client.sendCommand(key, false, command)
    if (has(client, 'getMasterNode')) return (command) => client.sendCommand(false, command)
    return (command) => client.sendCommand(command)
  }
  throw invalidType('client', 'a client of redis, ioredis, iovalkey or @valkey/valkey-glide', client)
}

/** Whether a client has that method; tells the shapes of the union apart. */
function has<Name extends string>(
  client: RedisClient,
  name: Name,
): client is Extract<RedisClient, Record<Name, unknown>> {
  const value: unknown = client
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
}

function validPrefix(options: RedisStoreOptions): string {
  const { prefix = 'session:' } = options
  if (typeof prefix !== 'string') throw invalidType('options.prefix', 'a string', prefix)
  // Braces would put every key into one slot of a Cluster.
  if (!/^[^\p{C}\p{Z}{}*?[\]\\]{1,64}$/u.test(prefix)) {
    throw invalidValue(
      'options.prefix',
      '1 to 64 characters without braces, glob characters, blanks and control characters',
      prefix,
    )
  }
  return prefix
}

/** How long an index entry counts: one more lifetime than its record, so that touches and replaces need not move it. */
function coverage(expiresAt: number, now: number): number {
  return expiresAt + Math.max(0, expiresAt - now)
}

function timeToLive(expiresAt: number, now: number): string {
  return `${Math.min(Math.max(0, Math.ceil(expiresAt - now)) + SLACK, LONGEST)}`
}

function number(value: number): string {
  return Number.isSafeInteger(value) && value >= 0 ? value.toString(36) : `=${value}`
}

/** The lines before listedUntil. */
function front({ version, payload, expiresAt, lastSeenAt }: SessionRecord): string {
  const kind = typeof payload !== 'string' ? 'b' : isWellFormed(payload) ? 't' : 'j'
  return `${kind}${number(version)}\n${number(expiresAt)}\n${number(lastSeenAt)}\n`
}

/** What comes after the tags. */
function back({ owner, createdAt, meta, payload }: SessionRecord): string {
  const lines = [
    owner === undefined ? '' : JSON.stringify(owner),
    number(createdAt),
    meta === undefined ? '' : JSON.stringify(meta),
  ]
  return `\n${lines.join('\n')}\n${encode(payload)}`
}

function encode(payload: string | Uint8Array): string {
  if (typeof payload !== 'string')
    return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64')
  return isWellFormed(payload) ? payload : JSON.stringify(payload)
}

// Text with half a surrogate pair would not survive UTF-8.
const isWellFormed = (text: string): boolean => !/\p{Cs}/u.test(text)

// What the scripts take apart, and only that: what they could not read would be an error with each change.
const NUMBER = '(?:[\\da-z]+|=-?(?:[\\d.e+-]+|Infinity))'
const HEAD = new RegExp(`^[a-z]${NUMBER}\n${NUMBER}\n${NUMBER}\n(?:\n[^\n]*\n\n|${NUMBER}\n[^\n]*\n[^\n]*\n)`)

function decode(key: string, value: string): SessionRecord {
  const lines: string[] = []
  let start = 0
  for (let end = value.indexOf('\n'); end >= 0 && lines.length < 8; end = value.indexOf('\n', start)) {
    lines.push(value.slice(start, end))
    start = end + 1
  }
  const [first = '', expiresAt = '', lastSeenAt = '', , , owner = '', createdAt = '', meta] = lines
  if (meta === undefined || !HEAD.test(value))
    throw new CorruptRecord(
      'the value of a session was not written by RedisStore: give the store a prefix that nobody else uses',
    )
  return {
    key,
    version: parse(first.slice(1)),
    payload: decodePayload(first.charAt(0), value.slice(start)),
    owner: owner === '' ? undefined : textIn(owner),
    createdAt: parse(createdAt),
    lastSeenAt: parse(lastSeenAt),
    expiresAt: parse(expiresAt),
    meta: meta === '' ? undefined : textIn(meta),
  }
}

function decodePayload(kind: string, text: string): string | Uint8Array {
  if (kind === 't') return text
  if (kind === 'j') return textIn(text)
  if (kind === 'b') return Uint8Array.from(Buffer.from(text, 'base64'))
  throw new CorruptRecord(
    'the value of a session was written by another version of RedisStore: give each version a prefix of its own',
  )
}

/** One session that cannot be read must not keep the others of its owner from being listed. */
function passOver(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}

function parse(text: string): number {
  return text.startsWith('=') ? Number(text.slice(1)) : Number.parseInt(text, 36)
}

/** Text of an answer: clients may be set to give bytes. */
function textOf(answer: unknown): string | undefined {
  if (typeof answer === 'string') return answer
  if (answer instanceof Uint8Array) return Buffer.from(answer).toString()
  if (answer === null || answer === undefined) return undefined
  throw unexpected(answer)
}

function unexpected(answer: unknown): Error {
  return new Error(
    `the Redis client answered with ${answer === null ? 'null' : `a ${typeof answer}`} where RedisStore expected something else`,
  )
}
