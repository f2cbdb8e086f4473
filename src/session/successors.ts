// From a record that has ended to the session that took its place.
import { isEnded, successorOf } from '../record/tombstone.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'

// A session that gets a new id more often than this within a minute is none; tombstones that name one another end here.
const MAX_STEPS = 16

/** The record itself, or the one at the end of its successors; `undefined` where there is none. */
export async function followRecord(core: Core, record: SessionRecord): Promise<SessionRecord | undefined> {
  const { store, settings } = core
  let target: SessionRecord | undefined | 'corrupt' = record
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    if (target === undefined || target === 'corrupt') return undefined
    if (!isEnded(target)) return target
    const successor = successorOf(target)
    if (successor === undefined) return undefined
    target = await store.read(successor, settings.now())
  }
  return undefined
}

/** The key of the live session that took the place of that one; `undefined` where there is none. */
export async function followSuccessors(core: Core, key: string): Promise<string | undefined> {
  const record = await core.store.read(key, core.settings.now())
  if (record === undefined || record === 'corrupt' || !isEnded(record)) return undefined
  return (await followRecord(core, record))?.key
}
