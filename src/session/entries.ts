// The keys that a request touched in data, in the order in which it touched them.

/** A key that this request read as an object, wrote or deleted. */
export interface Entry {
  readonly key: string
  /** What the handler holds or put there. */
  value: unknown
  /** What was stored when the key was touched. This value itself is never handed out. */
  base: unknown
}

/** Up to this many keys, a linear search beats building a Map. */
const FEW = 16

export class Entries {
  /** In the order in which they were touched. */
  list: Entry[] = []
  #byKey: Map<string, Entry> | undefined

  get(key: string): Entry | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(key)
    for (const entry of this.list) if (entry.key === key) return entry
  }

  /** Adds an entry for a key that has none. */
  add(entry: Entry): void {
    this.list.push(entry)
    if (this.#byKey !== undefined) this.#byKey.set(entry.key, entry)
    else if (this.list.length > FEW) this.#index()
  }

  /** Removes the entries for which `isKept` returns false. */
  filter(isKept: (entry: Entry) => boolean): void {
    this.list = this.list.filter(isKept)
    if (this.list.length > FEW) this.#index()
    else this.#byKey = undefined
  }

  #index(): void {
    this.#byKey = new Map(this.list.map((entry) => [entry.key, entry]))
  }
}
