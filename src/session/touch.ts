// A use of a session without a change moves its expiry when that is due, and renews its cookie.
import { SessionError } from '../errors.ts'
import { isEnded, recordOf, usedAt, type Draft } from '../record/record.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'
import type { RequestSession } from './request-session.ts'

// With more parallel changes than this, a use may not be recorded; the next one is.
const MAX_TOUCHES = 4

/**
 * Moves the expiry when that is due, and renews the cookie once the session is known to live.
 *
 * The handler's answer stands in any case, because nothing that the handler did depends on the expiry. A failure is an event.
 */
export async function touch(session: RequestSession): Promise<void> {
  const { core, record, cookie } = session
  if (record === undefined) return
  const now = core.settings.now()
  const isDue = session.isTouchDue(record, now)
  const isRenewed = cookie.due === 'renew' || (isDue && core.settings.lifetime.rolling)
  try {
    const isMoved = isDue && !session.hasRunOut(record, now) && (await moveExpiry(session, record, now))
    if (!isMoved && (session.status !== 'live' || (!isDue && !(isRenewed && cookie.canSend)))) return
    for (let tries = 0; !isMoved && tries < MAX_TOUCHES; tries++) {
      const newest = await core.store.read(record.key, now)
      if (typeof newest !== 'object' || isEnded(newest)) {
        cookie.withdraw()
        return
      }
      // Another request may have given the session a lifetime of its own, which the cookie must have.
      if (!session.takeLifetime(newest) || session.hasRunOut(newest, now)) return
      // The write that came between may not count as a use: an update from outside, or a change of a passive request.
      if (!session.isTouchDue(newest, now) || (await touchRecord(session, newest, now))) break
    }
    if (isRenewed && cookie.canSend) cookie.issue()
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
  } finally {
    // Nothing confirmed that the session lives.
    if (cookie.due === 'renew') cookie.withdraw()
  }
}

/** Touches a record whose data this request need not have read. */
async function touchRecord(session: RequestSession, record: SessionRecord, now: number): Promise<boolean> {
  const { settings, touches, store } = session.core
  const touched = { ...record, ...usedAt(settings.lifetime, session.metadata, now) }
  touches.remember(touched)
  const isMoved = await store.touch(record, touched.lastSeenAt, touched.expiresAt, now)
  if (isMoved) session.takeLifetime(touched)
  return isMoved
}

/** Touches the record, or replaces it if it is not encrypted as it would be now. */
async function moveExpiry(session: RequestSession, record: SessionRecord, now: number): Promise<boolean> {
  const { store, payload } = session.core
  const next = payload.isCurrent(record) ? undefined : reencoded(session, record, now)
  // Re-encoding reads the record, which may have shown that it is no session.
  if (session.status !== 'live') return false
  if (next === undefined) return touchRecord(session, record, now)
  const isDone = (await store.replace(next, record.version, now)) === 'done'
  if (isDone) session.record = next
  return isDone
}

/** The record as it would be written now, even if it is over `maxBytes`; `undefined` if it cannot be read or written. */
function reencoded(session: RequestSession, record: SessionRecord, now: number): SessionRecord | undefined {
  session.open()
  if (session.record === undefined) return
  const { payload, settings } = session.core
  try {
    // The stored data, not the output of a schema.
    const contents = payload.decode(record)
    const draft: Draft = { ...contents, metadata: session.metadata, createdAt: record.createdAt, owner: record.owner }
    const instants = usedAt(settings.lifetime, draft.metadata, now)
    return recordOf(payload, draft, record.key, record.version + 1, instants, true)
  } catch (error) {
    if (error instanceof SessionError || error instanceof CorruptRecord) return
    throw error
  }
}
