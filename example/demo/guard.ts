// What every request passes first: headers that tell the browser what these pages never do, and the refusal of forms
// that other sites send.
import type { IncomingMessage } from 'node:http'
import type { Context, Next } from 'koa'

const HEADERS = {
  // Scripts, styles and sockets from this server alone, nothing inline; no other site may frame a page.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  // Not no-referrer: with that, browsers send `Origin: null` with the forms of this very site.
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
}

export function safeHeaders(ctx: Context, next: Next): Promise<unknown> {
  ctx.set(HEADERS)
  return next()
}

/**
 * Refuses a request that changes something unless a page of this very origin sent it.
 *
 * The cookie's SameSite=Lax keeps it from most of what other sites send, but a site is larger than an origin: every
 * port of localhost, every subdomain of a company is the same site. Browsers say where a request comes from
 * (Sec-Fetch-Site; Origin where that is missing), and a page cannot forge either. A token in the session would do as
 * well, but would give a session to every visitor who only looks at a form. This covers the sign-in form, too.
 */
export function ownFormsOnly(ctx: Context, next: Next): Promise<unknown> {
  if (ctx.method !== 'GET' && ctx.method !== 'HEAD' && !isFromHere(ctx.req)) ctx.throw(403)
  return next()
}

function isFromHere(request: IncomingMessage): boolean {
  const site = request.headers['sec-fetch-site']
  return site === undefined ? isOwnOrigin(request) : site === 'same-origin'
}

/** Sockets are under no same-origin policy: whoever accepts one has to look at this. */
export function isOwnOrigin({ headers }: IncomingMessage): boolean {
  const { origin = '', host } = headers
  return URL.canParse(origin) && new URL(origin).host === host
}
