// Computes a change from the newest data, and computes it again if another request wrote first: `session.update(fn)`, and the
// same from outside a request.
import { goneError, headersSentError, inUpdateError } from '../errors.ts'
import { NO_CHANGES, type Changes, type PendingChanges, type Snapshot } from '../record/changes.ts'
import { draftOf } from '../record/merge.ts'
import { hasContents, recordOf, type Draft } from '../record/record.ts'
import type { MaybePromise, Replaced, SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import { insert, newDraft } from './create.ts'
import { Data, type Held } from './data.ts'
import { orDrop, runExclusive } from './exclusive.ts'
import { RunningUpdate, updateAround } from './inside-update.ts'
import { readLive, refresh, refuse, takeNewer, withInstants, type Known } from './newest.ts'
import { isSomebodyElse, ownerInData, signedOut } from './owner.ts'
import { joinSuccessor, leaveSuccessor } from './regenerate.ts'
import { replaceOnce, useNewestKnown } from './replace.ts'
import type { RequestSession } from './request-session.ts'
import { changeNewest, retryOnConflict } from './retry.ts'
import { validate } from './validation.ts'

/** Runs `fn` on the newest data with the pending changes applied, until the result is stored; see the manager. */
export async function update<Result>(session: RequestSession, fn: Change<Result>): Promise<Result> {
  const around = updateAround(session)
  if (around !== undefined) {
    // Called inside the function of another update of this session: it joins that update and is stored with it.
    if (around.data === undefined) throw inUpdateError('session.update()')
    return fn(around.data.proxy)
  }
  const replacing = session.facade?.beginReplacing()
  if (replacing !== undefined) await replacing
  session.assertReadable()
  return session.core.updates.take(session.record?.key ?? session, () => updateInTurn(session, fn))
}

/** What the last try started from, the changes that were pending then, and what the function made of them. */
interface Try<Result> {
  readonly ground: SessionRecord | undefined
  readonly pending: PendingChanges
  readonly held: Held | undefined
  readonly run: Run<Result>
}

async function updateInTurn<Result>(session: RequestSession, fn: Change<Result>): Promise<Result> {
  // Whose session it is when the call begins.
  const owner = session.record?.owner
  session.assertReadable()
  session.open()
  useNewestKnown(session)
  const { isFollower } = session
  // Whether what the function sees was read from the store after the call began.
  let isFresh = false
  let last: Try<Result> | undefined
  const attempt = async (note: (pending: PendingChanges) => void): Promise<Replaced> => {
    // A method that was called before may have stored pending changes and not yet marked them as dealt with.
    let before: Promise<unknown> | undefined
    while (session.busy !== before) {
      before = session.busy
      await before?.catch(() => undefined)
    }
    if (session.status !== 'new' && session.status !== 'live') return refuse(session)
    if (session.refusal !== undefined) throw session.refusal
    const ground = session.record
    // The changes that the last commit has taken belong to it, even if it fails.
    const pending = session.phase === 'open' ? session.pending.collect() : NO_CHANGES
    note(pending)
    const { core, publicId, stored } = session
    const held = core.settings.owner && (session.pending.data?.held() ?? new Map())
    const run = await runUpdate(core, publicId, stored.data, pending.changes, fn, ground?.owner, session)
    const tried = { ground, pending, held, run }
    last = tried
    // Only storing is exclusive. The function is not: it may use other sessions, and it may be slow.
    return runExclusive(session, () => store(session, tried, isFresh, owner))
  }
  // Exclusive, as every method of this session is: another one may have given the session a new id meanwhile.
  const again = (): MaybePromise<boolean> =>
    runExclusive(session, async () => {
      // If the session has another record by now, the next try starts from that one.
      if (session.record !== last?.ground) return true
      isFresh = true
      if (await refresh(session)) return true
      if (last === undefined || 'error' in last.run) return false
      // The next try computes the change anew, from the data of the successor.
      return joinSuccessor(session, { ...last.pending, changes: last.run.changes })
    })
  // If storing fails, the pending changes are dropped. If the function itself throws, they stay pending.
  const run = await orDrop(session, async (note) => {
    const isDone = await retryOnConflict(() => attempt(note), again).catch((error: unknown) =>
      leaveSuccessor(session, isFollower, error),
    )
    return isDone && last !== undefined ? last.run : refuse(session)
  })
  if ('error' in run) return leaveSuccessor(session, isFollower, run.error)
  return run.result
}

/** Stores what a try made. */
async function store<Result>(
  session: RequestSession,
  { ground, pending, held, run }: Try<Result>,
  isFresh: boolean,
  owner: string | undefined,
): Promise<Replaced> {
  session.assertReadable()
  // Another method of this request changed the record meanwhile.
  if (session.record !== ground) return 'stale'
  if ('error' in run) return ground === undefined || isFresh ? 'done' : verify(session, ground)
  const hasChanges = run.changes.length > 0 || pending !== NO_CHANGES || (run.hasReplaced && session.pending.hidesData)
  const wanted = { ...pending, changes: run.changes }
  let answer: Replaced = 'done'
  if (ground === undefined) {
    // A session that is not stored keeps its reason to be stored: `lazy: false`, or an id that was read.
    if (!hasChanges) return answer
    const now = session.core.settings.now()
    const draft = newDraft(session, wanted, now)
    if (session.pending.mustStore || hasContents(draft)) await insert(session, draft, now)
  } else if (hasChanges) answer = await session.core.writes.hold(ground.key, replaceOnce(session, pending, wanted))
  else if (!isFresh) answer = await verify(session, ground)
  // What is written into objects of a former owner stays behind.
  const former = isSomebodyElse(owner, session.record?.owner) ? held : undefined
  if (answer === 'done') session.pending.detach(session.stored, pending, former)
  return answer
}

/** Nothing is written, so no compare-and-set has shown whether the function saw the newest data. */
async function verify(session: RequestSession, ground: SessionRecord): Promise<Replaced> {
  const newest = await readLive(session.core, ground.key)
  if (newest === undefined) return 'gone'
  if (newest.record.version === ground.version) return 'done'
  takeNewer(session, newest)
  return 'stale'
}

// ---- from outside a request, of a session that is named by its key

/** Changes the data. It also gets the record, unless it joins an update that is already running. */
type Updater<Result> = (data: object, record?: SessionRecord) => Result | Promise<Result>

/**
 * Changes the data of a stored session atomically, and moves no timeout.
 *
 * @throws {SessionError} `ERR_SESSION_GONE` if there is no such session, or it is another owner's; `ERR_SESSION_HEADERS_SENT`
 * if an owner appears or changes, because the browser would need a new cookie.
 */
export async function updateRecord<Result>(
  core: Core,
  key: string,
  fn: Updater<Result>,
  owner: string | undefined,
): Promise<Result> {
  const around = updateAround({ core, publicId: key })
  if (around !== undefined) {
    if (around.data === undefined) throw inUpdateError('sessions.update()')
    if (owner !== undefined && around.owner !== owner) throw goneError()
    return fn(around.data.proxy)
  }
  return core.store.during(() => core.updates.take(key, () => changeRecord(core, key, fn, owner)))
}

async function changeRecord<Result>(
  core: Core,
  key: string,
  fn: Updater<Result>,
  owner: string | undefined,
): Promise<Result> {
  const { events, payload, settings, writes } = core
  let run: Run<Result> | undefined
  let readAt = 0
  const change = async ({ record, stored, dataError }: Known): Promise<Replaced> => {
    if (owner !== undefined && record.owner !== owner) return 'gone'
    if (dataError !== undefined) throw dataError
    run = await runUpdate(core, key, stored.data, NO_CHANGES.changes, (data) => fn(data, record), record.owner)
    if ('error' in run || run.changes.length === 0) return 'done'
    const draft = withOwner(core, draftOf(stored, record, { ...NO_CHANGES, changes: run.changes }, readAt))
    await validate(core, key, draft.data)
    const now = settings.now()
    const newest = await withInstants(core, record, readAt, now)
    if (newest === undefined) return 'stale'
    const instants = core.touches.newest(newest)
    // Another process may have extended the session meanwhile. Writing back the expiry that was read would end it.
    if (instants.expiresAt <= now) return 'stale'
    const next = recordOf(payload, draft, key, record.version + 1, instants)
    const answer = await writes.hold(key, core.store.replace(next, record.version, now))
    if (answer === 'done') {
      payload.known.remember(next, draft)
      events.tell('commit', next)
    }
    return answer
  }
  const read = (): Promise<Known | undefined> => {
    readAt = settings.now()
    return readLive(core, key)
  }
  const changed = await changeNewest(await read(), change, read)
  if (changed === undefined || run === undefined) throw goneError()
  if ('error' in run) throw run.error
  return run.result
}

/** @throws {SessionError} `ERR_SESSION_HEADERS_SENT` if an owner appears or changes. */
function withOwner(core: Core, draft: Draft): Draft {
  const owner = ownerInData(core, draft)
  if (owner === draft.owner) return draft
  if (owner === undefined) return signedOut(draft)
  throw headersSentError('the owner of a session was changed from outside its request')
}

// ---- one run of the function, with the data that it may write to until it returns

/** The outcome of a run. */
type Run<Result> =
  { readonly result: Result; readonly changes: Changes; readonly hasReplaced: boolean } | { readonly error: unknown }

/** What an update does with data. */
type Change<Result> = (data: object) => Result | Promise<Result>

/** Runs `fn` on `stored` with the pending changes applied. Never rejects. */
async function runUpdate<Result>(
  core: Core,
  publicId: string,
  stored: Snapshot,
  pending: Changes,
  fn: Change<Result>,
  owner: string | undefined,
  session?: RequestSession,
): Promise<Run<Result>> {
  const data = new Data(stored, core.payload.codec)
  data.adopt(pending)
  const running = new RunningUpdate(core, publicId, data, owner, session)
  try {
    const result = await running.run(() => fn(data.proxy))
    return { result, changes: data.changes(), hasReplaced: running.hasReplaced }
  } catch (error) {
    return { error }
  } finally {
    data.freeze()
  }
}
