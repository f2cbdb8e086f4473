// The memory store's index by owner: only owned records have an entry, and most owners hold a single one.

// Many small maps instead of a large one: the largest step of a growing Map is the copy of all its entries.
const PARTS = 64

export class Owners {
  readonly #parts = Array.from({ length: PARTS }, () => new Map<string, string | Set<string>>())

  add(owner: string, key: string): void {
    const part = this.#part(owner)
    const held = part.get(owner)
    if (held === undefined) part.set(owner, key)
    else if (typeof held !== 'string') held.add(key)
    else if (held !== key) part.set(owner, new Set([held, key]))
  }

  remove(owner: string, key: string): void {
    const part = this.#part(owner)
    const held = part.get(owner)
    if (typeof held === 'object') {
      held.delete(key)
      if (held.size === 0) part.delete(owner)
    } else if (held === key) part.delete(owner)
  }

  /** A snapshot, so that records may go while it is walked. */
  keys(owner: string): readonly string[] {
    const held = this.#part(owner).get(owner)
    if (held === undefined) return []
    return typeof held === 'string' ? [held] : [...held]
  }

  #part(owner: string): Map<string, string | Set<string>> {
    let hash = 0
    for (let index = 0; index < owner.length; index++) hash = (Math.imul(hash, 31) + owner.charCodeAt(index)) | 0
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the mask stays within the parts
    return this.#parts[(hash ^ (hash >>> 16)) & (PARTS - 1)]!
  }
}
