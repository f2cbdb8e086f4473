// A change of a stored session, from what it makes of the newest known state to what follows once it is stored: what all
// verbs that change one share.
import { conflictError } from '../errors.ts'
import { expiry } from '../record/lifetime.ts'
import { conflicts, type PendingChanges } from '../record/merge.ts'
import type { Draft, Instants, Stored } from '../record/record.ts'
import type { MaybePromise, SessionRecord } from '../store.ts'
import { finishSignIn } from './owner.ts'
import type { RequestSession } from './request-session.ts'

/**
 * The keys that this request changes and another one has changed since they were read.
 *
 * @throws {SessionError} `ERR_SESSION_CONFLICT` where the app wants to be told.
 */
export function conflictingKeys(
  { core, record }: RequestSession,
  { changes }: PendingChanges,
  ground: Stored,
): readonly string[] {
  const keys = conflicts(ground.data, changes, core.payload.codec)
  if (keys.length === 0 || !core.settings.throwsOnConflict) return keys
  const { events } = core
  if (record !== undefined && events.hasSubscribers('conflict'))
    events.emit('conflict', { publicId: record.key, owner: record.owner, keys })
  throw conflictError(keys)
}

/** When the changed session was used, and when it ends. */
export function nextInstants(
  session: RequestSession,
  previous: SessionRecord,
  draft: Draft,
  pending: PendingChanges,
  now: number,
): Instants {
  const { lifetime } = session.core.settings
  const { isPassive } = session.info
  let lastSeenAt = Math.max(now, previous.lastSeenAt)
  if (isPassive || lifetime.rolling) {
    const newest = session.core.touches.newest(previous)
    const isNewStart = pending.maxAge !== undefined || draft.metadata.startedAt !== session.metadata.startedAt
    if (isPassive && !isNewStart) return { lastSeenAt: newest.lastSeenAt, expiresAt: newest.expiresAt }
    // A rolling cookie must not end before its session: both move together, when a touch is due.
    if (!isNewStart && !session.isTouchDue(previous, now)) lastSeenAt = newest.lastSeenAt
  }
  return { lastSeenAt, expiresAt: expiry(lifetime, draft.metadata, lastSeenAt) }
}

/** A change is stored: `record` took the place of `previous`. `clashes` are keys that both sides changed. */
export function finishChange(
  session: RequestSession,
  pending: PendingChanges,
  previous: SessionRecord,
  record: SessionRecord,
  stored: Stored,
  clashes: readonly string[],
): MaybePromise<void> {
  const { cookie, core, phase } = session
  session.setRecord(record, stored)
  core.payload.known.remember(record, stored)
  core.watches.expires(record.key, record.expiresAt)
  const isSeen = record.lastSeenAt !== previous.lastSeenAt
  if (pending.maxAge !== undefined || (isSeen && core.settings.lifetime.rolling)) cookie.renew()
  // Before the handlers have returned, another request may still replace the session, and its cookie.
  if (phase !== 'open' && cookie.due === 'renew' && cookie.canSend) cookie.issue()
  tellCommitted(session, record, clashes)
  return record.owner === previous.owner ? undefined : finishSignIn(session)
}

/** Tells that a change is stored, and what of other requests it met. */
export function tellCommitted(session: RequestSession, record: SessionRecord, clashes: readonly string[]): void {
  const { events } = session.core
  const { key: publicId, owner } = record
  if (session.mergedKeys.length > 0) {
    events.emit('merge', { publicId, owner, keys: session.mergedKeys })
    session.mergedKeys = []
  }
  if (clashes.length > 0) {
    if (events.hasSubscribers('conflict')) events.emit('conflict', { publicId, owner, keys: clashes })
    events.notice(
      'MERGED_CONFLICT',
      "two requests changed the same key of one session, and the later commit won: use session.update() for counters and lists, or onConflict: 'throw'",
    )
  }
  if (events.hasSubscribers('commit')) events.emit('commit', { publicId, owner })
}
