// A session is used by the pages of its own site alone.
import { isCrossSite } from '../cookie/cross-site.ts'
import { crossSiteError } from '../errors.ts'
import type { SessionRecord } from '../store.ts'
import type { Core, RequestInfo } from './core.ts'
import type { RequestSession } from './request-session.ts'

/**
 * Refuses an unsafe request of another site that came with this live session, before any handler runs.
 *
 * @throws {SessionError} `ERR_SESSION_CROSS_SITE`, with an event.
 */
export function assertAdmitted({ core, info, record, cookie }: RequestSession): void {
  try {
    assertSameSite(core, info, record)
  } catch (error) {
    // A cookie that was due at the load is none that another site may have renewed.
    cookie.withdraw()
    throw error
  }
}

/**
 * Refuses an unsafe request of another site; its caller has asked whether it is unsafe.
 *
 * @throws {SessionError} `ERR_SESSION_CROSS_SITE`, with an event.
 */
export function assertSameSite(core: Core, info: RequestInfo, record: SessionRecord | undefined): void {
  const { events, settings } = core
  const { crossSite } = settings
  const { request } = info
  if (crossSite === undefined) return
  const { headers } = request
  if (!isCrossSite(headers, () => info.ctx?.host ?? core.requests.hostOf(request))) return
  if (crossSite.trusts(() => info.ctx ?? core.requests.contextOf(request), headers.origin)) return
  events.emit('reject', { publicId: record?.key, owner: record?.owner, reason: 'cross-site' })
  throw crossSiteError()
}
