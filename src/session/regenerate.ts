// Gives a session a new id, which no slow request may undo.
import { headersSentError } from '../errors.ts'
import type { PendingChanges, Snapshot } from '../record/changes.ts'
import { applyChanges, conflictingKeys, draftOf } from '../record/merge.ts'
import { emptyDraft, isEnded, NOTHING_STORED, tombstoneOf, type Draft } from '../record/record.ts'
import type { Replaced } from '../store.ts'
import { abandon, createRecord, deleteUnused, insert } from './create.ts'
import { endPresented } from './destroy.ts'
import { orDrop } from './exclusive.ts'
import { readLive, refresh, refuse, requireRecord, takeNewer } from './newest.ts'
import { applyOwner, assertNotBroughtBack, finishSignIn, isSomebodyElse, ownerInData, signedIn } from './owner.ts'
import type { RequestSession } from './request-session.ts'
import { refuseConflict, type Attempt } from './change.ts'
import { retryOnConflict } from './retry.ts'
import { followRecord } from './successors.ts'
import { refusesData } from './validation.ts'

/** What happened, for the error where the cookie of the new id cannot be sent. */
const NEW_ID = 'the session got a new id'

/** Which keys of data are kept under a new id: all, none, or these. */
export type Keep = boolean | readonly string[]

/** What a new id is asked for: what is stored with it, what is kept, and who signs in. */
interface Renewal {
  readonly pending: PendingChanges
  readonly keep: Keep
  readonly owner: string | undefined
}

/**
 * Gives the session a new id and ends the old one; with an `owner`, signs that owner in. See the manager. `'seen'` keeps only
 * the data as this request sees it, and what else is pending.
 */
export async function regenerate(
  session: RequestSession,
  keep: Keep | 'seen',
  owner: string | undefined,
): Promise<void> {
  session.assertReadable()
  if (session.phase !== 'open' || !session.cookie.canSend) throw headersSentError(NEW_ID)
  session.open()
  await orDrop(session, async (note) => {
    const before = session.record?.owner
    const held = session.pending.data?.held() ?? new Map()
    let pending = session.pending.collect()
    note(pending)
    // With koaSession, an object after null begins the session that signs in.
    const isSeen = keep === 'seen' || (keep !== false && owner !== undefined && session.facade?.isReplacing === true)
    // Without what other requests store in the old session from now on.
    if (isSeen) pending = { ...pending, seen: pick(applyChanges(session.stored.data, pending.changes), keep) }
    const renewal = { pending, keep: !isSeen && keep, owner }
    const hasRotated = session.status === 'live' && (await rotate(session, renewal))
    if (!hasRotated) await begin(session, renewal)
    const isAnew = isSeen || keep !== true || !hasRotated || isSomebodyElse(before, session.record?.owner)
    session.pending.detach(session.stored, pending, isAnew ? held : undefined)
    if (isSeen) session.facade?.settled('done')
    // A fresh start is a logout, too.
    if (keep === false && owner === undefined && session.origin === 'expired') await endPresented(session)
  })
}

/** @returns whether the session lives on under a new id; `false` if it has ended. */
async function rotate(session: RequestSession, renewal: Renewal): Promise<boolean> {
  const { pending, owner } = renewal
  const attempt = (): Promise<Replaced> => {
    const { core, stored } = session
    const now = core.settings.now()
    const ground = draftOf(stored, requireRecord(session), pending, now)
    // A sign-in keeps no data that breaks the schema, and none of another owner that is not listed.
    const isRefused = owner !== undefined && pending.replacement === undefined && refusesData(session.dataError)
    const isDropped = isRefused || (renewal.keep === true && isSomebodyElse(ground.owner, owner))
    const keep = isDropped && renewal.keep !== false ? [] : renewal.keep
    const conflicts = conflictingKeys(stored.data, keptOf(pending, keep).changes, core.payload.codec)
    if (conflicts.length > 0) refuseConflict(session, conflicts)
    const draft = carryOver(session, ground, { ...renewal, keep }, now)
    if (conflicts.length > 0) assertNotBroughtBack(session, pending, draft)
    const isFreshStart = keep === false || isSomebodyElse(ground.owner, draft.owner)
    const isSignIn =
      owner !== undefined || (draft.owner !== undefined && (isFreshStart || draft.owner !== ground.owner))
    return rotateOnce(session, draft, conflicts, isSignIn, isFreshStart)
  }
  return retryOnConflict(attempt, () => refresh(session))
}

/** Begins a session under a new id: from what this request has if it was not stored yet, empty if it ended meanwhile. */
async function begin(session: RequestSession, renewal: Renewal): Promise<void> {
  const now = session.core.settings.now()
  const { status } = session
  const { owner } = renewal
  // Before the browser has proved itself, only a sign-in begins a session, by `signIn` or by data that names an owner.
  const isUnbound = status === 'unbound'
  const hasEnded = status !== 'new' && !isUnbound
  // A sign-in is not refused when the session has ended: it begins another one.
  if (hasEnded && owner === undefined) refuse(session)
  const ground = hasEnded ? emptyDraft(now) : draftOf(session.stored, undefined, renewal.pending, now)
  const draft = carryOver(session, ground, hasEnded ? { ...renewal, keep: false } : renewal, now)
  if (isUnbound && draft.owner === undefined) refuse(session)
  if (hasEnded) session.forgetEnded()
  session.forgetId()
  await insert(session, draft, now)
}

/** What is kept of a session under its new id, signed in if an owner is given. */
function carryOver(session: RequestSession, draft: Draft, { pending, keep, owner }: Renewal, now: number): Draft {
  if (pending.seen !== undefined) {
    const seen = { ...draftOf(NOTHING_STORED, undefined, pending, now), data: pending.seen }
    return owner === undefined ? applyOwner(session, seen, pending, now) : signedIn(session, seen, owner, now)
  }
  const isAnother = isSomebodyElse(draft.owner, owner)
  // From another owner's session only listed data is kept, not even the lifetime.
  const ground = keep === false || isAnother ? emptyDraft(now) : draft
  const kept = typeof keep === 'boolean' ? ground : { ...ground, data: pick(draft.data, keep) }
  // With `options.owner`, the data that is kept names the owner, as at any other commit.
  if (owner === undefined) return applyOwner(session, kept, keptOf(pending, keep), now)
  // "Remember me" that this request set is meant for the owner who signs in.
  const { maxAge = kept.metadata.maxAge } = pending
  return signedIn(session, { ...kept, metadata: { ...kept.metadata, maxAge } }, owner, now)
}

/** The pending changes that are kept: over another owner, nothing else is. */
function keptOf(pending: PendingChanges, keep: Keep): PendingChanges {
  if (keep === true) return pending
  return { ...pending, changes: pending.changes.filter(({ key }) => keep !== false && keep.includes(key)) }
}

/** The listed keys of a snapshot, or all; the snapshot itself if all are kept, because that one has been checked already. */
function pick(data: Snapshot, keys: Keep | 'seen'): Snapshot {
  const entries = Object.entries(data)
  const kept = entries.filter(([key]) => typeof keys !== 'object' || keys.includes(key))
  return kept.length === entries.length ? data : Object.fromEntries(kept)
}

/**
 * Moves a stored session to a new id: creates the new record, then replaces the old one by a tombstone that names the new
 * one. A crash between the two leaves the old session as it was; the new record, whose id no browser knows, expires.
 *
 * This is one attempt, on the record that this request knows. If another request was first, nothing has changed.
 */
async function rotateOnce(
  session: RequestSession,
  draft: Draft,
  conflicts: readonly string[],
  isSignIn: boolean,
  isFreshStart: boolean,
): Promise<Replaced> {
  const { settings, store, events, watches } = session.core
  const previous = requireRecord(session)
  const now = settings.now()
  if (session.hasRunOut(previous, now)) return 'stale'
  // Both records are listed until the old one is replaced. Its key in the new one lets an owner's limit count them once.
  const marked = { ...draft, metadata: { ...draft.metadata, predecessor: previous.key } }
  const created = await createRecord(session, marked, now, settings.generateId())
  // The headers may leave meanwhile: the old session must not end when the browser cannot learn the new id.
  const canSend = (): boolean => session.cookie.canSend
  // Nor for a client that has left; a fresh start that signs nobody in is a logout, which holds all the same.
  if (!canSend() || ((isSignIn || !isFreshStart) && session.cookie.isDeserted)) return abandon(session, created, NEW_ID)
  const { id, record, draft: stored } = created
  session.ending?.unwatch()
  session.isMoving = true
  let answer: Replaced = 'gone'
  try {
    answer = await store.replace(tombstoneOf(previous, record.key, now, isFreshStart), previous.version, now)
  } finally {
    session.isMoving = false
    if (answer !== 'done') session.ending?.watch()
  }
  if (answer !== 'done' || !canSend()) {
    await deleteUnused(session, record.key)
    if (answer !== 'done') return answer
    // The headers have left since. The old session is not brought back, because a logout may have followed the tombstone.
    session.markGone()
    session.ending?.watch()
    throw headersSentError(NEW_ID)
  }
  session.become(id, record, stored)
  events.tell('regenerate', record, { previousPublicId: previous.key })
  session.tellCommitted(record, conflicts)
  watches.moved(previous.key, record, isFreshStart)
  if (isSignIn) await finishSignIn(session)
  return 'done'
}

// ---- the owner that data names

/**
 * Stores, under a new id, changes that make an owner appear or change.
 *
 * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when the cookie can no longer be sent.
 */
export async function rotateForOwner(session: RequestSession, { draft, conflicts }: Attempt): Promise<Replaced> {
  // The successor that this request follows is no longer that owner's, and no response of this request may send a new id.
  if (session.isFollower) return refuse(session)
  if (!session.cookie.canSend) throw headersSentError('the owner of the session changed')
  return rotateOnce(session, draft, conflicts, true, session.record?.owner !== undefined)
}

/**
 * The session ended while this request changed it. With `options.owner`, if a parallel request signed the same owner in and
 * so gave the session a new id, this request goes on with that successor, in which its next try stores the changes. Its
 * response sends no cookie of the successor.
 *
 * @returns whether there is a successor that the changes may follow.
 */
export async function joinSuccessor(session: RequestSession, pending: PendingChanges): Promise<boolean> {
  const { core, record } = session
  if (core.settings.owner === undefined || record === undefined) return false
  const now = core.settings.now()
  const wanted = ownerInData(core, draftOf(session.stored, record, pending, now))
  // Only a change that itself signs that owner in follows: no other request from before the new id may change the successor.
  if (wanted === undefined || wanted === record.owner) return false
  const ended = await core.store.read(record.key, now)
  const target = typeof ended === 'object' && isEnded(ended) ? await followRecord(core, ended) : undefined
  const newest = target && (await readLive(core, target.key, session.scope))
  if (newest?.record.owner !== wanted) return false
  takeNewer(session, newest)
  session.instantsAt = now
  // Only the browser knows the successor's id, from the other response.
  session.isFollower = true
  session.cookie.withdraw()
  return true
}

/**
 * A sign-in that had joined a successor failed, so nothing more of its request may be stored there.
 *
 * @throws the error, always.
 */
export function leaveSuccessor(session: RequestSession, wasFollower: boolean, error: unknown): never {
  if (session.isFollower && !wasFollower && session.status === 'live') session.markGone()
  throw error
}
