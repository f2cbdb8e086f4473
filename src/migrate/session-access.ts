// What a take-over needs of a request's session beyond its public face: the store behind it, and to go over to another
// session, or to none, before the handlers see it.
import { isUnsafe } from '../cookie/cross-site.ts'
import { publicIdOf } from '../cookie/id.ts'
import { NO_CHANGES } from '../record/changes.ts'
import { draftOf } from '../record/merge.ts'
import { assertSameSite } from '../session/cross-site.ts'
import { endSession } from '../session/destroy.ts'
import { requestSessionOf, type SessionManager } from '../session/manager.ts'
import { readLive, takeNewer } from '../session/newest.ts'
import { ownerInData } from '../session/owner.ts'
import type { Replaced, SessionRecord } from '../store.ts'

/** What claims are kept in. */
export interface ClaimStore {
  create(record: SessionRecord, now: number): Promise<boolean>
  /** A damaged record is removed, and counts as none. */
  read(key: string, now: number): Promise<SessionRecord | undefined>
  replace(record: SessionRecord, version: number, now: number): Promise<Replaced>
}

/** The session store behind a manager, with its deadline and its one kind of error. */
export function claimStoreOf(session: SessionManager): ClaimStore {
  const { store } = requestSessionOf(session).core
  return {
    create: async (record, now) => store.create(record, now),
    async read(key, now) {
      const held = await store.read(key, now)
      if (held !== 'corrupt') return held
      await store.delete(key)
      return undefined
    },
    replace: async (record, version, now) => store.replace(record, version, now),
  }
}

/**
 * An old cookie opens a live session as well, and may come from where ours would not be sent.
 *
 * @throws {SessionError} `ERR_SESSION_CROSS_SITE` in an unsafe request of another site.
 */
export function assertOwnSite(session: SessionManager): void {
  const { core, info } = requestSessionOf(session)
  if (isUnsafe(info.request)) assertSameSite(core, info, undefined)
}

/** The name of the session's own cookie. */
export function cookieNameOf(session: SessionManager): string {
  return requestSessionOf(session).info.cookie.name
}

/** Whose session it is once what is pending is stored, in which `options.owner` may find another owner. */
export function ownerToBe(session: SessionManager): string | undefined {
  const request = requestSessionOf(session)
  const { core, record } = request
  if (core.settings.owner === undefined) return session.owner
  const pending = request.pending.collect()
  return pending === NO_CHANGES
    ? session.owner
    : ownerInData(core, draftOf(request.stored, record, pending, core.settings.now()))
}

/** Whether use renews the lifetime. */
export function isRolling(session: SessionManager): boolean {
  return requestSessionOf(session).core.settings.lifetime.rolling
}

/**
 * Makes the session of this request that of an id, as if its cookie had come, and sends the cookie.
 *
 * @returns `false`, changing nothing, when no session lives there, or one that is bound to a device: an old cookie is no
 * proof of that.
 */
export async function adopt(session: SessionManager, id: string): Promise<boolean> {
  const request = requestSessionOf(session)
  const { core, info } = request
  const known = await readLive(core, publicIdOf(id))
  if (known === undefined) return false
  const { record, stored } = known
  const { binding } = stored.metadata
  if (binding !== undefined && core.binding?.isProven(info, binding, request.now) === false) return false
  request.resume(id, record, stored.metadata)
  request.setRecord(record, stored)
  takeNewer(request, known)
  request.pending.reset(request.stored.data)
  request.cookie.issue()
  return true
}

/** Ends the session that this request came with, and makes it a visitor's. */
export async function leave(session: SessionManager): Promise<void> {
  const request = requestSessionOf(session)
  if (request.record === undefined) return
  await endSession(request.core, request.record, 'elsewhere')
  request.startAnew()
  request.dataError = undefined
  request.pending.reset(request.stored.data)
}
