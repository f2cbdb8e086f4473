// The store contract over a foreign store that only gets, sets and removes. A record is passed as one text, so that it survives
// what the foreign store does with objects. Each write reads, compares and writes within one turn of its key.
import {
  CorruptRecord,
  isObject,
  unlessCorrupt,
  type Replaced,
  type SessionRecord,
  type SessionStore,
} from '../store.ts'
import { queueOf, within, type KeyedQueue, type Turn } from './keyed-queue.ts'

/** A foreign store, as an adapter presents it. Its errors are passed on as they are. */
export interface KeyValueClient {
  /** What was set; `undefined` or `null` if nothing was. Any other value without a record of ours is a corrupt record. */
  get(key: string): Promise<unknown>
  /** Keeps the text for at least `ttl` milliseconds. */
  set(key: string, text: string, ttl: number): Promise<void>
  remove(key: string): Promise<void>
}

const DAY = 86_400_000

// The foreign expiry only collects garbage, by its own clock and in its own units. It comes well after the end of the session,
// which the middleware's clock decides.
const SLACK = 3_600_000

/** 400 days, the longest lifetime of a session, plus the slack: for calls that require a lifetime where none is known. */
export const MAX_TTL: number = 400 * DAY + SLACK

// memcached takes a relative lifetime of over thirty days for a Unix time, in 1970, and drops the value at once.
const MEMCACHED_MAX_TTL = 30 * DAY

// In milliseconds: a read may see a write only after a moment.
const READ_BACK_PAUSES = [0, 50, 200]

/** Session records in a foreign store. It has no `list`, no `scan`, no `deleteExpired`, and nothing to close. */
export class KeyValueStore implements SessionStore {
  readonly limits: string
  readonly #adapter: string
  readonly #client: KeyValueClient
  readonly #queue: KeyedQueue
  readonly #maxTtl: number
  /** Whether a record of ours has come back, which proves that the foreign store has the shape that the adapter expects. */
  #isProven = false

  /** `adapter` is the name of the adapter function, `foreign` the foreign store, which several adapters may share. */
  constructor(adapter: string, foreign: object, client: KeyValueClient) {
    const isMemcached = speaksToMemcached(foreign)
    this.#adapter = adapter
    this.#client = client
    this.#queue = queueOf(foreign)
    this.#maxTtl = isMemcached ? MEMCACHED_MAX_TTL : MAX_TTL
    this.limits = `${adapter}: this store cannot compare and set in one step. Within one process nothing is lost or revived; between processes, of two requests that change one session at the same moment the later write wins, and it may bring back a session that the other has just ended. It keeps no index by owner and cannot be walked: list, destroyAll, an owner given to destroy, scan and their kind are ERR_SESSION_UNSUPPORTED${isMemcached ? '. memcached keeps a session for at most thirty days after its last write' : ''}`
  }

  create(record: SessionRecord, now: number): Promise<boolean> {
    const text = encode(record)
    return this.#queue.run(record.key, async (turn) => {
      if ((await this.#live(turn, record.key, now)) !== undefined) return false
      await this.#put(turn, record, text, now)
      if (!this.#isProven && record.expiresAt > now) await this.#prove(turn, record)
      return true
    })
  }

  async read(key: string, now: number): Promise<SessionRecord | undefined> {
    const record = this.#decode(await within(this.#queue.ask(() => this.#client.get(key))), key)
    return record !== undefined && record.expiresAt > now ? record : undefined
  }

  replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const text = encode(record)
    return this.#queue.run(record.key, async (turn) => {
      const stored = await this.#live(turn, record.key, now)
      if (stored === undefined) return 'gone'
      if (stored.version !== version) return 'stale'
      await this.#put(turn, record, text, now)
      return 'done'
    })
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    return this.#queue.run(key, async (turn) => {
      const stored = await this.#live(turn, key, now)
      if (stored?.version !== version) return false
      // A foreign touch would move only the foreign expiry; the expiry that counts is in the record.
      if (lastSeenAt >= stored.lastSeenAt) {
        const moved = { ...stored, lastSeenAt, expiresAt }
        await this.#put(turn, moved, encode(moved), now)
      }
      return true
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#queue.run(key, async (turn) => {
      const held = await turn.read(() => this.#client.get(key))
      if (held === undefined || held === null) return false
      await turn.write(() => this.#client.remove(key))
      return true
    })
  }

  /** The live record of that key. A corrupt record counts as an expired one, so a create may overwrite it. */
  async #live(turn: Turn, key: string, now: number): Promise<SessionRecord | undefined> {
    const record = await this.#readable(turn, key)
    return record !== undefined && record.expiresAt > now ? record : undefined
  }

  /** The record of that key; `undefined` where it is missing or corrupt. */
  async #readable(turn: Turn, key: string): Promise<SessionRecord | undefined> {
    const held = await turn.read(() => this.#client.get(key))
    return unlessCorrupt(() => this.#decode(held, key))
  }

  #decode(held: unknown, key: string): SessionRecord | undefined {
    const record = decode(held, key)
    if (record !== undefined) this.#isProven = true
    return record
  }

  async #put(turn: Turn, { key, expiresAt }: SessionRecord, text: string, now: number): Promise<void> {
    const ttl = Math.min(Math.ceil(expiresAt - now) + SLACK, this.#maxTtl)
    await turn.write(() => (expiresAt > now ? this.#client.set(key, text, ttl) : this.#client.remove(key)))
  }

  /** A store of another shape may drop everything without an error. Without this check, each session would be lost in silence. */
  async #prove(turn: Turn, { key, version }: SessionRecord): Promise<void> {
    for (const pause of READ_BACK_PAUSES) {
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
      if ((await this.#readable(turn, key))?.version === version) return
    }
    throw new Error(
      `${this.#adapter}: what was stored did not come back from this store. It may have another shape (a store for koa-session2 takes other arguments), or be a client that answers by callback where a promise is due`,
    )
  }
}

/** Recognised by a class name: of the store itself, or of the storage behind a Keyv. */
function speaksToMemcached(foreign: object): boolean {
  const { store, opts } = foreign as { store?: unknown; opts?: { store?: unknown } }
  return [foreign, store, opts?.store].some((one) => {
    // An object without a prototype has no constructor.
    const kind = (one as { constructor?: { name?: unknown } } | undefined | null)?.constructor?.name
    return typeof kind === 'string' && /memcache/i.test(kind)
  })
}

/** A record as JSON; bytes as base64. */
function encode(record: SessionRecord): string {
  const { key, version, payload, owner, createdAt, lastSeenAt, expiresAt, meta } = record
  const content = typeof payload === 'string' ? { payload } : { bytes: Buffer.from(payload).toString('base64') }
  return JSON.stringify({ key, version, owner, createdAt, lastSeenAt, expiresAt, meta, ...content })
}

/**
 * The record in what a foreign store holds; `undefined` for nothing.
 *
 * @throws {CorruptRecord} for anything but a record of that key: another type, a truncated record, or one of another key.
 */
function decode(held: unknown, key: string): SessionRecord | undefined {
  if (held === undefined || held === null) return undefined
  let found: unknown = held
  try {
    // Some stores parse what looks like JSON.
    if (typeof held === 'string') found = JSON.parse(held)
  } catch {
    throw corrupt() // the parser's message quotes the text
  }
  if (!isEncoded(found) || found.key !== key) throw corrupt()
  const { version, payload, bytes = '', owner, createdAt, lastSeenAt, expiresAt, meta } = found
  const content = payload ?? Buffer.from(bytes, 'base64')
  return { key, version, payload: content, owner, createdAt, lastSeenAt, expiresAt, meta }
}

function corrupt(): CorruptRecord {
  return new CorruptRecord('a foreign store holds something else than a record under its key')
}

type Encoded = Omit<SessionRecord, 'payload'> & { readonly payload?: string; readonly bytes?: string }

function isEncoded(found: unknown): found is Encoded {
  if (!isObject(found)) return false
  const { version, createdAt, lastSeenAt, expiresAt, owner, meta, payload, bytes } = found as Partial<
    Record<keyof SessionRecord | 'bytes', unknown>
  >
  return (
    [version, createdAt, lastSeenAt, expiresAt].every((value) => typeof value === 'number') &&
    [owner, meta].every((value) => value === undefined || typeof value === 'string') &&
    (typeof payload === 'string' || typeof bytes === 'string')
  )
}

/** What a foreign store failed with. By its shape: under Jest, errors of Node's own modules are of another realm. */
export function errorOf(failure: unknown): Error {
  return isObject(failure) && 'message' in failure ? (failure as Error) : new Error(String(failure))
}
