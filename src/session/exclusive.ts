// One piece of work on a session at a time.
import type { PendingChanges } from '../record/changes.ts'
import type { MaybePromise } from '../store.ts'
import type { RequestSession } from './request-session.ts'

/**
 * Runs one piece of work on a session after another: a `save()` that was not awaited, then the commit of the request.
 * Work is synchronous if the store is and nothing else runs.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` after the middleware was closed.
 */
export function runExclusive<T>(
  session: RequestSession,
  work: (session: RequestSession) => MaybePromise<T>,
): MaybePromise<T> {
  if (session.busy !== undefined) return (session.busy = runAfter(session, session.busy, work))
  session.core.store.assertOpen()
  const done = work(session)
  return done instanceof Promise ? occupy(session, done) : done
}

/** Registers work that began while no other was running: work that comes now waits for its end. */
export function occupy<T>(session: RequestSession, done: Promise<T>): Promise<T> {
  return (session.busy = finishWork(session, done))
}

async function runAfter<T>(
  session: RequestSession,
  before: Promise<unknown>,
  work: (session: RequestSession) => MaybePromise<T>,
): Promise<T> {
  session.working++
  try {
    // A failure of the previous work is reported to its own caller.
    await before.catch(() => undefined)
    return await session.core.store.during(() => work(session))
  } finally {
    end(session)
  }
}

async function finishWork<T>(session: RequestSession, done: Promise<T>): Promise<T> {
  session.core.store.begin()
  session.working++
  try {
    return await done
  } finally {
    session.core.store.end()
    end(session)
  }
}

/** A piece of work is over. After the last one, a sealed session is closed. */
function end(session: RequestSession): void {
  if (--session.working > 0) return
  session.busy = undefined
  if (session.phase === 'sealed') session.close()
}

/**
 * Runs work that stores what is pending. If it fails, the caller gets the error, and the changes that it noted are dropped,
 * or all changes if it failed before noting any. What was written meanwhile stays pending.
 */
export function orDrop<T>(
  session: RequestSession,
  work: (note: (pending: PendingChanges) => void) => MaybePromise<T>,
): MaybePromise<T> {
  let noted: PendingChanges | undefined
  let isReplacing: boolean | undefined
  const drop = (error: unknown): never => {
    if (noted === undefined) session.drop()
    else {
      session.pending.detach(session.stored, noted, 'failed')
      if (isReplacing === true) session.facade?.settled('ended')
    }
    throw error
  }
  try {
    const done = work((pending) => {
      noted = pending
      isReplacing = session.facade?.isReplacing
    })
    return done instanceof Promise ? done.catch(drop) : done
  } catch (error) {
    return drop(error)
  }
}
