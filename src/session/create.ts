// Stores a session for the first time.
import { headersSentError, storeFailure } from '../errors.ts'
import { publicIdOf } from '../cookie/id.ts'
import type { PendingChanges } from '../record/changes.ts'
import { draftOf } from '../record/merge.ts'
import { recordOf, usedAt, type Draft } from '../record/record.ts'
import type { MaybePromise, SessionRecord } from '../store.ts'
import { applyOwner, finishSignIn } from './owner.ts'
import type { RequestSession } from './request-session.ts'
import { checkDraft } from './validation.ts'

const MAX_ID_COLLISIONS = 5

/** Stores what is pending as a new session. */
export function create(session: RequestSession, pending: PendingChanges): MaybePromise<void> {
  const now = session.core.settings.now()
  return insert(session, newDraft(session, pending, now), now)
}

/** The contents of a new session from what is pending, signed in if `options.owner` finds an owner in them. */
export function newDraft(session: RequestSession, pending: PendingChanges, now: number): Draft {
  return applyOwner(session, draftOf(session.stored, undefined, pending, now), pending, now)
}

/**
 * Inserts a session that is not stored yet, and continues the request with it.
 *
 * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when the browser would never learn its id.
 */
export function insert(session: RequestSession, draft: Draft, now: number): MaybePromise<void> {
  const { cookie } = session
  if (!cookie.canSend && !cookie.hasIntroduced) throw headersSentError('a new session was stored')
  const created = createRecord(session, draft, now, session.id)
  return created instanceof Promise ? created.then((one) => introduce(session, one)) : introduce(session, created)
}

function introduce(session: RequestSession, created: CreatedRecord): MaybePromise<void> {
  const { core, cookie } = session
  const { events } = core
  // The headers may have left while the record was written; or the client, for which nobody is signed in.
  if ((!cookie.canSend && !cookie.hasIntroduced) || (created.draft.owner !== undefined && cookie.isDeserted))
    return abandon(session, created, 'a new session was stored')
  const { id, record, draft } = created
  session.become(id, record, draft)
  events.tell('create', record)
  session.tellCommitted(record)
  return finishSignIn(session)
}

/** Removes a record whose id the browser will never learn. @throws {SessionError} `ERR_SESSION_HEADERS_SENT`. */
export async function abandon(session: RequestSession, { record }: CreatedRecord, what: string): Promise<never> {
  await deleteUnused(session, record.key)
  throw headersSentError(what)
}

/** Removes a record whose id no browser will learn. If that fails, the record expires. */
export async function deleteUnused({ core }: RequestSession, key: string): Promise<void> {
  try {
    await core.store.delete(key)
  } catch {
    // The store's failure is an event already, and the caller has to know how its own work ended.
  }
}

/** A record that was written under an id that the browser does not know yet. */
export interface CreatedRecord {
  readonly id: string
  readonly record: SessionRecord
  readonly draft: Draft
}

interface Insertion extends CreatedRecord {
  /** Whether the id was not taken. */
  readonly isFree: MaybePromise<boolean>
}

function insertion(session: RequestSession, draft: Draft, now: number, id: string): Insertion {
  const { payload, settings, store } = session.core
  const record = recordOf(payload, draft, publicIdOf(id), 1, usedAt(settings.lifetime, draft.metadata, now))
  return { id, record, draft, isFree: store.create(record, now) }
}

/**
 * Writes the first record of a draft, under another id if this one is taken: the record there is another browser's
 * session, which is neither adopted nor overwritten.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` after too many collisions.
 */
export function createRecord(
  session: RequestSession,
  draft: Draft,
  now: number,
  id: string,
): MaybePromise<CreatedRecord> {
  const checked = checkDraft(session, draft)
  // A live session that goes on empty under a new id is a logout, which must not fail.
  if (session.record !== undefined && session.origin === 'resumed') session.isUnchecked = false
  if (checked !== undefined) {
    return checked.then(() => untilFree(session, insertion(session, draft, now, id), now))
  }
  const first = insertion(session, draft, now, id)
  if (!(first.isFree instanceof Promise)) return first.isFree ? first : untilFree(session, first, now)
  // A promise less than an async function.
  return first.isFree.then((answer) => (answer ? first : untilFree(session, first, now)))
}

async function untilFree(session: RequestSession, first: Insertion, now: number): Promise<CreatedRecord> {
  let created = first
  for (let left = MAX_ID_COLLISIONS; !(await created.isFree); left--) {
    // An id that has left with the headers can no longer be exchanged for another one.
    if (left === 0 || session.cookie.hasIntroduced)
      throw storeFailure(
        'each new id was taken: options.generateId must draw at least 128 random bits, and create of the store must refuse a key only where a live record holds it',
      )
    created = insertion(session, created.draft, now, session.core.settings.generateId())
  }
  return created
}
