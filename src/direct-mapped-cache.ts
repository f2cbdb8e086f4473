// A bounded table with one slot for all keys that begin alike. The newest entry of a slot replaces the one before it, so
// nothing has to be counted or ordered, and it costs the garbage collector less than a WeakMap.

/** Entries by key. The key is base64url whose first characters are evenly distributed, as those of a hash are. */
export class DirectMappedCache<Entry extends { readonly key: string }> {
  readonly #mask: number
  #slots: (Entry | undefined)[]

  /** @param size the number of slots, a power of two */
  constructor(size: number) {
    this.#mask = size - 1
    this.#slots = new Array<Entry | undefined>(size)
  }

  get(key: string): Entry | undefined {
    const entry = this.#slots[slotOf(key) & this.#mask]
    return entry?.key === key ? entry : undefined
  }

  /** @returns the entry whose slot this one took, of whatever key. */
  set(entry: Entry): Entry | undefined {
    const slot = slotOf(entry.key) & this.#mask
    const previous = this.#slots[slot]
    this.#slots[slot] = entry
    return previous
  }

  /** @returns the entry that was removed. */
  delete(key: string): Entry | undefined {
    const entry = this.get(key)
    if (entry !== undefined) this.#slots[slotOf(key) & this.#mask] = undefined
    return entry
  }

  clear(): void {
    this.#slots = new Array<Entry | undefined>(this.#mask + 1)
  }
}

/** A number of at least 24 bits from the first four characters; to be masked by the caller. NaN counts as 0 there. */
export function slotOf(text: string): number {
  return ((text.charCodeAt(0) * 67 + text.charCodeAt(1)) * 67 + text.charCodeAt(2)) * 67 + text.charCodeAt(3)
}
