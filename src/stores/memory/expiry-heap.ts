// Which slot expires first. Four children a node, which lie side by side with the instants that are compared: a step down
// looks at one place in memory, and there are half as many steps as with two.
/* eslint-disable @typescript-eslint/no-non-null-assertion -- every index below count has its entry, every slot its place */
import { NONE } from './key-table.ts'

const CHILDREN_BITS = 2
const CHILDREN = 1 << CHILDREN_BITS

export class ExpiryHeap {
  #count = 0
  #instants = new Float64Array(0)
  #slots = new Int32Array(0)
  /** Where each slot lies in the two above. */
  #places = new Int32Array(0)

  /** The slot that expires first, or NONE. */
  get first(): number {
    return this.#count === 0 ? NONE : this.#slots[0]!
  }

  /** Makes room for so many slots. */
  resize(capacity: number): void {
    this.#instants = resized(this.#instants, new Float64Array(capacity))
    this.#slots = resized(this.#slots, new Int32Array(capacity))
    this.#places = resized(this.#places, new Int32Array(capacity))
  }

  add(slot: number, expiresAt: number): void {
    this.#siftUp(this.#count++, slot, expiresAt)
  }

  /** A slot expires at another instant from now on. */
  change(slot: number, expiresAt: number): void {
    const place = this.#places[slot]!
    if (expiresAt < this.#instants[place]!) this.#siftUp(place, slot, expiresAt)
    else this.#siftDown(place, slot, expiresAt)
  }

  /** The last one takes the place of the one that goes. */
  remove(slot: number): void {
    const last = this.#slots[--this.#count]!
    if (last === slot) return
    const expiresAt = this.#instants[this.#count]!
    this.#places[last] = this.#places[slot]!
    this.change(last, expiresAt)
  }

  /** What was in slot `from` is now in slot `to`. */
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

  /** From a place up: parents that expire later come down. */
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

  /** From a place down: the child that expires first comes up, while it expires before the slot. */
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

/** What fits of an old column, in a new one. */
export function resized<Column extends Float64Array | Int32Array>(old: Column, made: Column): Column {
  made.set(old.length > made.length ? old.subarray(0, made.length) : old)
  return made
}
