// A stored session is changed, however many requests change it at the same time.
import { SessionError } from '../errors.ts'
import type { PendingChanges } from '../record/merge.ts'
import { draftOf, recordOf, type Draft, type Instants, type Stored } from '../record/record.ts'
import { isPromise, type MaybePromise, type Replaced, type SessionRecord } from '../store.ts'
import { conflictingKeys, finishChange, nextInstants } from './change.ts'
import { noteMerge, readLive, refresh, refuse, requireRecord, takeNewer, useNewestKnown } from './newest.ts'
import { applyOwner, needsNewId } from './owner.ts'
import { rotateForOwner, storeInSuccessor } from './regenerate.ts'
import type { RequestSession } from './request-session.ts'
import { retryOnConflict } from './retry.ts'
import { MAX_WAIT } from './queues.ts'
import { checkDraft } from './validation.ts'

/** A change that waits for a write of its record. */
export interface Change {
  readonly session: RequestSession
  readonly pending: PendingChanges
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** What a change makes of the newest known state. */
interface Attempt {
  readonly previous: SessionRecord
  readonly ground: Stored
  readonly draft: Draft
  /** The keys that this request and another one changed. */
  readonly clashes: readonly string[]
  readonly instants: Instants
  readonly now: number
}

interface Written {
  readonly record: SessionRecord
  readonly answer: MaybePromise<Replaced>
}

/** Stores what is pending in a stored session: at once where the store answers at once. */
export function replace(session: RequestSession, pending: PendingChanges): MaybePromise<void> {
  const { writes, settings } = session.core
  const known = session.record ?? refuse(session)
  const { key } = known
  if (writes.isBusy(key)) {
    return new Promise<void>((resolve, reject) => {
      writes.join(key, { session, pending, resolve, reject } satisfies Change)
    })
  }
  if (settings.schema !== undefined) return writes.hold(key, replaceAlone(session, pending))
  useNewestKnown(session)
  const attempt = prepare(session, pending, session.record ?? known, session.stored)
  if (settings.owner !== undefined && needsNewId(session, attempt.draft))
    return writes.hold(key, replaceAlone(session, pending))
  const written = write(session, attempt)
  if (written.answer === 'done') return conclude(session, pending, attempt, written.record)
  return finishReplace(session, pending, attempt, written)
}

/** A write that the store did not answer at once; where another one was first, it is tried again. */
async function finishReplace(
  session: RequestSession,
  pending: PendingChanges,
  attempt: Attempt,
  written: Written,
): Promise<void> {
  const { writes } = session.core
  const { key } = written.record
  const writing = writes.begin(key)
  try {
    const answer = await written.answer
    if (answer !== 'done') await replaceAlone(session, pending, attempt, { ...written, answer })
    else {
      const rest = conclude(session, pending, attempt, written.record)
      if (isPromise(rest)) await rest
    }
  } finally {
    writes.end(key, writing)
  }
}

/** @throws {SessionError} `ERR_SESSION_CONFLICT` where the app wants to be told. */
function prepare(session: RequestSession, pending: PendingChanges, previous: SessionRecord, ground: Stored): Attempt {
  const { settings } = session.core
  const now = settings.now()
  const clashes = conflictingKeys(session, pending, ground)
  const plain = draftOf(ground, previous, pending, now)
  const draft = settings.owner === undefined ? plain : applyOwner(session, plain, pending, now)
  return { previous, ground, draft, clashes, instants: nextInstants(session, previous, draft, pending, now), now }
}

function write({ core }: RequestSession, { previous, draft, instants, now }: Attempt): Written {
  const record = recordOf(core.payload, draft, previous.key, previous.version + 1, instants)
  return { record, answer: core.store.replace(record, previous.version, now) }
}

/** The change is stored in `record`, which holds `stored`. */
function conclude(
  session: RequestSession,
  pending: PendingChanges,
  { previous, draft, clashes }: Attempt,
  record: SessionRecord,
  stored: Stored = draft,
): MaybePromise<void> {
  const done = finishChange(session, pending, previous, record, stored, clashes)
  // After the last commit nothing reads data any more.
  if (session.phase === 'open') session.pending.settle(stored, pending)
  return done
}

/** One change by itself, with retries; `attempt` and `written` are of a write that is under way. */
async function replaceAlone(
  session: RequestSession,
  pending: PendingChanges,
  attempt?: Attempt,
  written?: Written,
): Promise<void> {
  if (written === undefined) useNewestKnown(session)
  const tryOnce = async (): Promise<Replaced> => {
    attempt = prepare(session, pending, requireRecord(session), session.stored)
    if (needsNewId(session, attempt.draft)) {
      const { draft } = attempt
      attempt = undefined
      return rotateForOwner(session, pending, draft)
    }
    await checkDraft(session, attempt.draft)
    written = write(session, attempt)
    return written.answer
  }
  const isDone = await retryOnConflict(tryOnce, () => refresh(session), written?.answer)
  if (!isDone) await storeInSuccessor(session, pending)
  else if (attempt !== undefined && written !== undefined) await conclude(session, pending, attempt, written.record)
}

// ---- changes that met a write of their record

/**
 * Stores changes by one write: applied in order, as if they had come one after another. Where they cannot be stored
 * together, each is stored by itself. Settles every one of them, and never rejects.
 */
export async function writeTogether(changes: readonly Change[]): Promise<void> {
  if (changes.length > 1 && (await tryTogether(changes))) return
  const end = performance.now() + MAX_WAIT
  const rest = []
  for (const { session, pending, resolve, reject } of changes) {
    const done = replaceAlone(session, pending).then(resolve, reject)
    // One after another as long as that is quick: side by side they would overtake one another.
    if (performance.now() < end) await done
    else rest.push(done)
  }
  // As many as a group has at most, and none of them rejects.
  await Promise.all(rest)
}

/** These changes cannot be stored by one write. */
class NotTogether extends Error {}

/** @returns whether all are settled; if not, nothing was written. */
async function tryTogether(changes: readonly Change[]): Promise<boolean> {
  let attempts: readonly Attempt[] = []
  let written: Written | undefined
  try {
    const isDone = await retryOnConflict(
      () => {
        attempts = prepareTogether(changes)
        written = writeLast(changes, attempts)
        return written.answer
      },
      () => refreshAll(changes),
    )
    const last = attempts.at(-1)
    if (!isDone || last === undefined || written === undefined) return false
    for (const [at, { session, pending, resolve, reject }] of changes.entries()) {
      const own = attempts[at] ?? last
      noteMerge(session, own.ground)
      await Promise.resolve(conclude(session, pending, own, written.record, last.draft)).then(resolve, reject)
    }
    return true
  } catch (error) {
    // What stands in the way of one change must not stand in the way of the others: each is tried by itself. But a
    // store that failed has failed for all of them, and a write that may have happened is not repeated.
    if (!(error instanceof SessionError) || error.status !== 503) return false
    for (const { reject } of changes) reject(error)
    return true
  }
}

function writeLast([first]: readonly Change[], attempts: readonly Attempt[]): Written {
  const last = attempts.at(-1)
  if (first === undefined || last === undefined) throw new NotTogether()
  return write(first.session, last)
}

function prepareTogether(changes: readonly Change[]): readonly Attempt[] {
  let record: SessionRecord | undefined
  let ground: Stored | undefined
  for (const { session } of changes) {
    const { settings } = session.core
    // A schema may take its time; a conflict that is refused must be one with what the store says.
    if (settings.schema !== undefined || settings.throwsOnConflict) throw new NotTogether()
    useNewestKnown(session)
    const known = requireRecord(session)
    if (record === undefined || known.version > record.version) {
      record = known
      ground = session.stored
    }
  }
  const attempts: Attempt[] = []
  let instants: Instants | undefined
  for (const { session, pending } of changes) {
    if (record === undefined || ground === undefined) throw new NotTogether()
    // The instants of the changes before it are the newest: a passive change must not take them back.
    const own = prepare(session, pending, { ...record, ...instants }, ground)
    if (own.draft.owner !== record.owner) throw new NotTogether()
    instants = own.instants
    attempts.push({ ...own, instants })
    ground = own.draft
  }
  return attempts
}

async function refreshAll([first, ...others]: readonly Change[]): Promise<boolean> {
  if (first === undefined) return false
  const { core } = first.session
  const { key } = requireRecord(first.session)
  core.payload.known.forget(key)
  const newest = await readLive(core, key)
  if (newest === undefined) return false
  for (const { session } of [first, ...others]) takeNewer(session, newest)
  return true
}
