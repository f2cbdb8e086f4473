/**
 * Sessions in Redis or Valkey, for any number of machines: {@link RedisStore}.
 *
 * @module koa-fastsession/redis
 */

// Keeps session records in Redis or Valkey: one string for each, changed by small scripts that touch one key, so that
// they run in a Cluster too. It knows what a record is made of; not what it is for.
import { randomBytes, randomInt } from 'node:crypto'
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../store.ts'
import { passOver } from './corrupt.ts'
import { connect, textOf, textsOf, unexpected, type Connection, type RedisClient } from './redis/client.ts'
import { isLate, listedUntil, OwnerIndex, SLACK, type Entry } from './redis/owners.ts'
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
import { prefixOf } from './redis/prefix.ts'
import { isWrongType, PortionReader } from './redis/portion-reader.ts'
import { runScript } from './redis/run.ts'
import { CREATE, DELETE, LONGEST, REPLACE, TOUCH, type Script } from './redis/scripts.ts'
import { feedOf, Subscription, type RedisSubscriber } from './redis/subscription.ts'
import { walkCluster, walkServer } from './redis/walk.ts'

export type { RedisClient } from './redis/client.ts'
export type { RedisSubscriber } from './redis/subscription.ts'

/** What a {@link RedisStore} may be told. */
export interface RedisStoreOptions {
  /**
   * What the name of every key begins with: apps that share a database need one each. 1 to 64 characters; none of
   * `{ } * ? [ ] \`, no blanks and no control characters.
   *
   * @default 'session:'
   */
  readonly prefix?: string | undefined
  /**
   * A second client, of `redis` (not `createSentinel()`, not a pool), `ioredis` or `iovalkey`, that hears at once which
   * sessions end in whichever process: for `session.signal`. Connected and closed by the caller; its connection may
   * carry other subscriptions. It need not be of the same library as the first.
   *
   * @default none: watched sessions are read now and then
   */
  readonly subscriber?: RedisSubscriber | undefined
}

/**
 * Keeps sessions in Redis (6.2 or later) or Valkey, on one server, a Sentinel set or a Cluster.
 *
 * The client is the caller's, connected and closed by the caller. It must read from primaries: a replica may still show
 * a session that ended. A read takes one round trip, a change one. An owner adds one command to create, touch and the
 * end, which of these three only create waits for; a touch or replace that has to extend the owner's index first takes
 * two more: the first of a new owner, and then one each time that the session has grown older by its lifetime.
 *
 * Every key has a time to live, a minute longer than what it keeps. A server that is out of memory must refuse writes
 * (`maxmemory-policy noeviction`) rather than end sessions; sessions can be ended then as well. Replication is
 * asynchronous: a failover may lose the last writes that were acknowledged, and an end among them.
 *
 * Ends are announced with `PUBLISH` on the channel `<prefix>ended` (one for all databases of a server; not sharded in a
 * Cluster, whose nodes pass it on to each other, so that one connection hears all). A key that holds anything that no
 * store has written is a session that has ended.
 *
 * An ACL needs `GET`, `MGET`, `GETRANGE`, `SET`, `DEL`, `EVAL`, `EVALSHA`, `PEXPIRE`, `TIME`, `ZADD`, `ZREM`, `ZSCORE`,
 * `ZCOUNT`, `ZRANGE`, `ZREVRANGE` and `ZREMRANGEBYSCORE` on the keys under the prefix; for `scan` also `SCAN` and
 * `INFO`, in a Cluster `CLUSTER COUNTKEYSINSLOT`, `GETKEYSINSLOT`, `SLOTS` and `MYID`; and `PUBLISH`, for the subscriber
 * `SUBSCRIBE`, on the channel. Where `PUBLISH` is refused, sessions end all the same and nobody hears of it.
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
  /** Only where the store was given a `subscriber`. */
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
  // The prefix as the server sees it, once it was asked.
  #seen: string | undefined

  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` when `client` or an option has another shape, or answers by callback;
   * `ERR_INVALID_ARG_VALUE` when the prefix breaks its rule or an option has an unknown name.
   */
  constructor(client: RedisClient, options: RedisStoreOptions = {}) {
    this.#connection = connect(client)
    this.#prefix = prefixOf(options)
    this.#owners = new OwnerIndex(this.#connection, this.#prefix)
    this.#channel = `${this.#prefix}ended`
    this.#reader = new PortionReader(this.#connection, this.#prefix)
    if (options.subscriber !== undefined) {
      const subscription = new Subscription(feedOf(options.subscriber, client), this.#channel)
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
    // Practically always the key is free. Where it is not, the script looks at what holds it: a live record, an expired
    // one, or this very record, whose answer was lost when the client sent the command again.
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
      // The index covers the record already. The entry is written all the same, because a failover may have lost it.
      this.#owners.addLater(owner, key, expiresAt, now)
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
      // One that was replaced after its entry was read comes all the same: it names the record that goes on in its place.
      const isReplaced = record?.payload.length === 0 && record.meta !== undefined
      if (record !== undefined && record.expiresAt > now && (record.owner === owner || isReplaced)) records.push(record)
    }
    this.#owners.clean(owner, without)
    return { records, cursor: page.cursor }
  }

  async listKeys(owner: string, now: number, limit: number, cursor: string | undefined): Promise<KeyPage> {
    const page = await this.#owners.page(owner, now, limit, cursor)
    const heads = await this.#reader.heads(page.entries.map(({ key }) => key))
    const ends = heads.map((head) => expiryOf(owner, head))
    this.#owners.clean(
      owner,
      page.entries.filter((_, index) => ends[index] === undefined),
    )
    const isLive = (index: number): boolean => (ends[index] ?? expiryOfReplaced(heads[index] ?? '') ?? now) > now
    return { keys: page.entries.filter((_, index) => isLive(index)).map(({ key }) => key), cursor: page.cursor }
  }

  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const { ask, sendToAll } = this.#connection
    // A client may put something before each key. The server tells what it sees.
    this.#seen ??= await ask(['EVAL', 'return KEYS[1]', '1', this.#prefix], this.#prefix, textOf)
    const real = this.#seen ?? this.#prefix
    const count = Math.min(Math.max(1, Math.floor(limit)), 1000)
    const page =
      sendToAll === undefined
        ? await walkServer(this.#connection, real, count, cursor)
        : await walkCluster(this.#connection, sendToAll, real, count, cursor)
    const keys = page.names.map((name) => name.slice(real.length))
    const values = await this.#reader.values(keys)
    const records = keys.map((key, index) => readable(key, values[index]))
    return {
      records: records.filter((record): record is SessionRecord => record !== undefined && record.expiresAt > now),
      cursor: page.cursor,
    }
  }

  serverTime(): Promise<number> {
    return this.#connection.ask(['TIME'], this.#prefix, (answer) => {
      const [seconds, microseconds] = textsOf(answer)
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
    })
  }

  /** Ends the subscription; the clients are the caller's, and stay as they are. */
  close(): void {
    this.#subscription?.close()
  }

  /** Writes what has an owner: the entry in the index, then what `write` writes. */
  async #listed<T>(owner: string, key: string, expiresAt: number, now: number, write: () => Promise<T>): Promise<T> {
    const began = performance.now()
    await this.#owners.add(owner, key, expiresAt, now)
    const result = await write()
    if (isLate(began)) await this.#owners.add(owner, key, expiresAt, now)
    return result
  }

  /**
   * Takes the entry of a replaced record out of its owner's index. A record that goes on may have gone back to that owner
   * meanwhile: then the entry is put back.
   */
  async #leave(line: string, key: string, isEnd: boolean, now: number): Promise<'done'> {
    const owner = readableOwner(line)
    if (owner === undefined) return 'done'
    const removed = this.#owners.remove(owner, key)
    // An end has happened: it must not wait, or be thought to have failed, for an index on another server.
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
    return runScript(this.#connection, script, key, args, (answer) => {
      const word = textOf(answer)
      if (word === undefined) throw unexpected(answer)
      return then(word)
    })
  }
}

function timeToLive(expiresAt: number, now: number): string {
  return `${Math.min(Math.max(0, Math.ceil(expiresAt - now)) + SLACK, LONGEST)}`
}
