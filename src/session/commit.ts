// What a request stores at its end, or before it: nothing is written over a version that was not read, and nothing that
// ended is written again. A store only compares and sets; what to do when another request was first is decided in session/.
import { headersSentError, SessionError, storeClosedError } from '../errors.ts'
import { expiry } from '../record/lifetime.ts'
import { recordOf, type Draft, type Instants } from '../record/record.ts'
import { isEnded } from '../record/tombstone.ts'
import { CorruptRecord, type MaybePromise, type SessionRecord } from '../store.ts'
import { spans, trace } from '../trace.ts'
import { create } from './create.ts'
import { occupy, orDrop, runExclusive } from './exclusive.ts'
import { readLive, refuse, takeNewer } from './newest.ts'
import { planOf, type Plan } from './plan.ts'
import { replace } from './replace.ts'
import type { RequestSession } from './request-session.ts'

/** Commits a request whose handlers have returned: at once where the store answers at once. `isTraced`: its span has begun. */
export function commit(session: RequestSession, isTraced = false): MaybePromise<void> {
  if (!isTraced && spans.commit.hasSubscribers) return trace('commit', {}, () => commit(session, true))
  try {
    let done: MaybePromise<void>
    if (session.busy === undefined) {
      const plan = planOf(session, true)
      session.phase = 'sealed'
      if (plan.kind !== 'nothing' && session.core.store.isClosed) throw storeClosedError()
      done = carryOut(session, plan)
      if (done instanceof Promise) done = occupy(session, done)
    } else {
      done = runExclusive(session, () => {
        // First of all: where what is pending cannot be stored, this was the last commit nevertheless.
        session.phase = 'sealed'
        const plan = planOf(session, true)
        session.pending.data?.freeze()
        return carryOut(session, plan)
      })
    }
    if (done === undefined) session.close()
    // Work that is waited for closes the session as it ends.
    else session.pending.data?.freeze()
    return done
  } catch (error) {
    session.close()
    throw error
  }
}

/**
 * Stores what is pending now; the request goes on. What could not be stored is dropped: its error says so, and the commit
 * does not try it again.
 */
export function save(session: RequestSession): MaybePromise<void> {
  session.readable()
  // What the last commit has taken is stored once: whoever comes behind it would store it again.
  if (session.phase !== 'open') return
  session.pending.mustStore = true
  return orDrop(session, (note) => {
    const plan = planOf(session, false)
    if ('pending' in plan) note(plan.pending)
    return carryOut(session, plan)
  })
}

/** Commits as at the end of the request, but lets it go on: a response leaves before the chain that serves it has returned. */
export async function commitPending(session: RequestSession): Promise<void> {
  await runExclusive(session, () => {
    if (session.phase !== 'open') return undefined
    return orDrop(session, (note) => {
      const plan = planOf(session, true)
      if ('pending' in plan) note(plan.pending)
      return carryOut(session, plan)
    })
  })
}

/**
 * The response has closed and the chain has not returned: what is pending is stored now, for there may be no other time.
 * A failure can reach no answer any more, and becomes a notice.
 */
export async function commitEarly(session: RequestSession): Promise<void> {
  try {
    // What no cookie can name is left to the chain: where it does return after all, its commit is refused and says so.
    if (session.status === 'new' && !session.cookie.hasIntroduced) {
      if (session.pending.hasContents) throw headersSentError('a new session was stored')
      return
    }
    await commitPending(session)
  } catch (error) {
    const code = error instanceof SessionError ? error.code : 'an error'
    session.core.events.notice(
      'LATE_COMMIT',
      `a response was over before its middleware returned, and what was pending in its session could not be stored (${code}): await everything before the response ends`,
    )
  }
}

function carryOut(session: RequestSession, plan: Plan): MaybePromise<void> {
  switch (plan.kind) {
    case 'nothing':
      return
    case 'refuse':
      return refuse(session)
    case 'touch':
      return touch(session)
    case 'create':
      return create(session, plan.pending)
    case 'replace':
      return replace(session, plan.pending)
  }
}

// ---- a use without a change

// Under more changes than that at once a use may go unnoted: the next one is.
const MAX_TOUCHES = 4

/**
 * Moves the expiry when that is due, and renews the cookie once the session is known to live.
 *
 * The handler's answer stands whatever becomes of it, for nothing that it did depends on the expiry: a failure is an event.
 */
async function touch(session: RequestSession): Promise<void> {
  const { core, record, metadata, cookie } = session
  if (record === undefined) return
  const now = core.settings.now()
  const isDue = session.isTouchDue(record, now)
  const { lifetime } = core.settings
  const isRenewed = cookie.due === 'renew' || (isDue && lifetime.rolling)
  try {
    if (isDue) {
      const instants = { lastSeenAt: now, expiresAt: expiry(lifetime, metadata, now) }
      if (await moveExpiry(session, record, instants, now)) {
        if (isRenewed && cookie.canSend) cookie.issue()
        return
      }
    }
    if (session.status !== 'live' || (!isDue && !(isRenewed && cookie.canSend))) return
    for (let tries = 0; tries < MAX_TOUCHES; tries++) {
      const newest = await core.store.read(record.key, now)
      if (newest === undefined || newest === 'corrupt' || isEnded(newest)) {
        cookie.withdraw()
        return
      }
      // Another request may have given it a lifetime of its own: the cookie must have that one.
      if (!session.takeLifetime(newest)) return
      // What was stored meanwhile may be no use of its user: an update from outside, or a passive request's.
      if (!session.isTouchDue(newest, now) || (await touchNewest(session, newest, now))) break
    }
    if (isRenewed && cookie.canSend) cookie.issue()
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
  } finally {
    // Nothing confirmed that the session lives.
    if (cookie.due === 'renew') cookie.withdraw()
  }
}

/** A touch of a record that this request has not read its data from. */
async function touchNewest(session: RequestSession, newest: SessionRecord, now: number): Promise<boolean> {
  const { core, metadata } = session
  const touched = { ...newest, lastSeenAt: now, expiresAt: expiry(core.settings.lifetime, metadata, now) }
  core.touches.remember(touched)
  const isMoved = await core.store.touch(newest, touched.lastSeenAt, touched.expiresAt, now)
  if (isMoved) session.takeLifetime(touched)
  return isMoved
}

/** A touch; where the record is not encrypted as it would be now, a replace that makes it so. */
async function moveExpiry(
  session: RequestSession,
  record: SessionRecord,
  instants: Instants,
  now: number,
): Promise<boolean> {
  const { store, payload } = session.core
  if (payload.isCurrent(record)) {
    const touched = { ...record, ...instants }
    session.core.touches.remember(touched)
    const isMoved = await store.touch(record, instants.lastSeenAt, instants.expiresAt, now)
    if (isMoved) session.setRecord(touched)
    return isMoved
  }
  const next = reencoded(session, record, instants)
  if (next === undefined)
    return session.status === 'live' && store.touch(record, instants.lastSeenAt, instants.expiresAt, now)
  const isDone = (await store.replace(next, record.version, now)) === 'done'
  if (isDone) session.setRecord(next)
  return isDone
}

/** The same record as it would be written now; `undefined` where it cannot be read, or has become too large. */
function reencoded(session: RequestSession, record: SessionRecord, instants: Instants): SessionRecord | undefined {
  session.open()
  if (session.record === undefined) return undefined
  const { payload } = session.core
  try {
    // What is stored, not what a schema makes of it.
    const contents = payload.decode(record)
    const draft: Draft = { ...contents, metadata: session.metadata, createdAt: record.createdAt, owner: record.owner }
    return recordOf(payload, draft, record.key, record.version + 1, instants)
  } catch (error) {
    if (error instanceof SessionError || error instanceof CorruptRecord) return undefined
    throw error
  }
}

/**
 * Takes the newest data and drops what is pending.
 *
 * @throws {SessionError} `ERR_SESSION_GONE` when the session has ended.
 */
export async function reload(session: RequestSession): Promise<void> {
  session.readable()
  const { record, core, status } = session
  const newest = record === undefined ? undefined : await readLive(core, record.key)
  if (newest !== undefined && status === 'live') takeNewer(session, newest)
  session.mergedKeys = []
  session.pending.reset(session.stored.data)
  if (status === 'gone' || status === 'unbound' || (record !== undefined && newest === undefined)) refuse(session)
}
