// Keeps sessions in this process: bounded, expiring, and gone when the process ends. This file enforces the bounds and skips
// expired records; columns.ts decides how records lie in memory.
import { checkFunction, checkOptions, checkWholeNumber } from '../checks.ts'
import { invalidValue } from '../errors.ts'
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../store.ts'
import { Listeners } from './listeners.ts'
import { Columns } from './memory/columns.ts'
import { isEnded, isOwned, toEntry, type Entry } from './memory/entries.ts'
import { hashOf, NONE } from './memory/key-table.ts'
import { Owners } from './memory/owners.ts'
import { sizeOf } from './memory/size.ts'

/** The bounds of a {@link MemoryStore}. */
export interface MemoryStoreOptions {
  /**
   * The most sessions that are kept, including expired ones that were not yet swept.
   *
   * @default 2_000_000
   */
  readonly maxSessions?: number | undefined
  /**
   * The most memory that the sessions may take, in bytes. The estimate counts one byte per character of a text, two if the text
   * is not all ASCII, and some 200 bytes (400 with an owner) for each session besides its payload.
   *
   * @default 536_870_912 (512 MiB)
   */
  readonly maxBytes?: number | undefined
}

// A record that was removed to make room.
type Evicted = Pick<SessionRecord, 'key' | 'owner'>

// The longest step of a growing part is copying all its columns: with 32768 records it takes less than a millisecond.
const PART_SESSIONS = 32_768
const MAX_PARTS = 1024

/** How many parts an eviction compares. */
const CANDIDATES = 8

// A part keeps the size of a record in 31 bits.
const LARGEST = 2 ** 31 - 1

/**
 * Keeps sessions in the memory of this process, for a single process that may forget them when it restarts.
 *
 * It never refuses a session for being full: it drops another one. It drops expired sessions before live ones, and anonymous ones
 * before those of an owner. Of the anonymous sessions it drops the one that was written or touched longest ago. Of those with
 * an owner it drops one of the owner with the most sessions, so that one account cannot evict the sessions of others: of
 * several such owners it takes the one whose sessions were used, or became fewer, longest ago, and of that owner's sessions
 * the one that was written or touched longest ago. A store for more than 262,144 sessions looks for expired and anonymous
 * ones in some of its parts only, so their order is approximate; anonymous sessions still always go before those of an owner.
 *
 * All verbs answer synchronously, and none searches the whole store. They hand out copies. Expired records are skipped at
 * once and removed by `deleteExpired`.
 *
 * ```ts
 * app.use(session({ store: new MemoryStore({ maxSessions: 100_000 }) }))
 * ```
 */
export class MemoryStore implements SessionStore {
  readonly #maxSessions: number
  readonly #maxBytes: number
  readonly #parts: readonly Columns[]
  readonly #owners: Owners
  readonly #ends = new Listeners<string | undefined>()
  readonly #evictions = new Listeners<Evicted>()
  #count = 0
  #bytes = 0
  /** The part where the next sweep starts. */
  #sweepFrom = 0
  /** The part where the next eviction starts. */
  #evictFrom = 0

  /**
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for an unknown option, or a bound that is not a whole
   * number of at least 1.
   */
  constructor(options: MemoryStoreOptions = {}) {
    checkOptions(options, ['maxSessions', 'maxBytes'])
    const { maxSessions = 2_000_000, maxBytes = 512 * 1024 * 1024 } = options
    checkWholeNumber(maxSessions, 'options.maxSessions', 'from 1 on', 1)
    checkWholeNumber(maxBytes, 'options.maxBytes', 'from 1 on', 1)
    this.#maxSessions = maxSessions
    this.#maxBytes = maxBytes
    let parts = 1
    while (parts < MAX_PARTS && parts * PART_SESSIONS < this.#maxSessions) parts *= 2
    this.#parts = Array.from({ length: parts }, () => new Columns())
    this.#owners = new Owners(parts)
  }

  /** The number of records, including expired ones that were not yet swept. */
  get size(): number {
    return this.#count
  }

  /** The memory that the records take, estimated as for `maxBytes`. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws {RangeError} for a record that is larger than `maxBytes` by itself. */
  create(record: SessionRecord, now: number): boolean {
    const hash = hashOf(record.key)
    const part = this.#partOf(hash)
    const slot = part.find(record.key, hash)
    if (slot !== NONE && part.expiresAt(slot) > now) return false
    const size = this.#fitting(record)
    if (slot !== NONE) this.#remove(part, slot)
    const entry = toEntry(record)
    part.insert(record, hash, entry, size)
    if (isOwned(entry)) this.#owners.add(entry)
    this.#count++
    this.#bytes += size
    // A session that gets a new id needs no room of its own: the old record, which the new one names, becomes a tombstone next.
    const old = record.meta && /"p":"([^"]+)/.exec(record.meta)?.[1]
    if (!old || !this.read(old, now)?.payload.length) this.#makeRoom(record, now)
    return true
  }

  read(key: string, now: number): SessionRecord | undefined {
    const hash = hashOf(key)
    const part = this.#partOf(hash)
    const slot = part.find(key, hash)
    return slot === NONE || part.expiresAt(slot) <= now ? undefined : part.record(slot)
  }

  /** @throws {RangeError} for a record that is larger than `maxBytes` by itself; the stored one stays. */
  replace(record: SessionRecord, version: number, now: number): Replaced {
    const hash = hashOf(record.key)
    const part = this.#partOf(hash)
    const slot = part.find(record.key, hash)
    if (slot === NONE || part.expiresAt(slot) <= now) return 'gone'
    if (part.version(slot) !== version) return 'stale'
    const size = this.#fitting(record)
    this.#bytes += size - part.size(slot)
    part.overwrite(slot, record, this.#replaced(part.entry(slot), record), size)
    this.#makeRoom(record, now)
    if (record.expiresAt <= now || record.payload.length === 0) this.#ends.announce(record.key)
    return 'done'
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean {
    const hash = hashOf(key)
    const part = this.#partOf(hash)
    const slot = part.find(key, hash)
    if (slot === NONE || part.expiresAt(slot) <= now || part.version(slot) !== version) return false
    if (lastSeenAt < part.lastSeenAt(slot)) return true
    part.touch(slot, lastSeenAt, expiresAt)
    const entry = part.entry(slot)
    if (isOwned(entry)) this.#owners.renew(entry)
    return true
  }

  delete(key: string): boolean {
    const { part, slot } = this.#find(key)
    if (slot === NONE) return false
    this.#remove(part, slot)
    this.#ends.announce(key)
    return true
  }

  list(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage {
    const records: SessionRecord[] = []
    const next = this.#walkOwner(owner, now, limit, cursor, (part, slot) => records.push(part.record(slot)))
    return { records, cursor: next }
  }

  listKeys(owner: string, now: number, limit: number, cursor: string | undefined): KeyPage {
    const keys: string[] = []
    const next = this.#walkOwner(owner, now, limit, cursor, (part, slot) => keys.push(part.key(slot)))
    return { keys, cursor: next }
  }

  /** A record that lives from the first portion to the last is returned exactly once. */
  scan(now: number, limit: number, cursor: string | undefined): RecordPage {
    const wanted = atLeastOne(limit)
    let [index, from] = positionIn(cursor)
    const records: SessionRecord[] = []
    for (let looked = 0; looked < wanted && index < this.#parts.length;) {
      const part = this.#partOf(index)
      const next = part.walk(from, wanted - looked, (slot) => {
        looked++
        if (part.expiresAt(slot) > now) records.push(part.record(slot))
      })
      if (next === undefined) index++
      from = next ?? 0
    }
    return { records, cursor: index < this.#parts.length ? `${index}.${from}` : undefined }
  }

  /**
   * Calls `onEnd` at once with the key of each record that is deleted, evicted, or replaced by an expired or an empty one.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if `onEnd` is no function.
   */
  subscribe(onEnd: (key: string | undefined) => void): () => void {
    checkFunction(onEnd, 'onEnd')
    return this.#ends.add(onEnd)
  }

  /**
   * Calls `onEvict` at once for each live session that is removed to make room, but not for the records of ended sessions.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if `onEvict` is no function.
   */
  watchEvictions(onEvict: (evicted: Evicted) => void): () => void {
    checkFunction(onEvict, 'onEvict')
    return this.#evictions.add(onEvict)
  }

  deleteExpired(now: number, limit: number): number {
    let removed = 0
    for (let turn = 0; turn < this.#parts.length && removed < limit; turn++) {
      const part = this.#partOf(this.#sweepFrom)
      for (let slot = part.firstExpired(now); removed < limit && slot !== NONE; slot = part.firstExpired(now)) {
        this.#remove(part, slot)
        removed++
      }
      if (removed < limit) this.#sweepFrom++
    }
    return removed
  }

  /** Does nothing: there is no timer to end, and other users of the store keep their sessions. */
  close(): void {
    // nothing was opened
  }

  /** The part for a hash, or in a turn, chosen by the lowest bits. */
  #partOf(hash: number): Columns {
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the mask stays within the parts
    return this.#parts[hash & (this.#parts.length - 1)]!
  }

  /** The part of a key, and its slot there or NONE. The verbs that each request calls look without making an object. */
  #find(key: string): { readonly part: Columns; readonly slot: number } {
    const hash = hashOf(key)
    const part = this.#partOf(hash)
    return { part, slot: part.find(key, hash) }
  }

  #fitting(record: SessionRecord): number {
    const size = sizeOf(record)
    if (size > this.#maxBytes || size > LARGEST) {
      throw new RangeError(
        `a session of about ${size} bytes is larger than the MemoryStore: raise maxBytes (${this.#maxBytes})`,
      )
    }
    return size
  }

  /** The entry that replaces another one; also updates the index by owner. */
  #replaced(entry: Entry, record: SessionRecord): Entry {
    if (isOwned(entry)) {
      if (entry.owner === record.owner) {
        entry.update(record)
        this.#owners.renew(entry)
        return entry
      }
      this.#owners.remove(entry)
    }
    const next = toEntry(record)
    if (isOwned(next)) this.#owners.add(next)
    return next
  }

  #remove(part: Columns, slot: number): void {
    const entry = part.entry(slot)
    if (isOwned(entry)) this.#owners.remove(entry)
    this.#bytes -= part.size(slot)
    this.#count--
    part.remove(slot)
  }

  /** Calls `visit` for up to `limit` live records of an owner. @returns the cursor of the next call. */
  #walkOwner(
    owner: string,
    now: number,
    limit: number,
    cursor: string | undefined,
    visit: (part: Columns, slot: number) => void,
  ): string | undefined {
    const wanted = atLeastOne(limit)
    const keys = this.#owners.keysAfter(owner, cursor ?? '', wanted)
    for (const key of keys) {
      const { part, slot } = this.#find(key)
      if (slot !== NONE && part.expiresAt(slot) > now) visit(part, slot)
    }
    return keys.length < wanted ? undefined : keys.at(-1)
  }

  /** Evicts until the bounds hold. The loop ends: each turn removes a record, and a single record fits. */
  #makeRoom(written: SessionRecord, now: number): void {
    while (this.#count > this.#maxSessions || this.#bytes > this.#maxBytes) {
      let key = this.#nextToEvict(written, now)
      if (key === undefined) return
      // A tombstone goes before the record that it names, in which its session goes on.
      if (written.meta?.includes(`"n":"${key}"`) && this.read(written.key, now)) key = written.key
      const { part, slot } = this.#find(key)
      const entry = part.entry(slot)
      const isExpired = part.expiresAt(slot) <= now
      this.#remove(part, slot)
      if (isExpired) continue
      this.#ends.announce(key)
      if (!isEnded(entry)) this.#evictions.announce({ key, owner: isOwned(entry) ? entry.owner : undefined })
    }
  }

  /**
   * The key of the next record to evict. The record that was just written comes last in its order, so it is evicted only when it
   * has expired.
   */
  #nextToEvict(written: SessionRecord, now: number): string | undefined {
    const others = this.#count - this.#owners.size - (written.owner === undefined ? 1 : 0)
    let from: Columns | undefined
    let victim = NONE
    let candidates = 0
    for (let turn = 0; turn < this.#parts.length && candidates < CANDIDATES; turn++) {
      const part = this.#partOf(this.#evictFrom++)
      const expired = part.firstExpired(now)
      if (expired !== NONE) return part.key(expired)
      const slot = part.first
      const isOther = slot !== NONE && part.key(slot) !== written.key
      // Without other anonymous records, the same number of parts is searched for an expired one.
      if (isOther || others === 0) candidates++
      if (isOther && (from === undefined || part.lastSeenAt(slot) < from.lastSeenAt(victim)))
        [from, victim] = [part, slot]
    }
    return from === undefined ? this.#owners.leastNeeded()?.key : from.key(victim)
  }
}

/** At least 1: a portion without records would repeat for ever. */
function atLeastOne(limit: number): number {
  return limit >= 1 ? Math.floor(limit) : 1
}

/** The part and the hash where a scan continues. */
function positionIn(cursor: string | undefined): [index: number, from: number] {
  if (cursor === undefined) return [0, 0]
  const [, index, from] = /^(\d{1,4})\.(\d{1,10})$/.exec(cursor) ?? []
  if (from === undefined) throw invalidValue('cursor', 'one that scan has given', cursor)
  return [Number(index), Number(from)]
}
