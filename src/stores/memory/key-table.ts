// Maps keys to slots: a hash table with linear probing. A cell is a pair of a key's hash and its slot plus one, 0 in an empty cell.
// With the hash beside the slot, most searches compare no other key. At least a third of the cells are empty, so every search
// ends at an empty cell at the latest.
//
// The upper bits of a key's hash give its home cell, so homes are in the order of hashes, whatever the size of the table. A walk
// in that order can stop at a hash and continue from there. It meets each key that stays exactly once, even if other keys are
// added or removed, records move to other slots, or the table grows or shrinks meanwhile.
/* eslint-disable @typescript-eslint/no-non-null-assertion -- the mask stays within the cells */

/** No slot. */
export const NONE = -1

const SMALLEST_BITS = 4
const HASHES = 2 ** 32

/** Keys are hashes themselves: nine of their characters are 54 random bits. */
export function hashOf(key: string): number {
  let hash = 0
  for (let at = 0; at < 9; at++) hash = (Math.imul(hash, 67) + key.charCodeAt(at)) | 0
  return Math.imul(hash ^ (hash >>> 15), 0x9e3779b1)
}

export class KeyTable {
  #count = 0
  #bits = SMALLEST_BITS
  #cells = new Int32Array(2 << SMALLEST_BITS)

  /** The slot of a key, or NONE. The key of a slot is at index 2 * slot in `held`. */
  find(key: string, hash: number, held: readonly unknown[]): number {
    const cells = this.#cells
    const mask = cells.length - 1
    for (let at = this.#home(hash); ; at = (at + 2) & mask) {
      const slot = cells[at + 1]! - 1
      if (slot === NONE || (cells[at] === hash && held[2 * slot] === key)) return slot
    }
  }

  /** Adds a key that is not there. */
  add(hash: number, slot: number): void {
    this.#count++
    // At most two thirds of the cells are in use.
    if (this.#count * 3 > this.#cells.length) this.#resize(this.#bits + 1)
    this.#put(hash, slot)
  }

  /** The key in slot `from` is now in slot `to`. */
  move(hash: number, from: number, to: number): void {
    this.#cells[this.#placeOf(hash, from) + 1] = to + 1
  }

  /** Empties the cell of a key. Keys after it that could no longer be found move up. */
  remove(hash: number, slot: number): void {
    const cells = this.#cells
    const mask = cells.length - 1
    let gap = this.#placeOf(hash, slot)
    for (let at = (gap + 2) & mask; cells[at + 1] !== 0; at = (at + 2) & mask) {
      const home = this.#home(cells[at]!)
      if (((at - home) & mask) < ((at - gap) & mask)) continue
      cells[gap] = cells[at]!
      cells[gap + 1] = cells[at + 1]!
      gap = at
    }
    cells[gap + 1] = 0
    this.#count--
    if (this.#bits > SMALLEST_BITS && this.#count * 16 < cells.length) this.#resize(this.#bits - 1)
  }

  /**
   * Visits the slots of about `wanted` keys: those with the lowest hashes that are not below `from` (0 to 2^32 - 1).
   *
   * @returns where to continue, or `undefined` at the end.
   */
  walk(from: number, wanted: number, visit: (slot: number) => void): number | undefined {
    const cells = this.#cells
    const homes = cells.length / 2
    const shift = 32 - this.#bits
    const first = from >>> shift
    const end = Math.min(homes, first + Math.ceil((wanted * homes) / Math.max(1, this.#count)))
    const until = end === homes ? HASHES : end * 2 ** shift
    for (let step = 0; step < homes; step++) {
      const at = 2 * ((first + step) & (homes - 1))
      const slot = cells[at + 1]! - 1
      if (slot === NONE) {
        // A key lies at or after its home, with no empty cell between them.
        if (first + step >= end) break
        continue
      }
      const hash = cells[at]! >>> 0
      if (hash >= from && hash < until) visit(slot)
    }
    return until === HASHES ? undefined : until
  }

  /** The index of a hash's first cell. */
  #home(hash: number): number {
    return (hash >>> (32 - this.#bits)) << 1
  }

  /** The cell of a slot; of NONE, the first that is empty. */
  #placeOf(hash: number, slot: number): number {
    const mask = this.#cells.length - 1
    let at = this.#home(hash)
    while (this.#cells[at + 1] !== slot + 1) at = (at + 2) & mask
    return at
  }

  #put(hash: number, slot: number): void {
    const at = this.#placeOf(hash, NONE)
    this.#cells[at] = hash
    this.#cells[at + 1] = slot + 1
  }

  #resize(bits: number): void {
    const old = this.#cells
    this.#bits = bits
    this.#cells = new Int32Array(2 << bits)
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#put(old[at]!, old[at + 1]! - 1)
  }
}
