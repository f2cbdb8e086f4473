// `session.update(fn)`: a change that is computed from the newest data, and computed again when another request was first.
import { inUpdateError } from '../errors.ts'
import { NO_CHANGES, type PendingChanges } from '../record/changes.ts'
import { hasContents } from '../record/record.ts'
import type { Replaced, SessionRecord } from '../store.ts'
import { insert, newDraft } from './create.ts'
import { orDrop, runExclusive } from './exclusive.ts'
import { updateAround } from './inside-update.ts'
import { readLive, refresh, refuse, takeNewer } from './newest.ts'
import { storeInSuccessor } from './regenerate.ts'
import { replaceOnce, useNewestKnown } from './replace.ts'
import type { RequestSession } from './request-session.ts'
import { retryOnConflict } from './retry.ts'
import { runUpdate, type Run } from './update-run.ts'

/** Runs `fn` over the newest data, with what is pending in it, until what it made of it is stored; see the manager. */
export async function update<Result>(
  session: RequestSession,
  fn: (data: object) => Result | Promise<Result>,
): Promise<Result> {
  const around = updateAround(session)
  if (around !== undefined) {
    // Called inside the function of another update of this session: it joins, and is stored with it.
    if (around.data === undefined) throw inUpdateError('session.update()')
    return fn(around.data.proxy)
  }
  session.assertReadable()
  return session.core.updates.take(session.record?.key ?? session, () => new Update(session, fn).run())
}

class Update<Result> {
  readonly #session: RequestSession
  readonly #fn: (data: object) => Result | Promise<Result>
  /** Whether what the function sees was read from the store after the call began. */
  #isFresh = false
  #run: Run<Result> | undefined
  /** What the last try started from, and what was pending in it. */
  #ground: SessionRecord | undefined
  #pending: PendingChanges | undefined
  /** The change is stored in the session that took the place of this one. */
  #isFollowed = false

  constructor(session: RequestSession, fn: (data: object) => Result | Promise<Result>) {
    this.#session = session
    this.#fn = fn
  }

  async run(): Promise<Result> {
    const session = this.#session
    session.assertReadable()
    session.open()
    useNewestKnown(session)
    // What could not be stored with it is dropped; what the function itself throws leaves it pending.
    const run = await orDrop(session, async (note) => {
      const isDone = await retryOnConflict(
        () => this.#attempt(note),
        () => this.#refresh(),
      )
      // A session that has ended was refused in its turn.
      return isDone && this.#run !== undefined ? this.#run : refuse(session)
    })
    if ('error' in run) throw run.error
    return run.result
  }

  async #attempt(note: (pending: PendingChanges) => void): Promise<Replaced> {
    const session = this.#session
    if (this.#isFollowed) return 'done'
    // A verb that was called before may have stored, and not said yet what of the pending it has dealt with.
    if (session.busy !== undefined) await session.busy.catch(() => undefined)
    session.assertReadable()
    if (session.status === 'gone' || session.status === 'unbound') return refuse(session)
    if (session.dataError !== undefined) throw session.dataError
    const ground = session.record
    // What the last commit has taken is its own, also where it fails.
    const pending = session.phase === 'open' ? session.pending.collect() : NO_CHANGES
    note(pending)
    this.#ground = ground
    this.#pending = pending
    const { core, publicId, stored } = session
    const run = await runUpdate(core, publicId, stored.data, pending.changes, this.#fn, ground?.owner, session)
    this.#run = run
    // The function ran outside of the session's turn: it may use other sessions, and take its time.
    return runExclusive(session, async () => {
      const answer = await this.#store(ground, pending, run)
      return answer === 'gone' ? this.#follow() : answer
    })
  }

  /** In the session's turn, as every verb of this request: another one may have given the session a new id meanwhile. */
  async #refresh(): Promise<boolean> {
    const session = this.#session
    return runExclusive(session, async () => {
      this.#isFresh = true
      // Where the session has another record by now, the next try has its ground already.
      if (session.record !== this.#ground || (await refresh(session))) return true
      await this.#follow()
      this.#isFollowed = true
      return true
    })
  }

  /** The session ended; where a parallel request signed the same owner in, the change is stored in what took its place. */
  async #follow(): Promise<Replaced> {
    const session = this.#session
    const pending = this.#pending
    const run = this.#run
    if (pending === undefined || run === undefined || 'error' in run) return refuse(session)
    await storeInSuccessor(session, { ...pending, changes: run.changes })
    session.pending.detach(session.stored, pending)
    return 'done'
  }

  async #store(ground: SessionRecord | undefined, pending: PendingChanges, run: Run<Result>): Promise<Replaced> {
    const session = this.#session
    session.assertReadable()
    // Another verb of this request came between.
    if (session.record !== ground) return 'stale'
    if ('error' in run || (run.changes.length === 0 && pending === NO_CHANGES)) {
      const answer = ground === undefined || this.#isFresh ? 'done' : await this.#verify(ground)
      if (answer === 'done' && !('error' in run)) session.pending.detach(session.stored, pending)
      return answer
    }
    const wanted = { ...pending, changes: run.changes }
    const answer =
      ground === undefined
        ? await this.#create(wanted)
        : await session.core.writes.hold(ground.key, replaceOnce(session, pending, wanted))
    if (answer === 'done') session.pending.detach(session.stored, pending)
    return answer
  }

  /** Nothing is written, so no compare-and-set has shown whether the function saw the newest data. */
  async #verify(ground: SessionRecord): Promise<Replaced> {
    const session = this.#session
    const newest = await readLive(session.core, ground.key)
    if (newest === undefined) return 'gone'
    if (newest.record.version === ground.version) return 'done'
    takeNewer(session, newest)
    return 'stale'
  }

  async #create(wanted: PendingChanges): Promise<Replaced> {
    const session = this.#session
    const now = session.core.settings.now()
    const draft = newDraft(session, wanted, now)
    if (session.pending.mustStore || hasContents(draft)) await insert(session, draft, now)
    return 'done'
  }
}
