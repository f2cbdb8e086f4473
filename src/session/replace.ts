// Changes a stored session while any number of requests change it at the same time.
import { AsyncResource } from 'node:async_hooks'
import { SessionError } from '../errors.ts'
import type { PendingChanges } from '../record/changes.ts'
import { decodeMetadata, isEnded, type Instants, type Stored } from '../record/record.ts'
import type { MaybePromise, Replaced, SessionRecord } from '../store.ts'
import { finishChange, nextInstants, prepare, write, type Attempt, type Written } from './change.ts'
import type { WaitingChange } from './core.ts'
import { hasStaleInstants, noteMerge, refresh, refuse, renewInstants, requireRecord, takeNewer } from './newest.ts'
import { assertNotBroughtBack, needsNewId } from './owner.ts'
import { MAX_WAIT } from './queues.ts'
import { joinSuccessor, leaveSuccessor, rotateForOwner } from './regenerate.ts'
import type { RequestSession } from './request-session.ts'
import { retryOnConflict } from './retry.ts'
import { checkDraft } from './validation.ts'

/** Stores what is pending in a stored session, synchronously if the store is. */
export function replace(session: RequestSession, pending: PendingChanges): MaybePromise<void> {
  const { writes, settings } = session.core
  const known = session.record ?? refuse(session)
  const { key } = known
  if (writes.busy.has(key)) {
    return new Promise<void>((resolve, reject) => {
      writes.join(key, { session, pending, context: new AsyncResource('koa-fastsession'), resolve, reject })
    })
  }
  if (settings.schema !== undefined || (session.info.isPassive && hasStaleInstants(session)))
    return writes.hold(key, replaceAlone(session, pending))
  useNewestKnown(session)
  const attempt = prepare(session, pending, session.record ?? known, session.stored)
  if (attempt.draft.owner !== attempt.previous.owner) return writes.hold(key, replaceAlone(session, pending))
  const written = write(session, attempt)
  if (written.answer === 'done') return finishChange(session, attempt, written.record)
  return finishReplace(session, attempt, written)
}

/**
 * Takes the newest record that this process knows as the ground, because the store would refuse a write over an older one.
 * Not with a schema, which may be slow. Not with `onConflict: 'throw'` either: a refusal must rest on what the store holds
 * now, because the newest data may no longer conflict.
 */
export function useNewestKnown(session: RequestSession): void {
  const { record, core } = session
  if (record === undefined || core.settings.schema !== undefined || core.settings.throwsOnConflict) return
  const newest = core.payload.known.newest(record, session.readAt)
  if (newest === undefined || isEnded(newest.record)) return
  const stored = { ...newest.contents, metadata: decodeMetadata(newest.record) }
  takeNewer(session, { record: newest.record, stored, dataError: undefined })
}

/** Finishes a write that is not known to be done: awaits the answer, and tries again if another write was first. */
async function finishReplace(session: RequestSession, attempt: Attempt, written: Written): Promise<void> {
  const { writes } = session.core
  const { key } = written.record
  const writing = writes.begin(key)
  try {
    const answer = await written.answer
    if (answer !== 'done') await replaceAlone(session, attempt.pending, answer)
    else {
      const rest = finishChange(session, attempt, written.record)
      if (rest instanceof Promise) await rest
    }
  } finally {
    writes.end(key, writing)
  }
}

/** Stores one change by itself, with retries. `refusal` is the answer to a first write that was refused. */
async function replaceAlone(session: RequestSession, pending: PendingChanges, refusal?: Replaced): Promise<void> {
  if (refusal === undefined) useNewestKnown(session)
  const { isFollower } = session
  const isDone = await retryOnConflict(
    () => replaceOnce(session, pending),
    async () => (await refresh(session)) || joinSuccessor(session, pending),
    refusal,
  ).catch((error: unknown) => leaveSuccessor(session, isFollower, error))
  if (!isDone) refuse(session)
}

/** Tries once to store a change, and does what follows once it is stored. An update stores more, passed as `wanted`. */
export async function replaceOnce(
  session: RequestSession,
  pending: PendingChanges,
  wanted: PendingChanges = pending,
): Promise<Replaced> {
  if (session.info.isPassive && hasStaleInstants(session)) await renewInstants(session)
  const attempt = prepare(session, pending, requireRecord(session), session.stored, wanted)
  if (attempt.conflicts.length > 0) assertNotBroughtBack(session, pending, attempt.draft)
  if (needsNewId(session, attempt.draft)) return rotateForOwner(session, attempt)
  await checkDraft(session, attempt.draft)
  const written = write(session, attempt)
  const answer = await written.answer
  if (answer === 'done') await finishChange(session, attempt, written.record)
  return answer
}

// ---- changes that waited for a write of their record

/**
 * Stores changes by one write, applied in order as if they had come one after another. If they cannot be stored together,
 * stores each by itself. Settles every change, and never rejects. Work for one change runs in the async context of its
 * request, shared work in that of the first.
 */
export async function writeTogether(changes: readonly WaitingChange[]): Promise<void> {
  const [first] = changes
  if (changes.length > 1 && (await first?.context.runInAsyncScope(() => tryTogether(changes))) === true) return
  const end = performance.now() + MAX_WAIT
  const rest = []
  for (const { session, pending, context, resolve, reject } of changes) {
    const done = context.runInAsyncScope(() => replaceAlone(session, pending)).then(resolve, reject)
    // One after another as long as that is quick: in parallel they could overtake one another.
    if (performance.now() < end) await done
    else rest.push(done)
  }
  // There are at most as many as in one group, and none of them rejects.
  await Promise.all(rest)
}

/** One of several changes that are stored together, applied to the result of those before it. */
type Joined = WaitingChange & Attempt

/** @returns whether all are settled; if not, nothing was written. */
async function tryTogether(changes: readonly WaitingChange[]): Promise<boolean> {
  const sessions = changes.map(({ session }) => session)
  const [first] = sessions
  let joined: readonly Joined[] = []
  let written: Written | undefined
  try {
    const isDone = await retryOnConflict(
      () => {
        joined = prepareTogether(changes)
        const last = joined.at(-1)
        // They cannot be stored by one write.
        if (last === undefined) return 'gone'
        written = write(last.session, last)
        return written.answer
      },
      () => first !== undefined && refresh(first, sessions),
      // The refresh reads the instants of all of them, once.
      sessions.some((one) => one.info.isPassive && hasStaleInstants(one)) ? 'stale' : undefined,
    )
    const last = joined.at(-1)
    if (!isDone || last === undefined || written === undefined) return false
    for (const one of joined) {
      noteMerge(one.session, one.ground)
      const { record } = written
      const done = one.context.runInAsyncScope(() => finishChange(one.session, one, record, last.draft))
      await Promise.resolve(done).then(one.resolve, one.reject)
    }
    return true
  } catch (error) {
    // The failure of one change must not fail the others, so each is tried by itself. But a store failure concerns all of
    // them, and a write that may have happened is not repeated.
    if (!(error instanceof SessionError) || error.status !== 503) return false
    for (const { reject } of changes) reject(error)
    return true
  }
}

/** Applies each change to the result of those before it. An empty list if one write cannot store them all. */
function prepareTogether(changes: readonly WaitingChange[]): readonly Joined[] {
  let record: SessionRecord | undefined
  let ground: Stored | undefined
  for (const { session } of changes) {
    const { settings } = session.core
    // A schema may be slow; the refusal of a conflict must rest on what the store holds now.
    if (settings.schema !== undefined || settings.throwsOnConflict) return []
    useNewestKnown(session)
    const known = requireRecord(session)
    // For the changes after it, the change of a session that has ended would count as a use.
    if (session.hasRunOut(known, settings.now())) return []
    if (record === undefined || known.version > record.version) {
      record = known
      ground = session.stored
    }
  }
  const joined: Joined[] = []
  let instants: Instants | undefined
  for (const change of changes) {
    const { session, pending, context } = change
    if (record === undefined || ground === undefined) return []
    // The instants of the changes before it are the newest: a passive change must not take them back.
    const [previous, state] = [{ ...record, ...instants }, ground]
    const own = context.runInAsyncScope(() => prepare(session, pending, previous, state))
    if (own.draft.owner !== record.owner) return []
    instants = nextInstants(session, own)
    joined.push({ ...change, ...own })
    ground = own.draft
  }
  return joined
}
