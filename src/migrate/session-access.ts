// What a take-over does to a request's session beyond the public API: it may switch to another session, or to none, before the
// handlers see it.
import { publicIdOf } from '../cookie/id.ts'
import { NO_CHANGES } from '../record/changes.ts'
import { draftOf } from '../record/merge.ts'
import { isFreshStart, successorOf } from '../record/record.ts'
import { endSession } from '../session/destroy.ts'
import { readLive, takeNewer } from '../session/newest.ts'
import { ownerInData } from '../session/owner.ts'
import type { RequestSession } from '../session/request-session.ts'

/** The owner of the session once its pending changes are stored: `options.owner` may find another owner in them. */
export function ownerToBe({ core, record, stored, pending, cookie }: RequestSession): string | undefined {
  if (core.settings.owner === undefined) return record?.owner
  const changes = pending.collect()
  if (changes === NO_CHANGES) return record?.owner
  const owner = ownerInData(core, draftOf(stored, record, changes, core.settings.now()))
  // A sign-in is refused where the client has left, a sign-out is not.
  return owner !== undefined && cookie.isDeserted ? record?.owner : owner
}

/** Whether the response sends a cookie of another session, or clears ours. */
export function replacesCookie(request: RequestSession, isDropped: boolean): boolean {
  const { status, cookie, pending } = request
  if (cookie.due !== 'none' || isDropped) return cookie.due !== 'none'
  return status === 'new' ? pending.hasContents : status === 'unbound' && ownerToBe(request) !== undefined
}

/**
 * Switches this request to the session with this id, as if its cookie had come, and sends the cookie.
 *
 * @returns `'gone'` if there is no such live session, `'unproven'` if it is bound to a device that the request does not prove (an
 * old cookie is no proof of it). Both change nothing. `'late'` if it has just got a new id, which another response carries: this
 * request may change nothing, as one that comes with the replaced id. `'another'` if nobody owns it, unless `mayBeVisitors`.
 */
export async function adopt(
  request: RequestSession,
  id: string,
  mayBeVisitors: boolean,
): Promise<'adopted' | 'gone' | 'unproven' | 'late' | 'another'> {
  const { core, info } = request
  const publicId = publicIdOf(id)
  const known = await readLive(core, publicId)
  if (known === undefined) {
    const ended = await core.store.read(publicId, core.settings.now())
    if (typeof ended !== 'object' || successorOf(ended) === undefined) return 'gone'
    request.origin = 'expired'
    request.status = 'gone'
    request.presented = publicId
    return 'late'
  }
  const { record, stored } = known
  if (!mayBeVisitors && record.owner === undefined) return 'another'
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
export async function leave(request: RequestSession): Promise<void> {
  if (request.record === undefined) return
  await endSession(request.core, request.record, 'elsewhere')
  request.startAnew()
  request.dataError = undefined
  request.pending.reset(request.stored.data)
}

/** Whether a fresh session took the place of the one with this id. */
export async function hasBegunAnew({ core }: RequestSession, id: string): Promise<boolean> {
  const replaced = await core.store.read(publicIdOf(id), core.settings.now())
  return typeof replaced === 'object' && isFreshStart(replaced)
}
