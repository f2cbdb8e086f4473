// From a record that has ended to the session that took its place.
import { turnAfter } from '../portions.ts'
import { isEnded, successorOf } from '../record/tombstone.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'

// A chase of a session that gets new ids all the time ends after ten seconds, in milliseconds.
const PATIENCE = 10_000

/**
 * The record itself, or the one at the end of its successors; `undefined` where there is none. With `before`, as it was so
 * many milliseconds ago: an end must reach what has expired by this process's clock and lives by another one's.
 */
export async function followRecord(core: Core, record: SessionRecord, before = 0): Promise<SessionRecord | undefined> {
  const { store, settings } = core
  if (!isEnded(record)) return record
  let target: SessionRecord | undefined | 'corrupt' = record
  // Tombstones that name one another in a circle have no end.
  const seen = new Set<string>()
  const end = performance.now() + PATIENCE
  let steps = 0
  while (target !== undefined && target !== 'corrupt' && performance.now() < end) {
    if (!isEnded(target)) return target
    const successor = successorOf(target)
    if (successor === undefined || seen.has(successor)) return undefined
    seen.add(successor)
    // A store that answers at once would otherwise keep the event loop.
    await turnAfter(steps++)
    target = await store.read(successor, settings.now() - before)
  }
  return undefined
}

/** The key of the live session that took the place of that one; `undefined` where there is none. */
export async function followSuccessors(core: Core, key: string): Promise<string | undefined> {
  const record = await core.store.read(key, core.settings.now())
  if (record === undefined || record === 'corrupt' || !isEnded(record)) return undefined
  return (await followRecord(core, record))?.key
}
