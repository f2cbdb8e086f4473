// Decides which record a full memory store evicts.
import type { SessionRecord } from '../../store.ts'
import type { Columns } from './columns.ts'
import { NONE } from './key-table.ts'
import type { Owners } from './owners.ts'

/** How many parts an eviction compares. */
const CANDIDATES = 8

/**
 * The key of the next of `count` records to evict. The record that was just written comes last in its order, so it is evicted
 * only when it has expired.
 */
export type NextToEvict = (count: number, written: SessionRecord, now: number) => string | undefined

export function evictionFrom(parts: readonly Columns[], owners: Owners): NextToEvict {
  // The part to look at first.
  let first = 0
  return (count, written, now) => {
    const others = count - owners.size - (written.owner === undefined ? 1 : 0)
    let from: Columns | undefined
    let victim = NONE
    let candidates = 0
    for (let turn = 0; turn < parts.length && candidates < CANDIDATES; turn++) {
      // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the remainder stays within the parts
      const part = parts[first++ % parts.length]!
      const expired = part.firstExpired(now)
      if (expired !== NONE) return part.key(expired)
      const slot = part.first
      const isOther = slot !== NONE && part.key(slot) !== written.key
      // Without other anonymous records, the same number of parts is searched for an expired one.
      if (isOther || others === 0) candidates++
      if (isOther && (from === undefined || part.lastSeenAt(slot) < from.lastSeenAt(victim)))
        [from, victim] = [part, slot]
    }
    return from === undefined ? owners.leastNeeded()?.key : from.key(victim)
  }
}
