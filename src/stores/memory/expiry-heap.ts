// Finds the slot that expires first. A heap with four children per node, whose instants lie side by side: a step down reads one
// place in memory, and there are half as many steps as with two children.
/* eslint-disable @typescript-eslint/no-non-null-assertion -- every index below count has its entry, every slot its place */
import { NONE } from './key-table.ts'

const CHILDREN_BITS = 2
const CHILDREN = 1 << CHILDREN_BITS

export class ExpiryHeap {
  #count = 0
  #instants = new Float64Array(0)
  #slots = new Int32Array(0)
  /** The place of each slot in the two arrays above. */
  #places = new Int32Array(0)

  /** The slot that expires first, or NONE. */
  get first(): number {
    return this.#count === 0 ? NONE : this.#slots[0]!
  }

  /** Makes room for `capacity` slots. */
  resize(capacity: number): void {
    this.#instants = resized(this.#instants, new Float64Array(capacity))
    this.#slots = resized(this.#slots, new Int32Array(capacity))
    this.#places = resized(this.#places, new Int32Array(capacity))
  }

  add(slot: number, expiresAt: number): void {
    this.#siftUp(this.#count++, slot, expiresAt)
  }

  /** Changes the expiry of a slot. */
  change(slot: number, expiresAt: number): void {
    const place = this.#places[slot]!
    if (expiresAt < this.#instants[place]!) this.#siftUp(place, slot, expiresAt)
    else this.#siftDown(place, slot, expiresAt)
  }

  /** The last slot of the heap takes the place of the removed one. */
  remove(slot: number): void {
    const last = this.#slots[--this.#count]!
    if (last === slot) return
    const expiresAt = this.#instants[this.#count]!
    this.#places[last] = this.#places[slot]!
    this.change(last, expiresAt)
  }

  /** The record of slot `from` is now in slot `to`. */
  move(from: number, to: number): void {
    const place = this.#places[from]!
    this.#places[to] = place
    this.#slots[place] = to
  }

  #put(place: number, slot: number, expiresAt: number): void {
    this.#instants[place] = expiresAt
    this.#slots[place] = slot
    this.#places[slot] = place
  }

  /** Moves a slot up from a place: parents that expire later move down. */
  #siftUp(from: number, slot: number, expiresAt: number): void {
    let place = from
    while (place > 0) {
      const parent = (place - 1) >> CHILDREN_BITS
      if (this.#instants[parent]! <= expiresAt) break
      this.#put(place, this.#slots[parent]!, this.#instants[parent]!)
      place = parent
    }
    this.#put(place, slot, expiresAt)
  }

  /** Moves a slot down from a place: while the earliest child expires before the slot, that child moves up. */
  #siftDown(from: number, slot: number, expiresAt: number): void {
    let place = from
    for (let child = place * CHILDREN + 1; child < this.#count; child = place * CHILDREN + 1) {
      const end = Math.min(child + CHILDREN, this.#count)
      for (let other = child + 1; other < end; other++)
        if (this.#instants[other]! < this.#instants[child]!) child = other
      if (this.#instants[child]! >= expiresAt) break
      this.#put(place, this.#slots[child]!, this.#instants[child]!)
      place = child
    }
    this.#put(place, slot, expiresAt)
  }
}

/** Copies what fits of an old column into a new one. */
export function resized<Column extends Float64Array | Int32Array>(old: Column, made: Column): Column {
  made.set(old.subarray(0, made.length))
  return made
}
