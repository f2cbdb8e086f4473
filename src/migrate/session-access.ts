// What a take-over needs of a request's session beyond its public face: the store behind it, and to go over to another
// session, or to none, before the handlers see it.
import { CORRUPT } from '../checked-store.ts'
import { publicIdOf } from '../cookie/id.ts'
import { isTombstone } from '../record/tombstone.ts'
import { view } from '../session/commit.ts'
import { requestSessionOf, type SessionManager } from '../session/manager.ts'
import { end } from '../session/regenerate.ts'
import { take } from '../session/steps.ts'
import type { SessionStore } from '../store.ts'

/** The session store behind a manager, with its deadline and its one kind of error. */
export function storeOf(session: SessionManager): Pick<SessionStore, 'create' | 'read' | 'replace' | 'delete'> {
  return requestSessionOf(session).services.store
}

/** Whether use renews the lifetime. */
export function isRolling(session: SessionManager): boolean {
  return requestSessionOf(session).services.settings.limits.rolling
}

/**
 * Makes the session of this request that of an id, as if its cookie had come, and sends the cookie.
 *
 * @returns `false`, changing nothing, when no session lives there.
 */
export async function adopt(session: SessionManager, id: string): Promise<boolean> {
  const visit = requestSessionOf(session)
  const { store, settings, payload } = visit.services
  const record = await store.read(publicIdOf(id), settings.now())
  if (record === undefined || record === CORRUPT || isTombstone(record)) return false
  if (payload.isLocked(record)) throw payload.locked()
  visit.revive()
  visit.resume(id, record)
  visit.open()
  // A record that cannot be read has made it a visitor's again.
  if ((visit.record as unknown) === undefined) return false
  if (settings.schema !== undefined) visit.know(record, await view(visit.services, visit, record))
  visit.reset()
  visit.due = 'issue'
  visit.arm()
  return true
}

/** Ends the session that this request came with, and makes it a visitor's. */
export async function leave(session: SessionManager): Promise<void> {
  const visit = requestSessionOf(session)
  if (visit.record === undefined) return
  await take(end(visit.services, visit.record))
  visit.record = undefined
  visit.origin = 'expired'
  visit.forgetId()
  visit.forgetStored()
  visit.reset()
}
