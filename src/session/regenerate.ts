// A session goes on under a new id: what no slow request may undo.
import { headersSentError } from '../errors.ts'
import type { PendingChanges, Snapshot } from '../record/changes.ts'
import { applyChanges, draftOf } from '../record/merge.ts'
import { emptyDraft, NOTHING_STORED, type Draft } from '../record/record.ts'
import { tombstoneOf } from '../record/tombstone.ts'
import type { Replaced } from '../store.ts'
import { createRecord, insert } from './create.ts'
import { orDrop } from './exclusive.ts'
import { readLive, refresh, refuse, requireRecord, takeNewer, type Known } from './newest.ts'
import { applyOwner, finishSignIn, ownerInData, signedIn } from './owner.ts'
import type { RequestSession } from './request-session.ts'
import { conflictsOf, write, type Attempt } from './change.ts'
import { changeNewest, retryOnConflict } from './retry.ts'
import { followSuccessors } from './successors.ts'
import { validate } from './validation.ts'

/** Which keys of data go on under a new id: all, none, or these. */
export type Keep = boolean | readonly string[]

/**
 * Gives the session a new id and ends the old one; with an owner, signs that one in. See the manager. `'seen'`: nothing goes on
 * but data as this request sees it, and what else is pending.
 */
export async function regenerate(
  session: RequestSession,
  keep: Keep | 'seen',
  owner: string | undefined,
): Promise<void> {
  session.assertReadable()
  if (session.phase !== 'open' || !session.cookie.canSend) throw headersSentError('the session got a new id')
  session.open()
  // A sign-in keeps no data that breaks the schema.
  const kept = keep === 'seen' || (owner !== undefined && session.dataError !== undefined) ? false : keep
  await orDrop(session, async (note) => {
    let pending = session.pending.collect()
    note(pending)
    // Not what other requests put into the old session from now on.
    if (keep === 'seen') pending = { ...pending, seen: applyChanges(session.stored.data, pending.changes) }
    const hasRotated = session.status === 'live' && (await rotate(session, pending, kept, owner))
    // To a sign-in nothing is refused: it begins a session.
    if (!hasRotated && session.status !== 'new' && owner === undefined) refuse(session)
    if (!hasRotated) await begin(session, pending, kept, owner)
    session.pending.detach(session.stored, pending)
  })
}

/** @returns whether the session lives on under a new id; `false` where it has ended. */
async function rotate(
  session: RequestSession,
  pending: PendingChanges,
  keep: Keep,
  owner: string | undefined,
): Promise<boolean> {
  const attempt = (): Promise<Replaced> => {
    const now = session.core.settings.now()
    const conflicts = pending.seen === undefined ? conflictsOf(session, pending, session.stored) : []
    const ground = draftOf(session.stored, requireRecord(session), pending, now)
    const draft = carryOver(session, ground, keep, owner, pending, now)
    const isFreshStart = keep === false || isSomebodyElse(ground.owner, draft.owner)
    const isSignIn =
      owner !== undefined || (draft.owner !== undefined && (isFreshStart || draft.owner !== ground.owner))
    return rotateOnce(session, draft, conflicts, isSignIn, isFreshStart)
  }
  return retryOnConflict(attempt, () => refresh(session))
}

/** A session that is not stored begins under a new id; one that ended meanwhile begins empty. */
async function begin(
  session: RequestSession,
  pending: PendingChanges,
  keep: Keep,
  owner: string | undefined,
): Promise<void> {
  const now = session.core.settings.now()
  const hasEnded = session.status !== 'new'
  const ground = hasEnded ? emptyDraft(now) : draftOf(session.stored, undefined, pending, now)
  const draft = carryOver(session, ground, hasEnded ? false : keep, owner, pending, now)
  if (hasEnded) session.forgetEnded()
  session.forgetId()
  await insert(session, draft, now)
}

/** What of a session goes on under its new id, signed in where an owner is given. */
function carryOver(
  session: RequestSession,
  draft: Draft,
  keep: Keep,
  owner: string | undefined,
  pending: PendingChanges,
  now: number,
): Draft {
  if (pending.seen !== undefined)
    return applyOwner(
      session,
      { ...draftOf(NOTHING_STORED, undefined, pending, now), data: pending.seen },
      pending,
      now,
    )
  const isAnother = isSomebodyElse(draft.owner, owner)
  // Of another owner's session nothing but data goes on, not even how long it was to live.
  const ground = keep === false || isAnother ? emptyDraft(now) : draft
  const kept = typeof keep === 'boolean' ? ground : { ...ground, data: pick(draft.data, keep) }
  // With `options.owner`, what goes on tells the owner, as at any other commit.
  if (owner === undefined) return applyOwner(session, kept, keptOf(pending, keep), now)
  // "Remember me" that this request set is meant for the owner who signs in.
  const { maxAge = kept.metadata.maxAge } = pending
  return signedIn(session, { ...kept, metadata: { ...kept.metadata, maxAge } }, owner, now)
}

function isSomebodyElse(previous: string | undefined, owner: string | undefined): boolean {
  return owner !== undefined && previous !== undefined && previous !== owner
}

/** The changes that go on: over another owner nothing else does. */
function keptOf(pending: PendingChanges, keep: Keep): PendingChanges {
  if (keep === true) return pending
  return { ...pending, changes: pending.changes.filter(({ key }) => keep !== false && keep.includes(key)) }
}

/** The snapshot itself where all of it is kept: it has been checked. */
function pick(data: Snapshot, keys: readonly string[]): Snapshot {
  const entries = Object.entries(data)
  const kept = entries.filter(([key]) => keys.includes(key))
  return kept.length === entries.length ? data : Object.fromEntries(kept)
}

/**
 * A stored session goes on under a new id: first the new record, then the old one gives way to a tombstone that names
 * it. A crash between the two leaves the old session as it was; the new one, whose id no browser knows, expires.
 *
 * One attempt, over the record that this request knows: where another request was first, nothing has changed.
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
  // Until the old record gives way both are listed: with its name, the limit of an owner counts them once.
  const marked = { ...draft, metadata: { ...draft.metadata, predecessor: previous.key } }
  const { id, record, draft: stored } = await createRecord(session, marked, now, settings.generateId())
  // The announcement of a fresh start ends the signals of other requests, not of the one that makes it.
  session.ending?.unwatch()
  let answer: Replaced = 'gone'
  try {
    answer = await store.replace(tombstoneOf(previous, record.key, now, isFreshStart), previous.version, now)
  } finally {
    if (answer !== 'done') session.ending?.watch()
  }
  if (answer !== 'done') {
    await deleteUnused(session, record.key)
    return answer
  }
  session.become(id, record, stored)
  const { key: publicId, owner } = record
  events.emit('regenerate', { publicId, previousPublicId: previous.key, owner })
  session.tellCommitted(record, conflicts)
  watches.moved(previous.key, record, isFreshStart)
  if (isSignIn) await finishSignIn(session, previous.key)
  return 'done'
}

/** Removes a record whose id no browser will learn; where that fails, it expires. */
async function deleteUnused({ core }: RequestSession, key: string): Promise<void> {
  try {
    await core.store.delete(key)
  } catch {
    // The store's failure is an event already, and the caller has to know how the rotation ended.
  }
}

// ---- the owner that data names

/**
 * Stores changes that make an owner appear or change: under a new id.
 *
 * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when the cookie can no longer be sent.
 */
export async function rotateForOwner(session: RequestSession, { draft, conflicts }: Attempt): Promise<Replaced> {
  if (!session.cookie.canSend) throw headersSentError('the owner of the session changed')
  return rotateOnce(session, draft, conflicts, true, session.record?.owner !== undefined)
}

/**
 * The session ended while it was changed. With `options.owner`, where a parallel request signed the same owner in and so
 * gave the session a new id, the changes are stored in its successor, of which this response sends no cookie.
 *
 * @throws {SessionError} `ERR_SESSION_GONE` otherwise.
 */
export async function storeInSuccessor(session: RequestSession, pending: PendingChanges): Promise<void> {
  const { core, record } = session
  if (core.settings.owner === undefined || record === undefined) return refuse(session)
  const wanted = ownerInData(core, draftOf(session.stored, record, pending, core.settings.now()))
  // Only who signs in as that owner by this very change follows: a request of before a new id must not reach beyond it.
  if (wanted === undefined || wanted === record.owner) return refuse(session)
  const key = await followSuccessors(core, record.key)
  if (key === undefined) return refuse(session)
  const change = async ({ record: ground, stored }: Known): Promise<Replaced> => {
    if (ground.owner !== wanted) return 'gone'
    const now = core.settings.now()
    const conflicts = conflictsOf(session, pending, stored)
    const draft = draftOf(stored, ground, pending, now)
    await validate(core, key, draft.data, session.scope)
    const written = write(session, { pending, previous: ground, ground: stored, draft, conflicts, now })
    const answer = await written.answer
    if (answer === 'done') {
      // What of it this request changed itself is no other request's change.
      takeNewer(session, { record: ground, stored, dataError: undefined })
      session.setRecord(written.record, draft)
      // Its id is known to the browser alone, from the other response.
      session.isFollower = true
      session.cookie.withdraw()
      session.tellCommitted(written.record, conflicts)
    }
    return answer
  }
  const read = (): Promise<Known | undefined> => readLive(core, key, session.scope)
  const changed = await changeNewest(await read(), change, read)
  if (changed === undefined) refuse(session)
}
