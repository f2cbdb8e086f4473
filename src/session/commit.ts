// What a request stores at its end, or before it: nothing is written over a version that was not read, and nothing that
// ended is written again. What there is to do is decided here, once; create.ts, replace.ts and touch.ts do it.
import { headersSentError, SessionError, storeClosedError } from '../errors.ts'
import { ABSENT, NO_CHANGES, type PendingChanges } from '../record/changes.ts'
import type { MaybePromise } from '../store.ts'
import { spans, trace } from '../trace.ts'
import { create } from './create.ts'
import { occupy, orDrop, runExclusive } from './exclusive.ts'
import { refuse } from './newest.ts'
import { replace } from './replace.ts'
import type { RequestSession } from './request-session.ts'
import { touch } from './touch.ts'
import { checkUnfilled } from './validation.ts'

/** Commits a request whose handlers have returned: at once where the store answers at once. `isTraced`: its span has begun. */
export function commit(session: RequestSession, isTraced = false): MaybePromise<void> {
  if (!isTraced && spans.commit.hasSubscribers) return trace('commit', {}, () => commit(session, true))
  try {
    let done: MaybePromise<void>
    if (session.busy === undefined) {
      done = carryOut(session, 'last')
      if (done instanceof Promise) done = occupy(session, done)
    } else {
      done = runExclusive(session, () => {
        // First of all: where what is pending cannot be stored, this was the last commit nevertheless.
        session.phase = 'sealed'
        session.pending.data?.freeze()
        return carryOut(session, 'last')
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
  session.assertReadable()
  // The last commit has taken what is pending already: a save behind it would store it twice.
  if (session.phase !== 'open') return
  session.pending.mustStore = true
  return orDrop(session, (note) => carryOut(session, 'save', note))
}

/** Commits as at the end of the request, but lets it go on: a response leaves before the chain that serves it has returned. */
export async function commitPending(session: RequestSession): Promise<void> {
  await runExclusive(session, () => {
    if (session.phase !== 'open') return undefined
    return orDrop(session, (note) => carryOut(session, 'early', note))
  })
}

/** The headers have left before the chain returned; where it never does, what is pending is stored as the response closes. */
export function onEarlyHeaders(session: RequestSession): void {
  session.info.ctx?.res.once('close', () => {
    // A chain that is about to return commits by itself, or fails and commits nothing.
    setImmediate(() => {
      if (session.phase === 'open') void commitEarly(session)
    })
  })
}

/**
 * The response has closed and the chain has not returned: what is pending is stored now, for there may be no other time.
 * A failure can reach no answer any more, and becomes a notice.
 */
async function commitEarly(session: RequestSession): Promise<void> {
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

// ---- what there is to do

/** `'last'`: the handlers have returned. `'early'`: as then, but the request goes on. `'save'`: a handler asks for it. */
type Occasion = 'last' | 'early' | 'save'

/** What a commit has to do. Changes: to store them, in a new record or in that of a live session. */
type Plan = 'nothing' | 'touch' | 'refuse' | PendingChanges

/** Decided once, from the state of the session. */
function planOf(session: RequestSession, occasion: Occasion): Plan {
  // Nearly every visitor: there is nothing to look at.
  if (session.status === 'new' && !session.pending.hasContents) return 'nothing'
  // What a destroyed session held is looked at no more: it may be what cannot be stored.
  const pending = session.status === 'destroyed' ? NO_CHANGES : session.pending.collect()
  const hasChanges = pending !== NO_CHANGES
  switch (session.status) {
    case 'destroyed':
      return 'nothing'
    case 'gone':
    case 'unbound':
      // What a change would take away is gone with the session.
      return (hasChanges && isAddition(pending)) || occasion === 'save' ? 'refuse' : 'nothing'
    case 'live':
      if (hasChanges) return pending
      return occasion !== 'save' && isRenewalDue(session) ? 'touch' : 'nothing'
    case 'new':
      // Outside Koa's chain, and to a WebSocket, no cookie can be sent, so a session is not stored for its mere existence.
      if (occasion !== 'save' && !hasChanges && (session.info.ctx === undefined || session.cookie.isTakenOver))
        return 'nothing'
      return pending
  }
}

/** Whether changes do more than to take things away. */
function isAddition({ changes, put, maxAge }: PendingChanges): boolean {
  return put.length > 0 || maxAge !== undefined || changes.some(({ value }) => value !== ABSENT)
}

function isRenewalDue(session: RequestSession): boolean {
  const { record, core, cookie } = session
  if (record === undefined) return false
  // After close() nothing is asked of the store: a touch may be missed, a response may not.
  if (core.store.isClosed) return false
  return cookie.due === 'renew' || session.isTouchDue(record, core.settings.now())
}

/** Does it. `note` gets what is about to be stored, before it is. */
function carryOut(
  session: RequestSession,
  occasion: Occasion,
  note?: (pending: PendingChanges) => void,
): MaybePromise<void> {
  const plan = planOf(session, occasion)
  // Not before: to collect changes may be to ask the app's own `toJSON`, and that may write.
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
  const done = session.status === 'new' ? create(session, plan) : replace(session, plan)
  // After the last commit nothing reads data any more. Before it, what is stored is pending no longer, wherever it was stored.
  if (occasion === 'last') return done
  if (done instanceof Promise) return done.then(() => session.pending.settle(session.stored, plan))
  session.pending.settle(session.stored, plan)
}
