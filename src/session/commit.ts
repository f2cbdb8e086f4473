// What a request stores, at its end or before. A write never replaces a version that was not read, and never revives an
// ended session. This module decides once what to do; create.ts, replace.ts and touch.ts do it.
import { setImmediate } from 'node:timers'
import { headersSentError, SessionError, storeClosedError } from '../errors.ts'
import { ABSENT, NO_CHANGES, type PendingChanges } from '../record/changes.ts'
import { draftOf } from '../record/merge.ts'
import type { MaybePromise } from '../store.ts'
import { spans, trace } from '../trace.ts'
import { create } from './create.ts'
import { occupy, orDrop, runExclusive } from './exclusive.ts'
import { refuse } from './newest.ts'
import { isSomebodyElse, ownerInData } from './owner.ts'
import { replace } from './replace.ts'
import type { RequestSession } from './request-session.ts'
import { touch } from './touch.ts'
import { checkUnfilled } from './validation.ts'

/** Commits a request whose handlers have returned, synchronously if the store is. `isTraced`: the span has begun. */
export function commit(session: RequestSession, isTraced = false): MaybePromise<void> {
  if (!isTraced && spans.commit.hasSubscribers) return trace('commit', {}, () => commit(session, true))
  if (session.busy !== undefined) return commitInTurn(session)
  try {
    const done = carryOut(session, 'last')
    if (done instanceof Promise) {
      session.pending.data?.freeze()
      // The session is closed when this work ends.
      return occupy(session, done)
    }
    session.close()
  } catch (error) {
    session.close()
    throw error
  }
}

/** The same after the work under way. */
async function commitInTurn(session: RequestSession): Promise<void> {
  session.pending.data?.freeze()
  try {
    await runExclusive(session, () => {
      // Sealed first: even if what is pending cannot be stored, this was the last commit.
      session.phase = 'sealed'
      session.pending.data?.freeze()
      return carryOut(session, 'last')
    })
  } catch (error) {
    // If the middleware was closed before its turn came, it has sealed nothing.
    if (session.phase === 'open') session.close()
    throw error
  }
}

/**
 * Stores what is pending now; the request goes on. If that fails, it throws and drops the changes: the last commit does not
 * try them again.
 */
export function save(session: RequestSession): MaybePromise<void> {
  session.assertReadable()
  // The last commit has already taken what is pending: a save after it would store it twice.
  if (session.phase !== 'open') return
  session.pending.mustStore = true
  return orDrop(session, (note) => carryOut(session, 'save', note))
}

/** Commits as at the end of the request, but lets it go on, for a response that leaves before its chain has returned. */
export async function commitPending(session: RequestSession): Promise<void> {
  await runExclusive(session, () => {
    if (session.phase === 'open') return orDrop(session, (note) => carryOut(session, 'early', note))
  })
}

/** The headers left before the chain returned. If it never returns, what is pending is stored when the response closes. */
export function onEarlyHeaders(session: RequestSession): void {
  session.info.ctx?.res.once('close', () => {
    // A chain that is about to return commits by itself, or fails and commits nothing.
    setImmediate(() => {
      if (session.phase === 'open') void commitEarly(session)
    })
  })
}

/**
 * The response has closed and the chain has not returned: stores what is pending now, because the chain may never return.
 * No response can report a failure any more, so it becomes a notice.
 */
async function commitEarly(session: RequestSession): Promise<void> {
  try {
    await session.facade?.finishAll()
    // A new session whose cookie was not sent is left to the chain: if it returns after all, its commit throws.
    if (session.status === 'new' && !session.cookie.hasIntroduced) {
      if (session.pending.hasContents) throw headersSentError('a new session was stored')
      return
    }
    await commitPending(session)
    // The chain may never fill it.
    if (session.phase === 'open') await checkUnfilled(session)
  } catch (error) {
    const code = error instanceof SessionError ? error.code : 'an error'
    session.core.events.notice(
      'LATE_COMMIT',
      `a response was over before its middleware returned, and its session could not be stored (${code}): await everything before the response ends`,
    )
  }
}

/**
 * The handlers failed: what is pending is dropped. The request was a use of its session all the same: a touch that is due is
 * carried out, and a cookie that is due goes out with the error response. It never throws.
 */
export async function dropPending(session: RequestSession, error: unknown): Promise<void> {
  session.close()
  session.facade?.settled('ended')
  // After an outage, another call would only be waited for as well.
  if (error instanceof SessionError && error.code === 'ERR_SESSION_STORE') return
  if (session.status !== 'live' || session.busy !== undefined) return
  try {
    if (isRenewalDue(session)) await occupy(session, touch(session))
  } catch {
    // What the app's clock throws, say: the handlers' error is told in any case.
  }
}

// ---- the plan

/** `'last'`: the handlers have returned. `'early'`: the same, but the request goes on. `'save'`: a handler called `save()`. */
type Occasion = 'last' | 'early' | 'save'

/** What a commit does. Changes are stored, in a new record or in that of a live session. */
type Plan = 'nothing' | 'touch' | 'refuse' | PendingChanges

/** Decided once, from the state of the session. */
function planOf(session: RequestSession, occasion: Occasion): Plan {
  // A visitor without a session, the common case, has nothing to store. The changes of a destroyed session are not collected: that
  // throws for a value that cannot be stored.
  if (session.status === 'destroyed' || (session.status === 'new' && !session.pending.hasContents)) return 'nothing'
  const pending = session.pending.collect()
  const hasChanges = pending !== NO_CHANGES
  switch (session.status) {
    case 'gone':
    case 'unbound':
      if (hasChanges && session.status === 'unbound') {
        // An owner that data names is a sign-in, which begins another session.
        const draft = draftOf(session.stored, undefined, pending, session.now)
        if (ownerInData(session.core, draft) !== undefined) return pending
      }
      // A change that only removes things is not refused: they are gone with the session.
      return isAddition(pending) || occasion === 'save' ? 'refuse' : 'nothing'
    case 'live':
      if (hasChanges) return pending
      return occasion !== 'save' && isRenewalDue(session) ? 'touch' : 'nothing'
    case 'new':
      // To a WebSocket no cookie can be sent, so a session is not stored for its mere existence.
      if (occasion !== 'save' && !hasChanges && !session.core.settings.lazy && session.cookie.isTakenOver)
        return 'nothing'
      return pending
  }
}

/** Whether changes do more than remove things. */
function isAddition({ changes, put, maxAge }: PendingChanges): boolean {
  return put.length > 0 || maxAge !== undefined || changes.some(({ value }) => value !== ABSENT)
}

function isRenewalDue(session: RequestSession): boolean {
  const { record, core, cookie } = session
  // After close() the store is not called: a touch may be lost, but the response must not fail.
  if (record === undefined || core.store.isClosed) return false
  return cookie.due === 'renew' || session.isTouchDue(record, core.settings.now())
}

/** Carries out the plan. `note` is called with the changes before they are stored. */
function carryOut(
  session: RequestSession,
  occasion: Occasion,
  note?: (pending: PendingChanges) => void,
): MaybePromise<void> {
  const plan = planOf(session, occasion)
  // Not sealed earlier: collecting changes may call the app's own `toJSON`, which may write.
  if (occasion === 'last') session.phase = 'sealed'
  if (typeof plan === 'object') note?.(plan)
  else if (session.isUnchecked && occasion === 'last') {
    const checked = checkUnfilled(session)
    if (checked !== undefined) return checked.then(() => (plan === 'touch' ? touch(session) : undefined))
  }
  if (plan === 'nothing') return
  if (session.core.store.isClosed) throw storeClosedError()
  if (plan === 'refuse') return refuse(session)
  if (plan === 'touch') return touch(session)
  const owner = session.record?.owner
  // `options.owner` may find another owner: what is written into objects of the former one meanwhile stays behind.
  const held = session.core.settings.owner && occasion !== 'last' ? session.pending.data?.held() : undefined
  const done = session.status === 'live' ? replace(session, plan) : create(session, plan)
  // Nothing reads data after the last commit. After an earlier one, what was stored is no longer pending, wherever it is.
  if (occasion === 'last') return done
  const settle = (): void => {
    // Over another owner, the objects that handlers hold are no part of the session any more.
    if (isSomebodyElse(owner, session.record?.owner)) session.pending.detach(session.stored, plan, held)
    else session.pending.settle(session.stored, plan)
  }
  if (done instanceof Promise) return done.then(settle)
  settle()
}
