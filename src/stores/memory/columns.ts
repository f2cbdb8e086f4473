// A part of the memory store: records in columns instead of objects, in dense slots 0 to count - 1. The last one moves into
// the gap that a removed one leaves, so all memory comes back. It knows nothing of bounds, of owners or of what is live.
//
// Two orders run through the slots: a binary heap by expiresAt, whose top expires first, and a queue of the records without an
// owner by the time of the last write, whose first was written longest ago.
/* eslint-disable @typescript-eslint/no-non-null-assertion -- slots are dense, so every index below count has its entry */
import type { SessionRecord } from '../../store.ts'
import { DetailedEntry, ownerOf, type Entry } from './entries.ts'
import { hashOf, KeyTable, NONE } from './key-table.ts'

// The places of a slot's numbers, which lie side by side.
const [CREATED, SEEN, EXPIRES, VERSION] = [0, 1, 2, 3]
const [HEAP_INDEX, BEFORE, AFTER, SIZE] = [0, 1, 2, 3]
const WIDTH = 4

/** Room for so many slots is kept however few are in use. */
const SMALL = 64

type Column = Float64Array | Int32Array

function at(column: Column, index: number): number {
  return column[index]!
}

export class Columns {
  count = 0
  readonly #table = new KeyTable()
  #keys: string[] = []
  #entries: Entry[] = []
  #instants = new Float64Array(0)
  #links = new Int32Array(0)
  #heap = new Int32Array(0)
  /** The ends of the queue. */
  #first = NONE
  #last = NONE

  /** The slot of a key, or NONE. It is good until the next `remove`. */
  find(key: string, hash: number): number {
    return this.#table.find(key, hash, this.#keys)
  }

  key(slot: number): string {
    return this.#keys[slot]!
  }

  entry(slot: number): Entry {
    return this.#entries[slot]!
  }

  createdAt(slot: number): number {
    return at(this.#instants, slot * WIDTH + CREATED)
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
    return at(this.#links, slot * WIDTH + SIZE)
  }

  /** The record of a slot. Bytes are copied: they are the store's own. */
  record(slot: number): SessionRecord {
    const entry = this.entry(slot)
    const isDetailed = entry instanceof DetailedEntry
    const payload = isDetailed ? entry.payload : entry
    return {
      key: this.key(slot),
      version: this.version(slot),
      payload: typeof payload === 'string' ? payload : payload.slice(),
      owner: isDetailed ? entry.owner : undefined,
      createdAt: this.createdAt(slot),
      lastSeenAt: this.lastSeenAt(slot),
      expiresAt: this.expiresAt(slot),
      meta: isDetailed ? entry.meta : undefined,
    }
  }

  /** The slot that expires first, or NONE. */
  nextToExpire(): number {
    return this.count === 0 ? NONE : at(this.#heap, 0)
  }

  /** The slot without an owner that was written longest ago, or NONE. */
  leastRecentlyWritten(): number {
    return this.#first
  }

  /** Visits about `wanted` slots in the order of their keys' hashes, as {@link KeyTable.walk} does. */
  walk(from: number, wanted: number, visit: (slot: number) => void): number | undefined {
    return this.#table.walk(from, wanted, visit)
  }

  /** A new slot for a key that has none. */
  insert(record: SessionRecord, hash: number, entry: Entry, size: number): void {
    const slot = this.count++
    if (this.count > this.#heap.length) this.#resize(this.count + (this.count >> 2) + 8)
    this.#table.add(hash, slot)
    this.#keys.push(record.key)
    this.#entries.push(entry)
    this.#put(slot, record, size)
    this.#append(slot)
    this.#setHeap(slot, slot)
    this.#siftUp(slot)
  }

  /** Another record in the slot of the same key. */
  overwrite(slot: number, record: SessionRecord, entry: Entry, size: number): void {
    this.#unlink(slot)
    this.#entries[slot] = entry
    this.#put(slot, record, size)
    this.#append(slot)
    this.#reorder(slot)
  }

  touch(slot: number, lastSeenAt: number, expiresAt: number): void {
    this.#instants[slot * WIDTH + SEEN] = lastSeenAt
    this.#instants[slot * WIDTH + EXPIRES] = expiresAt
    this.#unlink(slot)
    this.#append(slot)
    this.#reorder(slot)
  }

  remove(slot: number, hash: number): void {
    this.#unlink(slot)
    this.#table.remove(hash, slot)
    const last = --this.count
    const index = at(this.#links, slot * WIDTH + HEAP_INDEX)
    if (index !== last) {
      this.#setHeap(index, at(this.#heap, last))
      this.#siftDown(this.#siftUp(index))
    }
    if (slot !== last) this.#move(last, slot)
    this.#keys.pop()
    this.#entries.pop()
    if (this.#heap.length > SMALL && this.count < this.#heap.length >> 1) {
      this.#resize(this.count + (this.count >> 2))
      // V8 need not shrink an array that is popped.
      this.#keys = this.#keys.slice()
      this.#entries = this.#entries.slice()
    }
  }

  #put(slot: number, record: SessionRecord, size: number): void {
    const offset = slot * WIDTH
    this.#instants[offset + CREATED] = record.createdAt
    this.#instants[offset + SEEN] = record.lastSeenAt
    this.#instants[offset + EXPIRES] = record.expiresAt
    this.#instants[offset + VERSION] = record.version
    this.#links[offset + SIZE] = size
  }

  #move(from: number, to: number): void {
    const key = this.key(from)
    this.#table.move(hashOf(key), from, to)
    this.#keys[to] = key
    this.#entries[to] = this.entry(from)
    this.#instants.copyWithin(to * WIDTH, from * WIDTH, from * WIDTH + WIDTH)
    this.#links.copyWithin(to * WIDTH, from * WIDTH, from * WIDTH + WIDTH)
    this.#heap[at(this.#links, to * WIDTH + HEAP_INDEX)] = to
    if (!this.#isQueued(to)) return
    this.#join(at(this.#links, to * WIDTH + BEFORE), to)
    this.#join(to, at(this.#links, to * WIDTH + AFTER))
  }

  #resize(capacity: number): void {
    const instants = new Float64Array(capacity * WIDTH)
    const links = new Int32Array(capacity * WIDTH)
    const heap = new Int32Array(capacity)
    const used = Math.min(capacity, this.#heap.length)
    instants.set(this.#instants.subarray(0, used * WIDTH))
    links.set(this.#links.subarray(0, used * WIDTH))
    heap.set(this.#heap.subarray(0, used))
    this.#instants = instants
    this.#links = links
    this.#heap = heap
  }

  #isQueued(slot: number): boolean {
    return ownerOf(this.entry(slot)) === undefined
  }

  #append(slot: number): void {
    if (!this.#isQueued(slot)) return
    this.#join(this.#last, slot)
    this.#join(slot, NONE)
  }

  #unlink(slot: number): void {
    if (!this.#isQueued(slot)) return
    this.#join(at(this.#links, slot * WIDTH + BEFORE), at(this.#links, slot * WIDTH + AFTER))
  }

  /** Makes two slots neighbours in the queue; NONE stands for its end. */
  #join(before: number, after: number): void {
    if (before === NONE) this.#first = after
    else this.#links[before * WIDTH + AFTER] = after
    if (after === NONE) this.#last = before
    else this.#links[after * WIDTH + BEFORE] = before
  }

  #reorder(slot: number): void {
    this.#siftDown(this.#siftUp(at(this.#links, slot * WIDTH + HEAP_INDEX)))
  }

  #setHeap(index: number, slot: number): void {
    this.#heap[index] = slot
    this.#links[slot * WIDTH + HEAP_INDEX] = index
  }

  /** Swaps an entry of the heap with its parents while it expires before them; where it ends. */
  #siftUp(index: number): number {
    const slot = at(this.#heap, index)
    const expiresAt = this.expiresAt(slot)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const other = at(this.#heap, parent)
      if (this.expiresAt(other) <= expiresAt) break
      this.#setHeap(index, other)
      index = parent
    }
    this.#setHeap(index, slot)
    return index
  }

  /** Swaps an entry of the heap with its children while one of them expires before it. */
  #siftDown(index: number): void {
    const slot = at(this.#heap, index)
    const expiresAt = this.expiresAt(slot)
    for (;;) {
      let child = 2 * index + 1
      if (child >= this.count) break
      if (child + 1 < this.count && this.expiresAt(at(this.#heap, child + 1)) < this.expiresAt(at(this.#heap, child)))
        child++
      const other = at(this.#heap, child)
      if (this.expiresAt(other) >= expiresAt) break
      this.#setHeap(index, other)
      index = child
    }
    this.#setHeap(index, slot)
  }
}
