// Only pages of its own site may use a session: SameSite does not see to that in every browser.
import type { IncomingMessage } from 'node:http'
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
  const { trusts } = core.settings
  const { request } = info
  if (trusts === undefined || (session === undefined && !isUnsafe(request))) return
  const { headers } = request
  if (!isCrossSite(headers, () => info.ctx?.host ?? core.requests.hostOf(request))) return
  if (trusts(() => info.ctx ?? core.requests.contextOf(request), headers.origin)) return
  // A record that cannot be read is no live session. The load may not have opened it, so it is opened here.
  session?.open()
  if (session?.status === 'new') return
  const record = session?.record
  core.events.emit('reject', { publicId: record?.key, owner: record?.owner, reason: 'cross-site' })
  throw new SessionError(
    'ERR_SESSION_CROSS_SITE',
    'a page of another site sent this request with the session of its visitor: if that is meant, list its origin in options.crossSite, { trust: [origin] }',
  )
}

// ---- what a request says of itself

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Whether a request may change something: any method but GET, HEAD and OPTIONS (RFC 9110, section 9.2.1), and the upgrade to
 * a WebSocket.
 */
export function isUnsafe({ method = 'GET', headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return !SAFE.has(method) || (headers.upgrade !== undefined && isWebSocket(headers.upgrade))
}

/** Whether the Upgrade header of a request asks for a WebSocket. */
export function isWebSocket(upgrade: string): boolean {
  return WEBSOCKET.test(upgrade)
}

// A list of protocols, in any case (RFC 9110, section 7.8).
const WEBSOCKET = /(?:^|,)\s*websocket\s*(?:[,/]|$)/i

/**
 * Whether a request comes from another site than the host that it asks for: by Fetch Metadata, else by its `Origin`, which
 * browsers without Fetch Metadata send with every unsafe request. A request with neither header comes from no browser, or from
 * an old one, and is served.
 */
function isCrossSite(headers: IncomingMessage['headers'], host: () => string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'cross-site'
  const { origin } = headers
  return origin !== undefined && !isOriginOf(origin, host())
}

/** Whether an origin has that host and port. `null`, and anything that is not a URL, is another site. */
function isOriginOf(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: its } = new URL(origin)
  // The URL drops the default port of its own scheme, which a Host header may name.
  const there = `${protocol}//${host}`
  return its !== '' && URL.canParse(there) && new URL(there).host === its
}
