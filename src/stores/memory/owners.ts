// The memory store's index by owner. It also chooses which owned session a full store evicts first: one of the owner with the most
// sessions, so that opening many sessions cannot evict those of other owners.
import { Owner, type DetailedEntry, type OwnedEntry } from './entries.ts'
import { Queue } from './queue.ts'

/** An owner in the index: its only entry, or an Owner with all its entries. */
type Holder = DetailedEntry | Owner

export class Owners {
  /** How many entries have an owner. */
  size = 0
  readonly #parts: readonly Map<string, Holder>[]
  /** The owners with one session, with two, and so on, each level in the order of last use. */
  readonly #levels = new Map<number, Queue<Holder>>()
  /** The highest level that has an owner. */
  #highest = 0

  /** @param parts The number of small maps, a power of two. One large Map would copy all its entries in one step as it grows. */
  constructor(parts: number) {
    this.#parts = Array.from({ length: parts }, () => new Map<string, Holder>())
  }

  add(entry: OwnedEntry): void {
    this.size++
    const part = this.#part(entry.owner)
    const holder = part.get(entry.owner)
    if (holder === undefined) {
      part.set(entry.owner, entry)
      this.#shift(entry, 0, 1)
    } else if (holder instanceof Owner) {
      holder.add(entry)
      this.#shift(holder, holder.count - 1, holder.count)
    } else {
      this.#leave(holder, 1)
      const owner = new Owner(entry.owner)
      owner.add(holder as OwnedEntry) // the index holds no others
      owner.add(entry)
      part.set(owner.name, owner)
      this.#shift(owner, 0, 2)
    }
  }

  remove(entry: OwnedEntry): void {
    this.size--
    const { holder } = entry
    if (holder) {
      holder.remove(entry)
      this.#shift(holder, holder.count + 1, holder.count)
    } else this.#shift(entry, 1, 0)
    if (!holder || holder.count === 0) this.#part(entry.owner).delete(entry.owner)
  }

  /** Notes that a session was written or touched. */
  renew(entry: OwnedEntry): void {
    entry.holder?.entries.renew(entry)
    this.#levels.get(entry.holder?.count ?? 1)?.renew(entry.holder ?? entry)
  }

  /**
   * The entry to evict first: the least recently used session of the owner with the most sessions. Of several such owners, the
   * one whose sessions were used longest ago.
   */
  leastNeeded(): OwnedEntry | undefined {
    const holder = this.#levels.get(this.#highest)?.first
    return (holder instanceof Owner ? holder.entries.first : holder) as OwnedEntry | undefined // the index holds no others
  }

  /** Up to `limit` keys of an owner after `cursor`, which is `''` at first, in ascending order. */
  keysAfter(owner: string, cursor: string, limit: number): string[] {
    const holder = this.#part(owner).get(owner)
    if (holder instanceof Owner) return holder.keysAfter(cursor, limit)
    return holder === undefined || holder.key <= cursor ? [] : [holder.key]
  }

  /** Moves an owner between levels. */
  #shift(holder: Holder, from: number, to: number): void {
    if (from > 0) this.#leave(holder, from)
    if (to > 0) {
      const level = this.#levels.get(to) ?? new Queue<Holder>()
      this.#levels.set(to, level)
      level.append(holder)
    }
    // Above all others, or the last owner has left the highest level for the one below.
    if (to > this.#highest || (from === this.#highest && !this.#levels.has(from))) this.#highest = to
  }

  #leave(holder: Holder, from: number): void {
    const level = this.#levels.get(from)
    level?.remove(holder)
    if (level?.first === undefined) this.#levels.delete(from)
  }

  #part(owner: string): Map<string, Holder> {
    let hash = 0
    for (let index = 0; index < owner.length; index++) hash = (Math.imul(hash, 31) + owner.charCodeAt(index)) | 0
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the mask stays within the parts
    return this.#parts[(hash ^ (hash >>> 16)) & (this.#parts.length - 1)]!
  }
}
