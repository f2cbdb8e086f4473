// From a record that has ended to the session that took its place.
import { turnAfter } from '../portions.ts'
import { isEnded, successorOf } from '../record/record.ts'
import type { FoundRecord, SessionRecord } from '../store.ts'
import type { Core } from './core.ts'

// How long a session that keeps getting new ids is followed, in milliseconds.
const PATIENCE = 10_000

// How many tombstones are remembered. If a session got more new ids within a minute, some of them are followed again.
const MAX_FOLLOWED = 10_000

/**
 * The tombstones that one walk over all records has followed to their end. A session that got a thousand new ids is followed
 * once, not from each of its tombstones.
 */
export class FollowedTombstones extends Set<string> {
  override add(key: string): this {
    if (this.size >= MAX_FOLLOWED) this.clear()
    return super.add(key)
  }
}

/**
 * The record itself if it has not ended, else the one at the end of its successors; `undefined` if there is none, or if
 * `followed` has a tombstone on the way. `before` sets the clock back by that many milliseconds, because ending must reach a
 * session that has expired by this process's clock and lives by another one's.
 */
export async function followRecord(
  core: Core,
  record: SessionRecord,
  before = 0,
  followed?: FollowedTombstones,
): Promise<SessionRecord | undefined> {
  const { store, settings } = core
  let target: FoundRecord = record
  // Tombstones that name one another in a circle would never end.
  const seen = new Set<string>()
  const end = performance.now() + PATIENCE
  while (typeof target === 'object' && isEnded(target)) {
    if (performance.now() >= end) return
    const successor: string | undefined = followed?.has(target.key) === true ? undefined : successorOf(target)
    // A synchronous store would otherwise block the event loop.
    await turnAfter(seen.size)
    seen.add(target.key)
    if (successor === undefined || seen.has(successor)) target = undefined
    else target = await store.read(successor, settings.now() - before)
  }
  if (followed !== undefined) for (const key of seen) followed.add(key)
  return target === 'corrupt' ? undefined : target
}
