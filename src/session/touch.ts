// A use of a session without a change: its expiry moves when that is due, and its cookie is renewed.
import { SessionError } from '../errors.ts'
import { isEnded, recordOf, usedAt, type Draft } from '../record/record.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'
import type { RequestSession } from './request-session.ts'

// Under more changes than that at once a use may go unnoted: the next one is.
const MAX_TOUCHES = 4

/**
 * Moves the expiry when that is due, and renews the cookie once the session is known to live.
 *
 * The handler's answer stands whatever becomes of it, for nothing that it did depends on the expiry: a failure is an event.
 */
export async function touch(session: RequestSession): Promise<void> {
  const { core, record, cookie } = session
  if (record === undefined) return
  const now = core.settings.now()
  const isDue = session.isTouchDue(record, now)
  const { lifetime } = core.settings
  const isRenewed = cookie.due === 'renew' || (isDue && lifetime.rolling)
  try {
    if (isDue && !session.hasRunOut(record, now) && (await moveExpiry(session, record, now))) {
      if (isRenewed && cookie.canSend) cookie.issue()
      return
    }
    if (session.status !== 'live' || (!isDue && !(isRenewed && cookie.canSend))) return
    for (let tries = 0; tries < MAX_TOUCHES; tries++) {
      const newest = await core.store.read(record.key, now)
      if (newest === undefined || newest === 'corrupt' || isEnded(newest)) {
        cookie.withdraw()
        return
      }
      // Another request may have given it a lifetime of its own: the cookie must have that one.
      if (!session.takeLifetime(newest) || session.hasRunOut(newest, now)) return
      // What was stored meanwhile may be no use of its user: an update from outside, or a passive request's.
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

/** A touch of a record, whose data this request need not have read. */
async function touchRecord(session: RequestSession, record: SessionRecord, now: number): Promise<boolean> {
  const { settings, touches, store } = session.core
  const touched = { ...record, ...usedAt(settings.lifetime, session.metadata, now) }
  touches.remember(touched)
  const isMoved = await store.touch(record, touched.lastSeenAt, touched.expiresAt, now)
  if (isMoved) session.takeLifetime(touched)
  return isMoved
}

/** A touch; where the record is not encrypted as it would be now, a replace that makes it so. */
async function moveExpiry(session: RequestSession, record: SessionRecord, now: number): Promise<boolean> {
  const { store, payload } = session.core
  const next = payload.isCurrent(record) ? undefined : reencoded(session, record, now)
  // To read it may have shown that it is no session.
  if (session.status !== 'live') return false
  if (next === undefined) return touchRecord(session, record, now)
  const isDone = (await store.replace(next, record.version, now)) === 'done'
  if (isDone) session.record = next
  return isDone
}

/** The same record as it would be written now, be it over `maxBytes` by now; `undefined` where it cannot be read or written. */
function reencoded(session: RequestSession, record: SessionRecord, now: number): SessionRecord | undefined {
  session.open()
  if (session.record === undefined) return undefined
  const { payload, settings } = session.core
  try {
    // What is stored, not what a schema makes of it.
    const contents = payload.decode(record)
    const draft: Draft = { ...contents, metadata: session.metadata, createdAt: record.createdAt, owner: record.owner }
    const instants = usedAt(settings.lifetime, draft.metadata, now)
    return recordOf(payload, draft, record.key, record.version + 1, instants, true)
  } catch (error) {
    if (error instanceof SessionError || error instanceof CorruptRecord) return undefined
    throw error
  }
}
