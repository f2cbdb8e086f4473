// A session that goes on under a new id, and a session that ends: what no slow request may undo.
import { ABSENT, apply, type Snapshot } from '../record/merge.ts'
import {
  become,
  catchUp,
  check,
  clashing,
  committed,
  current,
  firstRecord,
  gone,
  headersSent,
  insert,
  issue,
  Patience,
  type Made,
} from './commit.ts'
import { SessionError } from '../errors.ts'
import { freshNotes } from '../record/metadata.ts'
import { settled, type Steps } from './steps.ts'
import type { SessionRecord } from '../store.ts'
import { endOf, isTombstone, successorOf, tombstoneOf } from '../record/tombstone.ts'
import type { Draft, Pending, Services, Visit } from './request-session.ts'

/** Which keys of data go on under a new id: all, none, or these. */
export type Keep = boolean | readonly string[]

/** Who signs in, if that is why there is a new id. */
export type NewOwner = { readonly owner: string } | undefined

/** Gives the session a new id and ends the old one; with an owner, signs that one in. See the manager. */
export function* regenerate(visit: Visit, keep: Keep, signIn: NewOwner): Steps<void> {
  visit.readable()
  if (visit.isClosed || !visit.canSend) throw headersSent('the session got a new id')
  visit.open()
  if (visit.hasEnded && signIn === undefined) throw gone(visit)
  const pending = visit.pending()
  if (visit.record === undefined || visit.hasEnded) yield* begin(visit, pending, keep, signIn)
  else yield* succeed(visit, pending, keep, signIn)
  visit.detach(pending)
}

/** A session that is not stored begins under a new id; one that ended meanwhile begins empty. */
function* begin(visit: Visit, pending: Pending, keep: Keep, signIn: NewOwner): Steps<void> {
  const now = visit.services.settings.now()
  const draft = kept(visit.draft(pending, now), visit.hasEnded ? false : keep, signIn, now)
  visit.forgetId()
  yield* insert(visit, draft, now)
  visit.revive()
}

/**
 * A stored session goes on under a new id: first the new record, then the old one gives way to a tombstone that names
 * it. A crash between the two leaves the old session as it was; the new one, whose id nobody knows, expires.
 */
function* succeed(visit: Visit, pending: Pending, keep: Keep, signIn: NewOwner): Steps<void> {
  const { settings, store, events } = visit.services
  const patience = new Patience()
  const previousPublicId = current(visit).key
  let made: Made | undefined
  let clashes: readonly string[]
  try {
    for (;;) {
      const previous = current(visit)
      const now = settings.now()
      clashes = clashing(visit, pending.changes)
      const draft = kept(visit.draft(pending, now), keep, signIn, now)
      made =
        made === undefined
          ? yield* firstRecord(visit, draft, now, visit.newId())
          : yield* rewrite(visit, made, draft, now, signIn)
      const outcome = yield* settled(store.replace(tombstoneOf(previous, made.record.key, now), previous.version, now))
      if (outcome === 'done') break
      if (outcome === 'stale') yield* patience.pause()
      if (outcome === 'gone' || !(yield* catchUp(visit))) {
        if (signIn === undefined) throw gone(visit)
        // The session ended meanwhile: whoever signs in must not inherit what was in it, and nothing of it was changed.
        clashes = []
        made = yield* rewrite(visit, made, kept(draft, false, signIn, now), now, signIn)
        break
      }
    }
  } catch (error) {
    if (made !== undefined) yield* discard(visit, made, error)
    throw error
  }
  become(visit, made)
  issue(visit)
  if (events.heard('regenerate')) events.emit('regenerate', { publicId: made.record.key, previousPublicId })
  committed(visit, made.record, clashes)
}

/** Removes a record whose id nobody will learn. A store that just failed is not asked again: the record expires. */
function* discard(visit: Visit, made: Made, reason: unknown): Steps<void> {
  if (reason instanceof SessionError && reason.code === 'ERR_SESSION_STORE') return
  try {
    yield* settled(visit.services.store.delete(made.record.key))
  } catch {
    // The guard has told the event, and what the caller has to know is the reason.
  }
}

function* rewrite(visit: Visit, made: Made, draft: Draft, now: number, signIn: NewOwner): Steps<Made> {
  if (visit.services.settings.schema !== undefined) yield check(visit, draft)
  const record = visit.recordOf(draft, made.record.key, made.record.version + 1, now)
  if ((yield* settled(visit.services.store.replace(record, made.record.version, now))) === 'done')
    return { id: made.id, record, draft }
  // Ended by whoever ends all sessions of this owner; a sign-in that comes after that is not refused.
  if (signIn === undefined) throw gone(visit)
  return yield* firstRecord(visit, draft, now, visit.newId())
}

/** What of a session goes on under its new id. */
function kept(draft: Draft, keep: Keep, signIn: NewOwner, now: number): Draft {
  const isSomebodyElse = signIn !== undefined && draft.owner !== undefined && draft.owner !== signIn.owner
  const start: Draft =
    keep === false || (keep === true && isSomebodyElse)
      ? { data: {}, flash: [], notes: freshNotes(now), createdAt: now, owner: undefined }
      : {
          ...draft,
          data: keep === true ? draft.data : only(draft.data, keep),
          flash: isSomebodyElse ? [] : draft.flash,
        }
  if (signIn === undefined) return start
  return {
    ...start,
    owner: signIn.owner,
    notes: { ...start.notes, authenticatedAt: now, startedAt: now, maxAgeSince: now },
  }
}

function only(data: Snapshot, keys: readonly string[]): Snapshot {
  const others = Object.keys(data).filter((key) => !keys.includes(key))
  return apply(
    data,
    others.map((key) => ({ key, base: undefined, value: ABSENT })),
  )
}

/** Ends the session; see the manager. */
export function* destroy(visit: Visit): Steps<void> {
  if (visit.isDestroyed) return
  const { record } = visit
  const hasEnded = record !== undefined && (yield* end(visit.services, record))
  visit.isDestroyed = true
  // Whoever came without a live session has nothing to clear, and where another request ended it the browser may
  // hold a fresh cookie by now.
  visit.due = hasEnded && visit.origin === 'resumed' ? 'clear' : 'nothing'
  if (visit.due === 'clear') visit.arm()
}

/**
 * Ends the session of a record, or whatever took its place: a logout is a logout.
 *
 * Two calls, not one: a plain `delete` could not tell the session from the tombstone of one that has just moved on.
 * First the version that was read gives way to nothing, then what is left of it is removed.
 *
 * @returns whether a live session was ended.
 */
export function* end(services: Services, record: SessionRecord): Steps<boolean> {
  const { settings, store, events } = services
  const patience = new Patience()
  for (let target = yield* living(services, record); target !== undefined;) {
    const now = settings.now()
    const outcome = yield* settled(store.replace(endOf(target, now), target.version, now))
    if (outcome === 'done') {
      yield* settled(store.delete(target.key))
      if (events.heard('destroy')) events.emit('destroy', { publicId: target.key })
      return true
    }
    if (outcome === 'stale') yield* patience.pause()
    const newest = outcome === 'gone' ? undefined : yield* settled(store.read(target.key, now))
    target = newest === undefined ? undefined : yield* living(services, newest)
  }
  return false
}

/** The record itself, or the one at the end of its successors; `undefined` where there is none. */
export function* living({ settings, store }: Services, record: SessionRecord): Steps<SessionRecord | undefined> {
  let target: SessionRecord | undefined = record
  while (target !== undefined && isTombstone(target)) {
    const successor = successorOf(target)
    target = successor === undefined ? undefined : yield* settled(store.read(successor, settings.now()))
  }
  return target
}
