// Whether a page of another site made the browser send a request: SameSite does not cover that in every browser.
import type { IncomingMessage } from 'node:http'

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
export function isCrossSite(headers: IncomingMessage['headers'], host: () => string): boolean {
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
