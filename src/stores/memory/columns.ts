// A part of the memory store: records in columns instead of objects, in dense slots 0 to count - 1. When a record is removed, the
// last one moves into its slot, so that all memory is released. A part does not know bounds, owners or which records are live.
//
// The slots have two orders: a heap by expiresAt, and a queue of the records without an owner, least recently written or touched
// first.
/* eslint-disable @typescript-eslint/no-non-null-assertion -- slots are dense, so every index below count has its entry */
import type { SessionRecord } from '../../store.ts'
import { DetailedEntry, isOwned, type Entry } from './entries.ts'
import { ExpiryHeap, resized } from './expiry-heap.ts'
import { hashOf, KeyTable, NONE } from './key-table.ts'

// The offsets of a slot's numbers, which lie side by side.
const [CREATED, SEEN, EXPIRES, VERSION] = [0, 1, 2, 3]
const WIDTH = 4

// The offsets of a slot's links and its size.
const [BEFORE, AFTER, SIZE] = [0, 1, 2]
const LINKS = 3

/** At or below this capacity, in slots, a part does not shrink. */
const SMALL = 64

function at(column: Float64Array | Int32Array, index: number): number {
  return column[index]!
}

export class Columns {
  count = 0
  /** The slot without an owner that was written or touched longest ago, or NONE: the first of the queue. */
  first: number = NONE
  readonly #table = new KeyTable()
  readonly #heap = new ExpiryHeap()
  #capacity = 0
  /** The key of each slot, followed by its entry: a lookup finds both side by side in memory. */
  #held: Entry[] = []
  #instants = new Float64Array(0)
  #links = new Int32Array(0)
  /** The last of the queue. */
  #last = NONE

  /** The slot of a key, or NONE. Valid until the next `remove`. */
  find(key: string, hash: number): number {
    return this.#table.find(key, hash, this.#held)
  }

  key(slot: number): string {
    return this.#held[2 * slot] as string // each even one is a key
  }

  entry(slot: number): Entry {
    return this.#held[2 * slot + 1]!
  }

  lastSeenAt(slot: number): number {
    return at(this.#instants, slot * WIDTH + SEEN)
  }

  expiresAt(slot: number): number {
    return at(this.#instants, slot * WIDTH + EXPIRES)
  }

  version(slot: number): number {
    return at(this.#instants, slot * WIDTH + VERSION)
  }

  size(slot: number): number {
    return at(this.#links, slot * LINKS + SIZE)
  }

  /** The record of a slot. Bytes are copied, because the store keeps its own. */
  record(slot: number): SessionRecord {
    const entry = this.entry(slot)
    const isDetailed = entry instanceof DetailedEntry
    const payload = isDetailed ? entry.payload : entry
    return {
      key: this.key(slot),
      version: this.version(slot),
      payload: typeof payload === 'string' ? payload : payload.slice(),
      owner: isDetailed ? entry.owner : undefined,
      createdAt: at(this.#instants, slot * WIDTH + CREATED),
      lastSeenAt: this.lastSeenAt(slot),
      expiresAt: this.expiresAt(slot),
      meta: isDetailed ? entry.meta : undefined,
    }
  }

  /** The slot that expired longest ago, or NONE. */
  firstExpired(now: number): number {
    const slot = this.#heap.first
    return slot !== NONE && this.expiresAt(slot) <= now ? slot : NONE
  }

  /** Visits about `wanted` slots in the order of their keys' hashes, as {@link KeyTable.walk} does. */
  walk(from: number, wanted: number, visit: (slot: number) => void): number | undefined {
    return this.#table.walk(from, wanted, visit)
  }

  /** Adds a slot for a key that has none. */
  insert(record: SessionRecord, hash: number, entry: Entry, size: number): void {
    const slot = this.count++
    if (this.count > this.#capacity) this.#resize(this.count + (this.count >> 1) + 8)
    this.#table.add(hash, slot)
    this.#held.push(record.key, entry)
    this.#put(slot, record, size)
    this.#append(slot)
    this.#heap.add(slot, record.expiresAt)
  }

  /** Puts another record of the same key into its slot. */
  overwrite(slot: number, record: SessionRecord, entry: Entry, size: number): void {
    this.#unlink(slot)
    this.#held[2 * slot + 1] = entry
    this.#put(slot, record, size)
    this.#append(slot)
    this.#heap.change(slot, record.expiresAt)
  }

  touch(slot: number, lastSeenAt: number, expiresAt: number): void {
    this.#instants[slot * WIDTH + SEEN] = lastSeenAt
    this.#instants[slot * WIDTH + EXPIRES] = expiresAt
    this.#unlink(slot)
    this.#append(slot)
    this.#heap.change(slot, expiresAt)
  }

  remove(slot: number): void {
    this.#unlink(slot)
    this.#table.remove(hashOf(this.key(slot)), slot)
    this.#heap.remove(slot)
    const last = --this.count
    if (slot !== last) this.#move(last, slot)
    this.#held.length = 2 * last
    if (this.#capacity > SMALL && this.count < this.#capacity >> 1) {
      this.#resize(this.count + (this.count >> 2))
      // V8 may keep the memory of an array whose length falls.
      this.#held = this.#held.slice()
    }
  }

  #put(slot: number, record: SessionRecord, size: number): void {
    const offset = slot * WIDTH
    this.#instants[offset + CREATED] = record.createdAt
    this.#instants[offset + SEEN] = record.lastSeenAt
    this.#instants[offset + EXPIRES] = record.expiresAt
    this.#instants[offset + VERSION] = record.version
    this.#links[slot * LINKS + SIZE] = size
  }

  #move(from: number, to: number): void {
    const key = this.key(from)
    this.#table.move(hashOf(key), from, to)
    this.#held[2 * to] = key
    this.#held[2 * to + 1] = this.entry(from)
    this.#instants.copyWithin(to * WIDTH, from * WIDTH, from * WIDTH + WIDTH)
    this.#links.copyWithin(to * LINKS, from * LINKS, from * LINKS + LINKS)
    this.#heap.move(from, to)
    if (!this.#isQueued(to)) return
    this.#join(at(this.#links, to * LINKS + BEFORE), to)
    this.#join(to, at(this.#links, to * LINKS + AFTER))
  }

  #resize(capacity: number): void {
    this.#instants = resized(this.#instants, new Float64Array(capacity * WIDTH))
    this.#links = resized(this.#links, new Int32Array(capacity * LINKS))
    this.#heap.resize(capacity)
    this.#capacity = capacity
  }

  #isQueued(slot: number): boolean {
    return !isOwned(this.entry(slot))
  }

  #append(slot: number): void {
    if (!this.#isQueued(slot)) return
    this.#join(this.#last, slot)
    this.#join(slot, NONE)
  }

  #unlink(slot: number): void {
    if (!this.#isQueued(slot)) return
    this.#join(at(this.#links, slot * LINKS + BEFORE), at(this.#links, slot * LINKS + AFTER))
  }

  /** Makes two slots neighbours in the queue; NONE stands for an end of it. */
  #join(before: number, after: number): void {
    if (before === NONE) this.first = after
    else this.#links[before * LINKS + AFTER] = after
    if (after === NONE) this.#last = before
    else this.#links[after * LINKS + BEFORE] = before
  }
}
