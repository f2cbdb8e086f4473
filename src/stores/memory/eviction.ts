// Decides which record a full memory store evicts.
import type { SessionRecord } from '../../store.ts'
import type { Columns } from './columns.ts'
import { NONE } from './key-table.ts'
import type { Owners } from './owners.ts'

/** How many parts an eviction compares. */
const CANDIDATES = 8

export class Eviction {
  readonly #parts: readonly Columns[]
  readonly #owners: Owners
  /** The part to look at first. */
  #from = 0

  constructor(parts: readonly Columns[], owners: Owners) {
    this.#parts = parts
    this.#owners = owners
  }

  /**
   * The key of the next of `count` records to evict. The record that was just written comes last in its order, so it is evicted
   * only when it has expired.
   */
  next(count: number, written: SessionRecord, now: number): string | undefined {
    const others = count - this.#owners.size - (written.owner === undefined ? 1 : 0)
    let from: Columns | undefined
    let victim = NONE
    let candidates = 0
    for (let turn = 0; turn < this.#parts.length && candidates < CANDIDATES; turn++) {
      // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the remainder stays within the parts
      const part = this.#parts[this.#from++ % this.#parts.length]!
      const expired = part.firstExpired(now)
      if (expired !== NONE) return part.key(expired)
      const slot = part.first
      const isOther = slot !== NONE && part.key(slot) !== written.key
      // Without other anonymous records, the same number of parts is searched for an expired one.
      if (isOther || others === 0) candidates++
      if (isOther && (from === undefined || part.lastSeenAt(slot) < from.lastSeenAt(victim)))
        [from, victim] = [part, slot]
    }
    return from === undefined ? this.#owners.leastNeeded()?.key : from.key(victim)
  }
}
