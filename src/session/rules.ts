// Rules of a change of a stored session that its verbs share.
import { conflictError } from '../errors.ts'
import { expiry } from '../record/lifetime.ts'
import { conflicts, type PendingChanges } from '../record/merge.ts'
import type { Draft, Instants, Stored } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import type { RequestSession } from './request-session.ts'

/**
 * The keys that this request changes and another one has changed since they were read.
 *
 * @throws {SessionError} `ERR_SESSION_CONFLICT` where the app wants to be told.
 */
export function conflictingKeys(
  { core }: RequestSession,
  { changes }: PendingChanges,
  ground: Stored,
): readonly string[] {
  const keys = conflicts(ground.data, changes, core.payload.codec)
  if (keys.length > 0 && core.settings.throwsOnConflict) throw conflictError(keys)
  return keys
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
  const isNewStart = pending.maxAge !== undefined || draft.metadata.startedAt !== session.metadata.startedAt
  if (session.info.isPassive && !isNewStart) {
    return { lastSeenAt: previous.lastSeenAt, expiresAt: previous.expiresAt }
  }
  // A rolling cookie must not end before its session: both move together, when a touch is due.
  const moves = !lifetime.rolling || isNewStart || session.isTouchDue(previous, now)
  const lastSeenAt = moves ? Math.max(now, previous.lastSeenAt) : previous.lastSeenAt
  return { lastSeenAt, expiresAt: expiry(lifetime, draft.metadata, lastSeenAt) }
}

/** After a change: whether the cookie has another lifetime now. */
export function scheduleRenewal(session: RequestSession, pending: PendingChanges, isSeen: boolean): void {
  const { cookie, core, phase } = session
  if (pending.maxAge !== undefined || (isSeen && core.settings.lifetime.rolling)) cookie.renew()
  // Before the handlers have returned, another request may still replace the session, and its cookie.
  if (phase !== 'open' && cookie.due === 'renew' && cookie.canSend) cookie.issue()
}
