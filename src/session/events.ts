// What a commit tells of itself.
import type { SessionRecord } from '../store.ts'
import type { RequestSession } from './request-session.ts'

/** Tells that a change is stored, and what of other requests it met: `conflicts` are keys that both sides changed. */
export function tellCommitted(session: RequestSession, record: SessionRecord, conflicts: readonly string[]): void {
  const { events } = session.core
  const { key: publicId, owner } = record
  if (session.mergedKeys.length > 0) {
    events.emit('merge', { publicId, owner, keys: session.mergedKeys })
    session.mergedKeys = []
  }
  if (conflicts.length > 0) {
    if (events.hasSubscribers('conflict')) events.emit('conflict', { publicId, owner, keys: conflicts })
    events.notice(
      'MERGED_CONFLICT',
      "two requests changed the same key of one session, and the later commit won: use session.update() for counters and lists, or onConflict: 'throw'",
    )
  }
  if (events.hasSubscribers('commit')) events.emit('commit', { publicId, owner })
}
