// What a take-over needs of a request's session beyond the public API: access to its store, and a switch to another session, or
// to none, before the handlers see it.
import { isUnsafe } from '../cookie/cross-site.ts'
import { publicIdOf } from '../cookie/id.ts'
import { NO_CHANGES } from '../record/changes.ts'
import { draftOf } from '../record/merge.ts'
import { successorOf } from '../record/tombstone.ts'
import { assertSameSite } from '../session/cross-site.ts'
import { endSession } from '../session/destroy.ts'
import { requestSessionOf, type SessionManager } from '../session/manager.ts'
import { readLive, takeNewer } from '../session/newest.ts'
import { ownerInData } from '../session/owner.ts'
import type { RequestSession } from '../session/request-session.ts'
import type { Replaced, SessionRecord } from '../store.ts'

/** The store of claims and ties. */
export interface ClaimStore {
  create(record: SessionRecord, now: number): Promise<boolean>
  /** A damaged record is deleted, and the result is `undefined`. */
  read(key: string, now: number): Promise<SessionRecord | undefined>
  replace(record: SessionRecord, version: number, now: number): Promise<Replaced>
}

/** The session store behind a manager. Calls have its deadline and reject only with `ERR_SESSION_STORE`. */
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
 * Refuses a request of another site: an old cookie opens a live session too, and the browser may send it from sites from which it
 * would not send ours.
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

/** koa-session's face of the session; `undefined` without the option `koaSession`. */
export function facadeOf(session: SessionManager): RequestSession['facade'] {
  return requestSessionOf(session).facade
}

/** The owner of the session once its pending changes are stored: `options.owner` may find another owner in them. */
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
 * Switches this request to the session with this id, as if its cookie had come, and sends the cookie.
 *
 * @returns `'gone'` if there is no such live session, `'unproven'` if it is bound to a device that the request does not prove (an
 * old cookie is no proof of it). Both change nothing. `'late'` if it has just got a new id, which another response carries: this
 * request may change nothing, as one that comes with the replaced id.
 */
export async function adopt(session: SessionManager, id: string): Promise<'adopted' | 'gone' | 'unproven' | 'late'> {
  const request = requestSessionOf(session)
  const { core, info } = request
  const publicId = publicIdOf(id)
  const known = await readLive(core, publicId)
  if (known === undefined) {
    const ended = await core.store.read(publicId, core.settings.now())
    if (ended === undefined || ended === 'corrupt' || successorOf(ended) === undefined) return 'gone'
    request.origin = 'expired'
    request.status = 'gone'
    request.replacedPublicId = publicId
    return 'late'
  }
  const { record, stored } = known
  const { binding } = stored.metadata
  if (binding !== undefined && core.binding?.isProven(info, binding, request.now) === false) return 'unproven'
  request.resume(id, record, stored.metadata)
  request.setRecord(record, stored)
  takeNewer(request, known)
  request.pending.reset(request.stored.data)
  request.cookie.issue()
  return 'adopted'
}

/** Ends the session of this request, which goes on as a visitor's. */
export async function leave(session: SessionManager): Promise<void> {
  const request = requestSessionOf(session)
  if (request.record === undefined) return
  await endSession(request.core, request.record, 'elsewhere')
  request.startAnew()
  request.dataError = undefined
  request.pending.reset(request.stored.data)
}
