// Which cookie the response carries, and whether it has left. The rules of the cookie's text are in cookie/.
import type { Socket } from 'node:net'
import { formatSetCookie } from '../cookie/cookie.ts'
import { NO_HEADERS, onHeaders, SET_COOKIE, type Header, type HeaderSource } from '../cookie/on-headers.ts'
import { clearedBoundCookie, hasBoundCookie } from '../cookie/bound-cookie.ts'
import { cookieMaxAge, withMaxAge, type SessionLifetime } from '../record/lifetime.ts'
import { newMetadata } from '../record/record.ts'
import { warnOfCookie } from '../notices.ts'
import { isWebSocket } from './cross-site.ts'
import type { RequestSession } from './request-session.ts'

/**
 * `'renew'`: the browser's cookie is signed with an older key, or has another lifetime now; a new one goes out once the
 * store has confirmed that the session lives. `'issue'`: the session's cookie goes out. `'clear'`: its cookie is cleared.
 */
export type CookieDue = 'none' | 'renew' | 'issue' | 'clear'

export class ResponseCookie implements HeaderSource {
  due: CookieDue = 'none'
  /** Whether a handler looked at the session: then the response depends on the cookie. */
  isConsulted = false
  isOver = false
  /** Whether the headers left with the cookie of a session that is not stored yet: its handler answers by itself. */
  hasIntroduced = false
  /** How often an owner signed in. After the first sign-in, this response offers to bind the session to the browser's device. */
  signIns = 0
  readonly #session: RequestSession
  #isWatching = false

  constructor(session: RequestSession) {
    this.#session = session
  }

  /** Whether the response can still send a cookie. */
  get canSend(): boolean {
    const { ctx } = this.#session.info
    return ctx !== undefined && !ctx.res.headersSent && !this.#session.isFollower && !this.isTakenOver
  }

  /** Whether a handler turned the connection into a WebSocket (koa-easy-ws): there is no response any more. */
  get isTakenOver(): boolean {
    const { ctx, request } = this.#session.info
    const { upgrade } = request.headers
    return (
      ctx !== undefined &&
      upgrade !== undefined &&
      isWebSocket(upgrade) &&
      !ctx.res.headersSent &&
      (ctx.respond === false || ctx.res.socket === null)
    )
  }

  /** Whether the client left before its answer began. A response of HTTP/2, or one that waits behind another, does not know. */
  get isDeserted(): boolean {
    const { ctx, request } = this.#session.info
    // The request of a unit test may have no socket.
    return ctx?.res.headersSent === false && (request.socket as Socket | undefined)?.destroyed === true
  }

  /** Registers to be asked when the headers leave. If they have left already, only the late commit is arranged. */
  watchHeaders(): void {
    const session = this.#session
    const response = session.info.ctx?.res
    if (this.#isWatching || response === undefined) return
    this.#isWatching = true
    if (response.headersSent) session.core.onEarlyHeaders(session)
    else onHeaders(response, this)
  }

  /** Sends the session's cookie with this response. */
  issue(): void {
    this.due = 'issue'
    this.watchHeaders()
  }

  /** Sends the cookie once the store has confirmed that the session lives, or with the headers of a handler that answers itself. */
  renew(): void {
    if (this.due === 'issue' || this.#session.isFollower) return
    this.due = 'renew'
    this.watchHeaders()
  }

  clear(): void {
    this.due = 'clear'
    this.watchHeaders()
  }

  /** Sends neither a new cookie nor a cleared one. */
  withdraw(): void {
    this.due = 'none'
  }

  /** What decides how long the cookie lives. */
  lifetime(now: number): SessionLifetime {
    const { metadata, pending, record } = this.#session
    const stored = record === undefined ? newMetadata(now) : metadata
    return pending.maxAge === undefined ? stored : withMaxAge(stored, pending.maxAge, now)
  }

  dueHeaders(): readonly Header[] {
    const { status, phase, pending, isFollower } = this.#session
    const isOpen = phase !== 'closed'
    if (isOpen && !this.#isKept) return NO_HEADERS
    switch (this.due) {
      case 'none': {
        // The handler answers by itself: its new session, or lifetime, will be stored when the chain returns, or is being stored.
        const willChange = status === 'new' ? pending.hasContents : status === 'live' && pending.maxAge !== undefined
        return willChange && isOpen && !isFollower ? [this.#ours()] : NO_HEADERS
      }
      case 'renew':
        // The same: the read at the load has confirmed that the session lives.
        return status === 'live' && isOpen ? [[...this.#ours(), true]] : NO_HEADERS
      case 'issue':
        return this.signIns > 0 ? [this.#ours(), ...this.#endOfBinding(), ...this.#offer()] : [this.#ours()]
      case 'clear':
        return [this.#cleared(), ...this.#endOfBinding(), ...this.#clearSiteData()]
    }
  }

  onSent(): void {
    const { status, phase, pending, core } = this.#session
    this.hasIntroduced = status === 'new' && (this.due === 'issue' || (pending.hasContents && this.#isKept))
    if (phase === 'open') core.onEarlyHeaders(this.#session)
  }

  /** Whether no handler has set `ctx.session` to null. */
  get #isKept(): boolean {
    const end = this.#session.facade?.pendingEnd
    return end !== 'ended' && end !== 'replaced'
  }

  #ours(): readonly [name: string, value: string] {
    const { info, core, record, id, pending } = this.#session
    const { cookie, keyring } = info
    const { lifetime: policy } = core.settings
    const now = core.settings.now()
    const isStart = record === undefined || pending.maxAge !== undefined
    const seenAt = isStart || this.#session.isTouchDue(record, now) ? now : record.lastSeenAt
    // Within the first second the cookie gets the full lifetime: 3600 seconds, not 3599.
    const maxAge = cookieMaxAge(policy, this.lifetime(now), seenAt, Math.abs(now - seenAt) < 1000 ? seenAt : now)
    const value = `${id}.${keyring.sign(cookie.prefix + id)}`
    return [SET_COOKIE, formatSetCookie(cookie, value, maxAge, this.#isSecure())]
  }

  #cleared(): Header {
    return [SET_COOKIE, formatSetCookie(this.#session.info.cookie, '', 0, this.#isSecure())]
  }

  #clearSiteData(): readonly Header[] {
    const { clearSiteData } = this.#session.core.settings
    return clearSiteData === undefined ? NO_HEADERS : [['Clear-Site-Data', clearSiteData]]
  }

  /** The offer to register a device: in this response and in no other. */
  #offer(): readonly Header[] {
    const { info, core, status, metadata } = this.#session
    const { registration } = metadata
    if (core.binding === undefined || registration === undefined || status !== 'live') return NO_HEADERS
    return [core.binding.offer(info, registration, core.settings.now())]
  }

  /** Clears the bound cookie, the proof of a binding that ends here. */
  #endOfBinding(): readonly Header[] {
    const { info, core, origin, metadata } = this.#session
    const { cookie, request } = info
    if (core.binding === undefined) return NO_HEADERS
    const isBound = metadata.binding !== undefined || origin === 'unbound'
    if (!isBound && !hasBoundCookie(request.headers.cookie, cookie)) return NO_HEADERS
    return [[SET_COOKIE, clearedBoundCookie(cookie, this.#isSecure())]]
  }

  #isSecure(): boolean {
    const { cookie, ctx } = this.#session.info
    // Over HTTP/2 the connection of a client that has left looks like plain HTTP.
    if (ctx === undefined || this.isDeserted) return false
    warnOfCookie(ctx, cookie, this.#session.core.events)
    return ctx.secure
  }
}
