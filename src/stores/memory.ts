// Keeps sessions in this process: bounded, expiring, and gone when it ends. It knows bounds and what is live;
// how records lie in memory is the business of the shards.
import { invalidType, invalidValue } from '../errors.ts'
import type { Replaced, SessionRecord, SessionStore } from '../store.ts'
import { cold, Hot, HotRecords, isShareable, ownerOf, Rest, sizeOf, type Kept } from './memory/kept.ts'
import { Owners } from './memory/owners.ts'
import { NONE, Shard } from './memory/shard.ts'

/** The bounds of a {@link MemoryStore}. */
export interface MemoryStoreOptions {
  /**
   * The most sessions that are kept, expired ones that were not yet swept included.
   *
   * @default 2_000_000
   */
  readonly maxSessions?: number | undefined
  /**
   * The most memory that the sessions may take, in bytes. It is estimated: text counts one byte a character, two when it is
   * not all ASCII, and a session some 200 bytes (owned: 400) beside its payload.
   *
   * @default 536_870_912 (512 MiB)
   */
  readonly maxBytes?: number | undefined
}

// The longest step of a growing Map is the copy of all its entries: 32768 take a few milliseconds.
const SHARD_SESSIONS = 32_768
const MOST_SHARDS = 1024

/** How many candidates an eviction compares. */
const CANDIDATES = 8

// A shard keeps a size in 31 bits.
const LARGEST = 2 ** 31 - 1

/**
 * Keeps sessions in the memory of this process, for a single process that may forget them when it restarts.
 *
 * It never refuses a session for being full: it drops another one, and then expired ones come before live ones, anonymous
 * ones before those of an owner, and among these the one that was written or touched longest ago. A store for more than
 * 262,144 sessions looks for it in some of its parts only, so the order of the expired and of the oldest is approximate
 * there; that an anonymous one goes before any of an owner always holds.
 *
 * All verbs answer at once, and none scans the store. Records come out frozen, and a session in use gives the same object
 * each time. Expired records are skipped at once and removed by `deleteExpired`.
 *
 * ```ts
 * app.use(session({ store: new MemoryStore({ maxSessions: 100_000 }) }))
 * ```
 */
export class MemoryStore implements SessionStore {
  readonly #maxSessions: number
  readonly #maxBytes: number
  readonly #shards: readonly Shard[]
  readonly #owners = new Owners()
  readonly #hot = new HotRecords()
  #count = 0
  #owned = 0
  #bytes = 0
  /** Where the next eviction looks first. */
  #evictFrom = 0
  /** Where the next sweep goes on. */
  #sweepFrom = 0

  /** @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a bound that is no whole number from 1 on. */
  constructor({ maxSessions, maxBytes }: MemoryStoreOptions = {}) {
    this.#maxSessions = bound('maxSessions', maxSessions, 2_000_000)
    this.#maxBytes = bound('maxBytes', maxBytes, 512 * 1024 * 1024)
    let shards = 1
    while (shards < MOST_SHARDS && shards * SHARD_SESSIONS < this.#maxSessions) shards *= 2
    this.#shards = Array.from({ length: shards }, () => new Shard())
  }

  /** How many records there are, expired ones that were not yet swept included. */
  get size(): number {
    return this.#count
  }

  /** How much memory they take, estimated as for `maxBytes`. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws {RangeError} for a record that is larger than `maxBytes` by itself. */
  create(record: SessionRecord, now: number): boolean {
    const shard = this.#shard(record.key)
    const slot = shard.find(record.key)
    if (slot !== NONE && shard.expiresAt(slot) > now) return false
    const size = this.#fitting(record)
    if (slot !== NONE) this.#remove(shard, slot)
    // Of those that come once and never again most are new: a record is kept at hand from its first use on.
    shard.insert(record, cold(record), size)
    this.#count++
    this.#entered(record, size)
    this.#makeRoom(record, now)
    return true
  }

  read(key: string, now: number): SessionRecord | undefined {
    const shard = this.#shard(key)
    const slot = shard.find(key)
    if (slot === NONE || shard.expiresAt(slot) <= now) return undefined
    const kept = shard.kept(slot)
    if (kept instanceof Hot) return kept.record
    const record = thaw(shard, slot, kept)
    if (isShareable(record)) shard.keep(slot, this.#warm(record, shard.size(slot)))
    return record
  }

  /** @throws {RangeError} for a record that is larger than `maxBytes` by itself; the stored one stays. */
  replace(record: SessionRecord, version: number, now: number): Replaced {
    const shard = this.#shard(record.key)
    const slot = shard.find(record.key)
    if (slot === NONE || shard.expiresAt(slot) <= now) return 'gone'
    if (shard.version(slot) !== version) return 'stale'
    const size = this.#fitting(record)
    this.#left(shard, slot)
    shard.overwrite(slot, record, this.#keep(record, size), size)
    this.#entered(record, size)
    this.#makeRoom(record, now)
    return 'done'
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean {
    const shard = this.#shard(key)
    const slot = shard.find(key)
    if (slot === NONE || shard.expiresAt(slot) <= now || shard.version(slot) !== version) return false
    if (lastSeenAt < shard.lastSeenAt(slot)) return true
    const kept = shard.kept(slot)
    if (kept instanceof Hot) {
      this.#hot.remove(kept)
      shard.keep(slot, cold(kept.record))
    }
    shard.touch(slot, lastSeenAt, expiresAt)
    return true
  }

  delete(key: string): boolean {
    const shard = this.#shard(key)
    const slot = shard.find(key)
    if (slot === NONE) return false
    this.#remove(shard, slot)
    return true
  }

  list(owner: string, now: number): SessionRecord[] {
    const records: SessionRecord[] = []
    for (const key of this.#owners.keys(owner)) {
      const shard = this.#shard(key)
      const slot = shard.find(key)
      if (slot === NONE || shard.expiresAt(slot) <= now) continue
      const kept = shard.kept(slot)
      records.push(kept instanceof Hot ? kept.record : thaw(shard, slot, kept))
    }
    return records
  }

  deleteExpired(now: number, limit: number): number {
    let removed = 0
    for (let turn = 0; turn < this.#shards.length && removed < limit; turn++) {
      const shard = this.#shardAt(this.#sweepFrom)
      let slot = shard.soonest()
      while (removed < limit && slot !== NONE && shard.expiresAt(slot) <= now) {
        this.#remove(shard, slot)
        removed++
        slot = shard.soonest()
      }
      if (removed < limit) this.#sweepFrom++
    }
    return removed
  }

  /** Does nothing: there is no timer, and the sessions stay for whoever else uses the store. */
  close(): void {
    // nothing was opened
  }

  /** Keys are hashes: any of their characters are as good as random. */
  #shard(key: string): Shard {
    return this.#shardAt((key.charCodeAt(0) * 67 + key.charCodeAt(1)) * 67 + key.charCodeAt(2))
  }

  #shardAt(index: number): Shard {
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the mask stays within the shards
    return this.#shards[index & (this.#shards.length - 1)]!
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

  #keep(record: SessionRecord, size: number): Kept {
    return isShareable(record) ? this.#warm(record, size) : cold(record)
  }

  #warm(record: SessionRecord & { readonly payload: string }, size: number): Hot {
    const hot = new Hot(record, size)
    this.#hot.add(hot)
    for (let surplus = this.#hot.surplus(); surplus && surplus !== hot; surplus = this.#hot.surplus()) {
      this.#hot.remove(surplus)
      this.#shard(surplus.record.key).keep(surplus.slot, cold(surplus.record))
    }
    return hot
  }

  #entered(record: SessionRecord, size: number): void {
    this.#bytes += size
    if (record.owner === undefined) return
    this.#owned++
    this.#owners.add(record.owner, record.key)
  }

  #left(shard: Shard, slot: number): void {
    const kept = shard.kept(slot)
    const owner = ownerOf(kept)
    this.#bytes -= shard.size(slot)
    if (kept instanceof Hot) this.#hot.remove(kept)
    if (owner === undefined) return
    this.#owned--
    this.#owners.remove(owner, shard.key(slot))
  }

  #remove(shard: Shard, slot: number): void {
    this.#left(shard, slot)
    shard.remove(slot)
    this.#count--
  }

  /** Evicts until the bounds hold. What was just written is the last in its queue, so it goes only when it is expired. */
  #makeRoom(written: SessionRecord, now: number): void {
    while (this.#count > this.#maxSessions || this.#bytes > this.#maxBytes) this.#evict(written, now)
  }

  #evict(written: SessionRecord, now: number): void {
    const isOwned = written.owner !== undefined
    const others = this.#count - this.#owned - (isOwned ? 0 : 1)
    const owned = others === 0
    let from: Shard | undefined
    let victim = NONE
    let candidates = 0
    for (let turn = 0; turn < this.#shards.length && candidates < CANDIDATES; turn++) {
      const shard = this.#shardAt(this.#evictFrom++)
      const soonest = shard.soonest()
      if (soonest !== NONE && shard.expiresAt(soonest) <= now) {
        this.#remove(shard, soonest)
        return
      }
      const slot = shard.stalest(owned)
      if (slot === NONE || shard.key(slot) === written.key) continue
      candidates++
      if (from === undefined || shard.lastSeenAt(slot) < from.lastSeenAt(victim)) [from, victim] = [shard, slot]
    }
    if (from) this.#remove(from, victim)
  }
}

function bound(name: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number') throw invalidType(`options.${name}`, 'a whole number from 1 on', value)
  if (!Number.isSafeInteger(value) || value < 1)
    throw invalidValue(`options.${name}`, 'a whole number from 1 on', value)
  return value
}

/** The record of a slot, frozen; bytes are copied, for they cannot be. */
function thaw(shard: Shard, slot: number, kept: Exclude<Kept, Hot>): SessionRecord {
  const { payload, owner, meta } = kept instanceof Rest ? kept : { payload: kept, owner: undefined, meta: undefined }
  return Object.freeze({
    key: shard.key(slot),
    version: shard.version(slot),
    payload: typeof payload === 'string' ? payload : payload.slice(),
    owner,
    createdAt: shard.createdAt(slot),
    lastSeenAt: shard.lastSeenAt(slot),
    expiresAt: shard.expiresAt(slot),
    meta,
  })
}
