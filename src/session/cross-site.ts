// Only pages of its own site may use a session.
import { isCrossSite, isUnsafe } from '../cookie/cross-site.ts'
import { SessionError } from '../errors.ts'
import type { Core, RequestInfo } from './core.ts'
import type { RequestSession } from './request-session.ts'

/**
 * Refuses an unsafe request of another site that comes with a live session or, if no session is given, signs in. The caller
 * that gives a session has checked that the request is unsafe.
 *
 * @throws {SessionError} `ERR_SESSION_CROSS_SITE`, with an event.
 */
export function assertSameSite(core: Core, info: RequestInfo, session?: RequestSession): void {
  const { events, settings } = core
  const { crossSite } = settings
  const { request } = info
  if (crossSite === undefined || (session === undefined && !isUnsafe(request))) return
  const { headers } = request
  if (!isCrossSite(headers, () => info.ctx?.host ?? core.requests.hostOf(request))) return
  if (crossSite.trusts(() => info.ctx ?? core.requests.contextOf(request), headers.origin)) return
  // A record that cannot be read is no live session. The load may not have opened it, so it is opened here.
  session?.open()
  if (session?.status === 'new') return
  const record = session?.record
  events.emit('reject', { publicId: record?.key, owner: record?.owner, reason: 'cross-site' })
  throw new SessionError(
    'ERR_SESSION_CROSS_SITE',
    'a page of another site sent this request with the session of its visitor: if that is meant, list its origin in options.crossSite, { trust: [origin] }',
  )
}
