/**
 * Sessions in Redis or Valkey, for any number of machines: {@link RedisStore}.
 *
 * @module koa-fastsession/redis
 */

// Keeps session records in Redis or Valkey: one string per record, changed by small scripts that touch one key, so that they run
// in a Cluster too. It knows the fields of a record, but not what they are for.
import { randomBytes, randomInt } from 'node:crypto'
import { checkOptions, checkText } from '../checks.ts'
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../store.ts'
import { passOver } from '../store.ts'
import { connect, ignore, textOf, textsOf, unexpected, type Connection, type RedisClient } from './redis/client.ts'
import { LATE, listedUntil, OwnerIndex, SLACK, type Entry } from './redis/owners.ts'
import {
  back,
  damaged,
  decode,
  encodeNumber,
  expiryOf,
  expiryOfReplaced,
  front,
  readable,
  readableOwner,
} from './redis/record.ts'
import { noticeEviction } from './redis/eviction.ts'
import { isWrongType, PortionReader } from './redis/portion-reader.ts'
import { CREATE, DELETE, LONGEST, REPLACE, runScript, TOUCH, type Script } from './redis/scripts.ts'
import { feedOf, type RedisSubscriber } from './redis/feeds.ts'
import { Subscription } from './redis/subscription.ts'
import { walkCluster, walkServer } from './redis/walk.ts'

export type { RedisClient } from './redis/client.ts'
export type { RedisSubscriber } from './redis/feeds.ts'

/** The options of a {@link RedisStore}. */
export interface RedisStoreOptions {
  /**
   * The start of every key's name. Apps that share a database need different prefixes. 1 to 64 characters; none of
   * `{ } * ? [ ] \`, no blanks and no control characters.
   *
   * @default 'session:'
   */
  readonly prefix?: string | undefined
  /**
   * A second client, of `redis` (not `createSentinel()`, not a pool), `ioredis` or `iovalkey`, that is notified at once of
   * sessions that end in any process, for `session.signal`. The caller connects and closes it. Its connection may carry other
   * subscriptions, and it may be of another library than the first client.
   *
   * @default none: watched sessions are read periodically
   */
  readonly subscriber?: RedisSubscriber | undefined
}

// Braces would put every key into one slot of a Cluster.
const PREFIX = /^[^\p{C}\p{Z}{}*?[\]\\]{1,64}$/u
const PREFIX_RULE = '1 to 64 characters without braces, glob characters, blanks and control characters'

/**
 * Keeps sessions in Redis (6.2 or later) or Valkey, on one server, a Sentinel set or a Cluster.
 *
 * The caller connects and closes the client. It must read from primaries: a replica may still show a session that has ended. A
 * read takes one round trip, and so does a change. An owner adds one command to create, touch and the end of a session; only
 * create waits for it. A touch or replace that must first extend the owner's index takes two more: the first one with a new
 * owner, and then one each time that the session has aged by its lifetime.
 *
 * Every key has a time to live, one minute longer than its content lives. A server that is out of memory must refuse writes
 * (`maxmemory-policy noeviction`) rather than evict sessions; sessions can still be ended then. Replication is asynchronous: a
 * failover may lose the last acknowledged writes, including the end of a session.
 *
 * Ends are announced with `PUBLISH` on the channel `<prefix>ended`. All databases of a server share the channel. In a Cluster it
 * is not sharded: the nodes forward it to each other, so one connection receives all. A key with a value that no store has
 * written counts as a session that has ended.
 *
 * An ACL needs `GET`, `MGET`, `GETRANGE`, `SET`, `DEL`, `EVAL`, `EVALSHA`, `PEXPIRE`, `TIME`, `ZADD`, `ZREM`, `ZSCORE`,
 * `ZCOUNT`, `ZRANGE`, `ZREVRANGE` and `ZREMRANGEBYSCORE` on the keys under the prefix; for `scan` also `SCAN` and
 * `INFO`, in a Cluster `CLUSTER COUNTKEYSINSLOT`, `GETKEYSINSLOT`, `SLOTS` and `MYID`; and `PUBLISH`, for the subscriber
 * `SUBSCRIBE`, on the channel. Where `PUBLISH` is refused, sessions still end, but no subscriber is notified.
 *
 * ```ts
 * const client = createClient({ url, disableOfflineQueue: true })
 * const subscriber = client.duplicate()
 * // Without a listener a lost connection ends the process.
 * for (const each of [client, subscriber]) each.on('error', console.error)
 * await Promise.all([client.connect(), subscriber.connect()])
 * app.use(session({ store: new RedisStore(client, { subscriber }) }))
 * ```
 */
export class RedisStore implements SessionStore {
  /** Present only with `options.subscriber`. */
  readonly subscribe?: (onEnd: (key: string | undefined) => void) => () => void
  readonly #connection: Connection
  readonly #prefix: string
  readonly #owners: OwnerIndex
  readonly #channel: string
  readonly #subscription: Subscription | undefined
  readonly #writer = randomBytes(3).toString('base64url')
  readonly #call = Buffer.allocUnsafe(3)
  #calls = randomInt(0x1000000)
  readonly #reader: PortionReader
  // The prefix as the server sees it, once the server was asked.
  #seen: string | undefined

  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` when `client` or an option has the wrong shape, or the client answers by callback;
   * `ERR_INVALID_ARG_VALUE` for an invalid prefix or an unknown option.
   */
  constructor(client: RedisClient, options: RedisStoreOptions = {}) {
    this.#connection = connect(client)
    checkOptions(options, ['prefix', 'subscriber'])
    const { prefix = 'session:', subscriber } = options
    checkText(prefix, 'options.prefix', PREFIX, PREFIX_RULE)
    this.#prefix = prefix
    this.#owners = new OwnerIndex(this.#connection, prefix)
    this.#channel = `${prefix}ended`
    this.#reader = new PortionReader(this.#connection, prefix)
    if (subscriber !== undefined) {
      const subscription = new Subscription(feedOf(subscriber, client), this.#channel)
      this.#subscription = subscription
      this.subscribe = (onEnd) => subscription.add(onEnd)
    }
  }

  create(record: SessionRecord, now: number): Promise<boolean> {
    const tag = this.#tag()
    const { key, owner, expiresAt } = record
    const until = owner === undefined ? '' : listedUntil(expiresAt, now)
    const value = `${front(record)}${until}\n${tag}${back(record)}`
    const name = this.#prefix + key
    const lifetime = timeToLive(expiresAt, now)
    // The key is practically always free. If it is not, the script looks at its record: a live one, an expired one, or this very
    // record, if the client sent the command twice because the first answer was lost.
    const write = () =>
      this.#connection.ask(
        ['SET', name, value, 'NX', 'PX', lifetime],
        name,
        (answer) =>
          textOf(answer) !== undefined ||
          this.#run(CREATE, name, [tag, encodeNumber(now), lifetime, value], (word) => word === 'done'),
      )
    return owner === undefined ? write() : this.#listed(owner, key, expiresAt, now, write)
  }

  read(key: string, now: number): Promise<SessionRecord | undefined> {
    const name = this.#prefix + key
    return this.#connection.ask(
      ['GET', name],
      name,
      (answer) => {
        const value = textOf(answer)
        if (value === undefined) return undefined
        const record = decode(key, value)
        return record.expiresAt > now ? record : undefined
      },
      (error) => {
        throw isWrongType(error) ? damaged(error) : error
      },
    )
  }

  replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const { key, owner, expiresAt } = record
    const isExpired = expiresAt <= now
    const isEnd = isExpired || record.payload.length === 0
    const numbers = [encodeNumber(now), timeToLive(expiresAt, now), encodeNumber(version), encodeNumber(expiresAt)]
    const line = `${this.#tag()} ${numbers.join(' ')} `
    const rest = [front(record), back(record)]
    if (isEnd) rest.push(this.#channel, key)
    const attempt = <T>(until: string, then: (word: string) => T | Promise<T>): Promise<T> =>
      this.#run(REPLACE, this.#prefix + key, [line + until, ...rest], then)
    const settled = (word: string): Replaced | Promise<Replaced> => {
      if (word === 'done' || word === 'stale' || word === 'gone') return word
      if (word.startsWith('-')) return this.#leave(word.slice(1), key, isEnd, now)
      throw unexpected(word)
    }

    return attempt(isExpired && owner !== undefined ? '0' : '-', (word) => {
      if (word !== 'unlisted' || owner === undefined) return settled(word)
      return this.#listed(owner, key, expiresAt, now, () => attempt(listedUntil(expiresAt, now), settled))
    })
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    const numbers = [version, lastSeenAt, expiresAt].map(encodeNumber)
    const line = [encodeNumber(now), timeToLive(expiresAt, now), ...numbers].join(' ')
    const attempt = <T>(until: string, then: (word: string) => T | Promise<T>): Promise<T> =>
      this.#run(TOUCH, this.#prefix + key, [`${line} ${until}`], then)

    return attempt('-', (word) => {
      if (word === '-') return false
      if (word === '=' || word === '+') return true
      const owner = readableOwner(word.slice(1))
      if (owner === undefined) return false
      if (word.startsWith('?'))
        return this.#listed(owner, key, expiresAt, now, () =>
          attempt(listedUntil(expiresAt, now), (second) => second !== '-'),
        )
      // The index covers the record already. The entry is still written, because a failover may have lost it. It is not waited for:
      // if that fails, the next touch writes it.
      void this.#owners.add(owner, key, expiresAt, now).catch(ignore)
      return true
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#run(DELETE, this.#prefix + key, [this.#channel, key], (word) => {
      if (word === '-') return false
      const owner = readableOwner(word.slice(1))
      if (owner !== undefined) void this.#owners.remove(owner, key)
      return true
    })
  }

  async list(owner: string, now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const page = await this.#owners.page(owner, now, limit, cursor)
    const values = await this.#reader.values(page.entries.map(({ key }) => key))
    const records: SessionRecord[] = []
    const without: Entry[] = []
    for (const [index, entry] of page.entries.entries()) {
      const record = readable(entry.key, values[index])
      if (record?.owner !== owner) without.push(entry)
      // A record that was replaced after its entry was read is listed too: it names the record in which its session goes on.
      const isReplaced = record?.payload.length === 0 && record.meta !== undefined
      if (record !== undefined && record.expiresAt > now && (record.owner === owner || isReplaced)) records.push(record)
    }
    this.#owners.clean(owner, without)
    return { records, cursor: page.cursor }
  }

  async listKeys(owner: string, now: number, limit: number, cursor: string | undefined): Promise<KeyPage> {
    const page = await this.#owners.page(owner, now, limit, cursor)
    const heads = await this.#reader.heads(page.entries.map(({ key }) => key))
    const ends = heads.map((head) => expiryOf(owner, head ?? ''))
    const without = page.entries.filter((_, index) => ends[index] === undefined)
    this.#owners.clean(owner, without)
    const isLive = (index: number): boolean => (ends[index] ?? expiryOfReplaced(heads[index] ?? '') ?? now) > now
    return { keys: page.entries.filter((_, index) => isLive(index)).map(({ key }) => key), cursor: page.cursor }
  }

  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const { ask, sendToAll } = this.#connection
    // A client may add a prefix to each key, which only the server can show.
    this.#seen ??= await ask(['EVAL', 'return KEYS[1]', '1', this.#prefix], this.#prefix, textOf)
    const real = this.#seen ?? this.#prefix
    const count = Math.min(Math.max(1, Math.floor(limit)), 1000)
    const page =
      sendToAll === undefined
        ? await walkServer(this.#connection, real, count, cursor)
        : await walkCluster(this.#connection, sendToAll, real, count, cursor)
    const keys = page.names.map((name) => name.slice(real.length))
    const values = await this.#reader.values(keys)
    const records = keys.flatMap((key, index) => readable(key, values[index]) ?? [])
    return { records: records.filter(({ expiresAt }) => expiresAt > now), cursor: page.cursor }
  }

  serverTime(): Promise<number> {
    noticeEviction(this.#connection, this.#prefix)
    return this.#connection.ask(['TIME'], this.#prefix, (answer) => {
      const [seconds, microseconds] = textsOf(answer)
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    })
  }

  /** Ends the subscription. The clients are the caller's and stay open. */
  close(): void {
    this.#subscription?.close()
  }

  /** Writes a record with an owner: first the entry in the index, then the record by `write`. */
  async #listed<T>(owner: string, key: string, expiresAt: number, now: number, write: () => Promise<T>): Promise<T> {
    const began = performance.now()
    await this.#owners.add(owner, key, expiresAt, now)
    const result = await write()
    if (performance.now() - began > LATE) await this.#owners.add(owner, key, expiresAt, now)
    return result
  }

  /**
   * Removes the entry of a replaced record from its former owner's index. A record that is not ended may have returned to that
   * owner meanwhile: then the entry is added again.
   */
  async #leave(line: string, key: string, isEnd: boolean, now: number): Promise<'done'> {
    const owner = readableOwner(line)
    if (owner === undefined) return 'done'
    const removed = this.#owners.remove(owner, key)
    // The session has ended: its end must neither wait for nor fail with an index on another server.
    if (isEnd) return 'done'
    await removed
    const record = await this.read(key, now).catch(passOver)
    if (record?.owner === owner) await this.#owners.add(owner, key, record.expiresAt, now)
    return 'done'
  }

  #tag(): string {
    this.#calls = (this.#calls + 1) % 0x1000000
    this.#call.writeUIntBE(this.#calls, 0, 3)
    return this.#writer + this.#call.toString('base64url')
  }

  #run<T>(script: Script, key: string, args: readonly string[], then: (word: string) => T | Promise<T>): Promise<T> {
    return runScript(this.#connection, script, [key], args, (answer) => {
      const word = textOf(answer)
      if (word === undefined) throw unexpected(answer)
      return then(word)
    })
  }
}

function timeToLive(expiresAt: number, now: number): string {
  return `${Math.min(Math.max(0, Math.ceil(expiresAt - now)) + SLACK, LONGEST)}`
}
