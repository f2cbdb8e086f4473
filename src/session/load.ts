// From the Cookie header to the session: which cookie counts, which record it names, and which events the others cause.
// If no session can be resumed, a fresh one begins; an id that a client sent is never adopted.
import { FAR, warnOfFutureUse } from '../clock-check.ts'
import { parseSessionCookies, type VerifiedId } from '../cookie/request-cookie.ts'
import { SessionError, storeClosedError, unknownEncryptionKeyError } from '../errors.ts'
import type { RejectReason } from '../events.ts'
import { expiry, idleTimeout } from '../record/lifetime.ts'
import { isEnded, isUnderWay, readMetadata, successorOf } from '../record/record.ts'
import type { FoundRecord, MaybePromise, SessionRecord } from '../store.ts'
import { spans, trace } from '../trace.ts'
import type { Core, RequestInfo } from './core.ts'
import { applySchema, takeNewer } from './newest.ts'
import { RequestSession } from './request-session.ts'

/** The session that the request's cookie names, or a fresh one. `isTraced`: the span has begun, or none is wanted. */
export function load(core: Core, info: RequestInfo, isTraced = false): MaybePromise<RequestSession> {
  if (!isTraced && spans.load.hasSubscribers) return trace('load', {}, () => load(core, info, true))
  const now = core.settings.now()
  const header = info.request.headers.cookie
  if (header === undefined) return new RequestSession(core, info, now, 'new')
  const { values, malformed } = parseSessionCookies(header, info.cookie, info.keyring.length)
  if (malformed) reject(core, 'malformed')
  const [only] = values
  if (only === undefined) return new RequestSession(core, info, now, malformed ? 'invalid' : 'new')
  if (core.store.isClosed) throw storeClosedError()
  // The common case: one cookie, and no choice to make.
  if (values.length === 1) {
    const verified = core.verifier.verify(info, only)
    if (verified === undefined) {
      reject(core, 'signature')
      return new RequestSession(core, info, now, 'invalid')
    }
    const session = new RequestSession(core, info, now, 'expired')
    session.readAt = performance.now()
    const found = core.store.read(verified.publicId, now)
    return found instanceof Promise
      ? found.then((record) => take(session, verified, record))
      : take(session, verified, found)
  }
  const ids = new Map<string, VerifiedId>()
  for (const value of values) {
    const verified = core.verifier.verify(info, value)
    if (verified === undefined) reject(core, 'signature')
    // A cookie of before a change of its domain or path stays beside the one that was signed anew, which counts.
    else if (!verified.needsResign || !ids.has(verified.id)) ids.set(verified.id, verified)
  }
  return loadFirst(core, info, now, [...ids.values()])
}

/** The first live session, in the order of the header. */
async function loadFirst(
  core: Core,
  info: RequestInfo,
  now: number,
  ids: readonly VerifiedId[],
): Promise<RequestSession> {
  let best: RequestSession | undefined
  let locked: SessionError | undefined
  for (const [at, verified] of ids.entries()) {
    const session = new RequestSession(core, info, now, 'expired')
    session.readAt = performance.now()
    const record = await core.store.read(verified.publicId, now)
    // Only a readable session counts as live: a corrupt one, or one under an unlisted encryption key, must not hide the next.
    try {
      await take(session, verified, record)
    } catch (error) {
      if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_STORE') throw error
      locked = error
      continue
    }
    session.open()
    if (session.status !== 'live') {
      best ??= session
      if (best.status === 'new' && (session.status !== 'new' || session.origin === 'unbound')) best = session
      continue
    }
    for (const { publicId } of ids.slice(at + 1)) reject(core, 'duplicate', publicId)
    return session
  }
  if (locked !== undefined) throw locked
  return best ?? new RequestSession(core, info, now, 'invalid')
}

function take(session: RequestSession, verified: VerifiedId, record: FoundRecord): MaybePromise<RequestSession> {
  const { publicId } = verified
  const { now, info, core } = session
  const { settings, payload, binding, events } = core
  session.presented = publicId
  if (typeof record !== 'object') return rejected(session, record ?? 'ended')
  if (isEnded(record)) {
    // The request was under way when its session got a new id: its changes are refused.
    if (isUnderWay(record, now)) session.status = 'gone'
    return rejected(session, successorOf(record) === undefined ? 'ended' : 'replaced')
  }
  const metadata = readMetadata(record)
  if (metadata === undefined) return rejected(session, 'corrupt', record.owner)
  if (record.lastSeenAt - now > FAR) warnOfFutureUse(record.lastSeenAt, now, events)
  session.allowedEnd = expiry(settings.lifetime, metadata, record.lastSeenAt)
  session.endsAt = Math.min(record.expiresAt, session.allowedEnd)
  if (session.endsAt <= now) {
    const isIdle = record.lastSeenAt + idleTimeout(settings.lifetime, metadata) <= now
    return rejected(session, isIdle ? 'idle' : 'absolute', record.owner)
  }
  // Checked after the limits: an unreadable session must not live longer than a readable one.
  if (typeof record.payload !== 'string' && payload.isLocked(record)) {
    if (settings.encryption?.onUnknownKey !== 'end') throw unknownEncryptionKeyError()
    return rejected(session, 'key', record.owner)
  }
  if (metadata.binding !== undefined && binding?.isProven(info, metadata.binding, now) === false) {
    session.origin = 'unbound'
    // A fresh cookie would take the place of the one that the browser proves next.
    session.pending.mustStore = false
    // A browser that says that it skipped a refresh keeps its cookies: only a sign-in begins a new session.
    if (binding.hasSkippedRefresh(info)) session.status = 'unbound'
    return rejected(session, 'unbound', record.owner)
  }
  session.resume(verified.id, record, metadata)
  const isRenewed = settings.lifetime.rolling && session.isTouchDue(record, now)
  if (verified.needsResign || isRenewed) session.cookie.due = 'renew'
  if (settings.schema !== undefined) return withSchema(session, record)
  if (events.channels.resume.hasSubscribers) {
    // A record that cannot be read is no live session, and its owner must not be announced.
    session.open()
    if (session.record === record) events.tell('resume', record)
  }
  return session
}

/** A schema parses data before the handlers run. It may be slow, and it may refuse the data. */
async function withSchema(session: RequestSession, record: SessionRecord): Promise<RequestSession> {
  session.open()
  if (session.record !== record) return session
  takeNewer(session, await applySchema(session.core, record, session.stored))
  // What the schema changed was not changed by another request.
  session.mergedKeys = []
  session.core.events.tell('resume', record)
  return session
}

function rejected(session: RequestSession, reason: RejectReason, owner?: string): RequestSession {
  reject(session.core, reason, session.presented, owner)
  return session
}

/** Emits the event of a cookie that did not lead to its session. */
function reject({ events }: Core, reason: RejectReason, publicId?: string, owner?: string): void {
  if (events.channels.reject.hasSubscribers) events.emit('reject', { publicId, owner, reason })
}
