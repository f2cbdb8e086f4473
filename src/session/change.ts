// One attempt to change a stored session, from applying the change to the newest known state to what follows once it is
// stored. All methods that change a session share it. They decide how often to try, and what else to store with it.
import { keyNames, SessionError } from '../errors.ts'
import { expiry } from '../record/lifetime.ts'
import type { PendingChanges } from '../record/changes.ts'
import { conflictingKeys, draftOf } from '../record/merge.ts'
import { recordOf, type Draft, type Instants, type Stored } from '../record/record.ts'
import type { MaybePromise, Replaced, SessionRecord } from '../store.ts'
import { applyOwner, finishSignIn } from './owner.ts'
import type { RequestSession } from './request-session.ts'

/** The result of applying a change to the newest known state. */
export interface Attempt {
  readonly pending: PendingChanges
  readonly previous: SessionRecord
  readonly ground: Stored
  readonly draft: Draft
  /** The keys that this request and another one changed. */
  readonly conflicts: readonly string[]
  readonly now: number
}

/** The record of an attempt, and the answer to its write. */
export interface Written {
  readonly record: SessionRecord
  readonly answer: MaybePromise<Replaced>
}

/**
 * Applies `pending` to a state. An update stores more, passed as `wanted`: what its function made of the newest data is no
 * conflict.
 *
 * @throws {SessionError} `ERR_SESSION_CONFLICT` with `onConflict: 'throw'`.
 */
export function prepare(
  session: RequestSession,
  pending: PendingChanges,
  previous: SessionRecord,
  ground: Stored,
  wanted: PendingChanges = pending,
): Attempt {
  const { payload, settings } = session.core
  const now = settings.now()
  const plain = draftOf(ground, previous, wanted, now)
  const conflicts = conflictingKeys(ground.data, pending.changes, payload.codec)
  if (conflicts.length > 0) refuseConflict(session, conflicts)
  const draft = settings.owner === undefined ? plain : applyOwner(session, plain, wanted, now)
  return { pending, previous, ground, draft, conflicts, now }
}

export function write(session: RequestSession, attempt: Attempt): Written {
  const { payload, store } = session.core
  const { previous, ground, draft, now } = attempt
  const instants = nextInstants(session, attempt)
  const record = recordOf(payload, draft, previous.key, previous.version + 1, instants)
  // Ended by current limits, which the store does not know. 'stale' makes the caller read first whether it was used meanwhile.
  if (now >= session.endsAt && session.hasRunOut(previous, now, ground.metadata)) return { record, answer: 'stale' }
  return { record, answer: store.replace(record, previous.version, now) }
}

/** With `onConflict: 'throw'`, refuses a change that conflicts. @throws {SessionError} `ERR_SESSION_CONFLICT`. */
export function refuseConflict({ core, record }: RequestSession, keys: readonly string[]): void {
  if (!core.settings.throwsOnConflict) return
  if (record !== undefined) core.events.tell('conflict', record, { keys })
  throw new SessionError(
    'ERR_SESSION_CONFLICT',
    `another request changed ${keyNames(keys, true)} of this session meanwhile: try the request again, or use session.update()`,
  )
}

/** When the changed session was used, and when it ends. */
export function nextInstants(session: RequestSession, { pending, previous, draft, now }: Attempt): Instants {
  const { lifetime } = session.core.settings
  const { isPassive } = session.info
  let lastSeenAt = Math.max(now, previous.lastSeenAt)
  if (isPassive || lifetime.rolling) {
    const newest = session.core.touches.newest(previous)
    const isNewStart = pending.maxAge !== undefined || (draft.owner !== undefined && draft.owner !== previous.owner)
    if (isPassive && !isNewStart) return { lastSeenAt: newest.lastSeenAt, expiresAt: newest.expiresAt }
    // A rolling cookie must not end before its session: both move together, when a touch is due.
    if (!isNewStart && !session.isTouchDue(previous, now)) lastSeenAt = newest.lastSeenAt
  }
  return { lastSeenAt, expiresAt: expiry(lifetime, draft.metadata, lastSeenAt) }
}

/** Does what follows once a change is stored in `record`, which holds `stored`. */
export function finishChange(
  session: RequestSession,
  { pending, previous, draft, conflicts }: Attempt,
  record: SessionRecord,
  stored: Stored = draft,
): MaybePromise<void> {
  const { cookie, core, phase } = session
  core.payload.known.remember(record, stored)
  if (core.watches.isWatching) core.watches.expires(record.key, record.expiresAt)
  session.setRecord(record, stored)
  // One write may store the changes of several requests, and another one of them may be the use.
  const isSeen = record.lastSeenAt !== previous.lastSeenAt && !session.info.isPassive
  if (pending.maxAge !== undefined || (isSeen && core.settings.lifetime.rolling)) cookie.renew()
  // Before the handlers have returned, another request may still replace the session, and its cookie.
  if (phase !== 'open' && cookie.due === 'renew' && cookie.canSend) cookie.issue()
  session.tellCommitted(record, conflicts)
  if (record.owner !== previous.owner) return finishSignIn(session)
}
