// The keys that a request touched in data, in the order in which it did.

/** A key that this request read as an object, wrote or deleted. */
export interface Entry {
  readonly key: string
  /** What the handler holds or put there. */
  value: unknown
  /** What was stored when it was touched: the value itself is never handed out. */
  base: unknown
  /** The one that was touched after it. */
  next: Entry | undefined
}

/** Up to so many keys a linear search beats building a Map. */
const FEW = 16

/** A list whose links lie in its entries: an array that grows reserves room for seventeen. */
export class Entries {
  first: Entry | undefined = undefined
  #last: Entry | undefined = undefined
  count = 0
  #byKey: Map<string, Entry> | undefined = undefined

  get(key: string): Entry | undefined {
    if (this.count > FEW) return (this.#byKey ??= this.#index()).get(key)
    for (let entry = this.first; entry; entry = entry.next) if (entry.key === key) return entry
    return undefined
  }

  /** An entry for a key that has none. */
  add(key: string, value: unknown, base: unknown): void {
    const entry: Entry = { key, value, base, next: undefined }
    if (this.#last) this.#last.next = entry
    else this.first = entry
    this.#last = entry
    this.count++
    this.#byKey?.set(key, entry)
  }

  /** Removes the entries for which `isKept` returns false. */
  filter(isKept: (entry: Entry) => boolean): void {
    let before: Entry | undefined
    for (let entry = this.first; entry; entry = entry.next) {
      if (isKept(entry)) before = entry
      else {
        if (before) before.next = entry.next
        else this.first = entry.next
        this.count--
      }
    }
    this.#last = before
    this.#byKey = undefined
  }

  #index(): Map<string, Entry> {
    const byKey = new Map<string, Entry>()
    for (let entry = this.first; entry; entry = entry.next) byKey.set(entry.key, entry)
    return byKey
  }
}
