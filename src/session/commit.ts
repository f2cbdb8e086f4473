// What a request stores, and the rules of concurrency. A store only compares and sets; here it is decided what to do
// when another request was first. Nothing is written over a version that was not read, and nothing that ended is
// written again.
import { setTimeout as sleep } from 'node:timers/promises'
import { conflicts, type Changes } from '../record/merge.ts'
import { SessionError } from '../errors.ts'
import { publicIdOf } from '../cookie/id.ts'
import { storable, validated } from '../record/schema.ts'
import type { Line } from './write-lock.ts'
import { isPromise, settled, take, type Maybe, type Steps } from './steps.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'
import { isTombstone } from '../record/tombstone.ts'
import type { Draft, Pending, Services, Stored, Visit } from './request-session.ts'

// Of a crowd somebody wins every round, so each try brings one of it through; ten seconds carry hundreds.
const PATIENCE = 10_000
const LONGEST_PAUSE = 64
const MOST_COLLISIONS = 5

// The work is a generator that was made and not begun. A generator function must not be made for each request: V8 gives
// every one a hidden class of its own, and the garbage collector pays for it.
/**
 * Does one piece of work on a session at a time: a `save()` that nobody awaited, then the commit of the request.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` after the middleware was closed.
 */
export function alone<T>(visit: Visit, work: Steps<T>): Maybe<T> {
  if (visit.busy !== undefined)
    return queue(
      visit,
      visit.busy.then(() => turn(visit, work)),
    )
  const done = turn(visit, work)
  return isPromise(done) ? queue(visit, done) : done
}

function turn<T>(visit: Visit, work: Steps<T>): Maybe<T> {
  const { store } = visit.services
  store.enter()
  let done: Maybe<T>
  try {
    done = take(work)
  } catch (error) {
    store.leave()
    throw error
  }
  if (isPromise(done)) return done.finally(() => store.leave())
  store.leave()
  return done
}

function queue<T>(visit: Visit, done: Promise<T>): Promise<T> {
  // Whoever waits for a turn does not care how the one before ended; its own caller does.
  const over = done.then(ignore, ignore)
  visit.busy = over
  void over.then(() => {
    if (visit.busy === over) visit.busy = undefined
  })
  return done
}

function ignore(): void {
  // nothing to do
}

/** Commits a request whose handlers returned: at once where nothing has to be asked of the store. */
export function finish(visit: Visit): Maybe<void> {
  if (visit.busy === undefined && isIdle(visit)) {
    visit.close(true)
    return
  }
  try {
    const done = alone(visit, last(visit))
    return isPromise(done) ? done.catch((error: unknown) => failed(visit, error)) : done
  } catch (error) {
    return failed(visit, error)
  }
}

function failed(visit: Visit, error: unknown): never {
  visit.close(false)
  throw error
}

function* last(visit: Visit): Steps<void> {
  const work = visit.isDestroyed ? undefined : store(visit, true)
  if (work !== undefined) yield* work
  visit.close(true)
}

function isIdle(visit: Visit): boolean {
  const { record } = visit
  if (visit.isDestroyed) return true
  if (visit.isTouched) return false
  if (record === undefined || visit.isGone) return !visit.isKept
  // After close() nothing is asked of the store: a touch may be missed, a response may not.
  return (
    visit.services.store.isClosed || (!visit.isRenewing && !visit.isTouchDue(record, visit.services.settings.now()))
  )
}

/** Stores what is pending now; the request goes on. */
export function* save(visit: Visit): Steps<void> {
  visit.readable()
  if (visit.isClosed) return
  if (visit.hasEnded) throw gone(visit)
  visit.isKept = true
  const work = store(visit, false)
  if (work !== undefined) yield* work
}

/** What has to be done to store what is pending, if anything. */
function store(visit: Visit, isLast: boolean): Steps<void> | undefined {
  // What is stored comes before what is pending: a record that cannot be read is none.
  if (visit.isTouched) visit.open()
  const pending = isLast ? visit.lastPending() : visit.pending()
  if (isNothing(pending)) {
    if (visit.hasEnded) return undefined
    if (visit.record !== undefined) return isLast ? renew(visit, visit.record) : undefined
    // Outside Koa's chain nobody would learn the id of a session that only its existence asks to be kept.
    if (isLast && visit.exchange.ctx === undefined) return undefined
  }
  if (visit.hasEnded) throw gone(visit)
  if (visit.record !== undefined) return replace(visit, pending, isLast)
  return visit.hasSomething ? create(visit, pending, isLast) : undefined
}

/** Whether there is nothing to store. */
export function isNothing({ changes, put, taken, maxAge }: Pending): boolean {
  return changes.length === 0 && put.length === 0 && taken.size === 0 && maxAge === undefined
}

/** A use without a change: moves the expiry when that is due, and renews the cookie once the session is known to live. */
function* renew(visit: Visit, record: SessionRecord): Steps<void> {
  const { settings, store } = visit.services
  const now = settings.now()
  const isDue = visit.isTouchDue(record, now)
  const renewsCookie = visit.canSend && (visit.isRenewing || (isDue && settings.limits.rolling))
  try {
    if (isDue) {
      const expiresAt = visit.expiryFrom(now)
      if (yield* settled(store.touch(record, now, expiresAt, now))) {
        visit.moved({ ...record, lastSeenAt: now, expiresAt })
        if (renewsCookie) issue(visit)
        return
      }
    }
    if (!renewsCookie) return
    const newest = yield* settled(store.read(record.key, now))
    if (newest === undefined || isTombstone(newest)) {
      // It has ended since this request gave it a new id: the browser must not be told of it.
      if (visit.due === 'issue') visit.due = 'nothing'
      return
    }
    visit.moved({ ...record, lastSeenAt: newest.lastSeenAt, expiresAt: newest.expiresAt })
    issue(visit)
  } catch (error) {
    // The handler's answer stands: nothing that it did depends on the expiry. The guard has told the event.
    if (!(error instanceof SessionError)) throw error
  }
}

/** Sends the session's cookie with this response. */
export function issue(visit: Visit): void {
  visit.due = 'issue'
  visit.isRenewing = false
  visit.arm()
}

/** Stores a session for the first time. */
function* create(visit: Visit, pending: Pending, isLast: boolean): Steps<void> {
  const now = visit.services.settings.now()
  yield* insert(visit, visit.draft(pending, now), now)
  if (!isLast) visit.settle(pending)
}

/**
 * Inserts a session that is not stored yet, and goes on with it.
 *
 * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when nobody would learn its id.
 */
export function* insert(visit: Visit, draft: Draft, now: number): Steps<void> {
  if (!visit.canSend && !visit.hasSent) throw headersSent('a new session was stored')
  const { events } = visit.services
  const made = yield* firstRecord(visit, draft, now, visit.id, visit.hasSent ? 0 : MOST_COLLISIONS)
  become(visit, made)
  if (!visit.hasSent) issue(visit)
  if (events.heard('create')) events.emit('create', { publicId: made.record.key })
  committed(visit, made.record, [])
}

/** A record that was written, under an id that the browser does not know yet. */
export interface Made {
  readonly id: string
  readonly record: SessionRecord
  readonly draft: Draft
}

/** Writes the first record of a draft, under another id where this one is taken: at most `others` times. */
export function* firstRecord(
  visit: Visit,
  draft: Draft,
  now: number,
  id: string,
  others: number = MOST_COLLISIONS,
): Steps<Made> {
  const { schema } = visit.services.settings
  if (schema !== undefined) yield check(visit, draft)
  for (let left = others; ; left--) {
    const record = visit.recordOf(draft, publicIdOf(id), 1, now)
    const asked = visit.services.store.create(record, now)
    if (isPromise(asked) ? yield asked : asked) return { id, record, draft }
    // What is there is another browser's session: never adopted, never overwritten.
    if (left === 0)
      throw new SessionError(
        'ERR_SESSION_STORE',
        'options.generateId gave ids that other sessions have: it must draw at least 128 random bits',
      )
    id = visit.newId()
  }
}

/** Changes a stored session, however many requests change it at the same time. */
function* replace(visit: Visit, pending: Pending, isLast: boolean): Steps<void> {
  const { writes } = visit.services
  const { key } = current(visit)
  // A store that answers at once is never found busy: nobody comes between its question and its answer.
  const hasPlace = writes.isBusy(key) && (yield writes.wait(key)) === true
  if (!hasPlace) return yield* tried(visit, pending, isLast)
  let isDone = false
  try {
    yield* tried(visit, pending, isLast)
    isDone = true
  } finally {
    writes.leave(key, !isDone)
  }
}

function* tried(visit: Visit, pending: Pending, isLast: boolean): Steps<void> {
  const { settings, store } = visit.services
  let patience: Patience | undefined
  overtake(visit)
  for (;;) {
    const record = current(visit)
    const now = settings.now()
    const clashes = clashing(visit, pending.changes)
    const draft = visit.draft(pending, now)
    if (settings.schema !== undefined) yield check(visit, draft)
    const written = visit.recordOf(draft, record.key, record.version + 1, seenAt(visit, record, pending, now))
    const asked = store.replace(written, record.version, now)
    const outcome = isPromise(asked) ? yield* underWay(visit.services.writes, record.key, asked) : asked
    if (outcome === 'done') {
      become(visit, { id: visit.id, record: written, draft })
      visit.services.payload.remember(written, draft)
      if (!isLast) visit.settle(pending)
      renewing(visit, pending, written.lastSeenAt !== record.lastSeenAt)
      // Before the handlers have returned, another request may still replace the session, and its cookie.
      if (isLast && visit.isRenewing) issue(visit)
      committed(visit, written, clashes)
      return
    }
    if (outcome === 'gone') throw gone(visit)
    // First the pause, then the reading: what is read must be new when it is written over.
    yield* (patience ??= new Patience()).pause()
    if (!(yield* catchUp(visit))) throw gone(visit)
  }
}

/** Waits for a write; others of this process that would write the same record wait for it, too. */
export function* underWay<T>(writes: Line, key: string, asked: Promise<T>): Steps<T> {
  if (writes.isBusy(key)) return yield* settled(asked)
  writes.take(key)
  let isDone = false
  try {
    const outcome = yield* settled(asked)
    isDone = true
    return outcome
  } finally {
    writes.leave(key, !isDone)
  }
}

/** The use that the expiry counts from after a change. */
export function seenAt(visit: Visit, record: SessionRecord, pending: Pending, now: number): number {
  // A rolling cookie must not end before its session: both move together, when a touch is due.
  const moves = !visit.services.settings.limits.rolling || pending.maxAge !== undefined || visit.isTouchDue(record, now)
  return moves ? Math.max(now, record.lastSeenAt) : record.lastSeenAt
}

/** After a change: whether the cookie has another lifetime now. */
export function renewing(visit: Visit, pending: Pending, isSeen: boolean): void {
  if (pending.maxAge !== undefined || (isSeen && visit.services.settings.limits.rolling)) visit.isRenewing = true
}

/**
 * The keys that this request changes and another one has changed since they were read.
 *
 * @throws {SessionError} `ERR_SESSION_CONFLICT` where the app wants to be told.
 */
export function clashing(visit: Visit, changes: Changes): readonly string[] {
  const { settings, payload } = visit.services
  const keys = conflicts(visit.stored.data, changes, payload.codec)
  if (keys.length === 0 || !settings.throwsOnConflict) return keys
  throw new SessionError(
    'ERR_SESSION_CONFLICT',
    `another request changed ${keys.map((key) => JSON.stringify(key)).join(', ')} of this session meanwhile: try the request again, or use session.update()`,
  )
}

/**
 * Another request was first: what it stored becomes the ground of the next try.
 *
 * @returns whether the session still lives.
 */
export function* catchUp(visit: Visit): Steps<boolean> {
  const { settings, store } = visit.services
  const newest = yield* settled(store.read(current(visit).key, settings.now()))
  const stored = newest === undefined ? undefined : yield* contentsOf(visit, newest)
  if (newest === undefined || stored === undefined) return false
  visit.know(newest, stored)
  return true
}

/** Where another request of this process is known to have been first, its record is the ground: the store would refuse this one. */
export function overtake(visit: Visit): void {
  const { payload, settings } = visit.services
  // A schema may take its time, and what it makes of a record is not remembered. And to refuse a change takes more than
  // what was stored a moment ago: the newest may conflict no longer.
  if (visit.record === undefined || settings.schema !== undefined || settings.throwsOnConflict) return
  const newer = payload.newer(visit.record)
  if (newer !== undefined && !isTombstone(newer)) visit.know(newer, visit.decode(newer))
}

/** What a record holds, the schema applied; `undefined` where its session has ended. */
function* contentsOf(visit: Visit, record: SessionRecord): Steps<Stored | undefined> {
  if (isTombstone(record)) return undefined
  try {
    return yield* settled(view(visit.services, visit, record))
  } catch (error) {
    // What cannot be read cannot be changed: to this request the session has ended.
    if (error instanceof CorruptRecord) return undefined
    throw error
  }
}

/**
 * What a record holds, the schema applied.
 *
 * @throws {CorruptRecord} when the record is not what was written.
 */
export function view({ settings, payload }: Services, visit: Visit, record: SessionRecord): Maybe<Stored> {
  const stored = visit.decode(record)
  const { schema } = settings
  if (schema === undefined) return stored
  // What the schema makes of it becomes data, so it must be something that can be stored.
  return validated(schema, stored.data, payload.codec).then((output) => ({
    ...stored,
    data: storable(output, payload.codec),
  }))
}

/**
 * The pauses between tries: none at first, then random ones, growing; after ten seconds an error. A store that answers
 * at once needs none, since nobody can come between two of its answers.
 */
export class Patience {
  readonly #end = performance.now() + PATIENCE
  #tries = 0;

  /** @throws {SessionError} `ERR_SESSION_CONFLICT` at the end of it. */
  *pause(): Steps<void> {
    this.#tries++
    if (performance.now() > this.#end) {
      throw new SessionError(
        'ERR_SESSION_CONFLICT',
        `other requests changed this session ${this.#tries} times within ten seconds, each before this one could: try the request again`,
      )
    }
    if (this.#tries > 1) yield sleep(Math.random() * Math.min(2 ** this.#tries, LONGEST_PAUSE))
  }
}

/** Takes the newest data and drops what is pending. */
export function* reload(visit: Visit): Steps<void> {
  visit.readable()
  const { record, services } = visit
  const newest =
    record === undefined ? undefined : yield* settled(services.store.read(record.key, services.settings.now()))
  const stored = newest === undefined ? undefined : yield* contentsOf(visit, newest)
  if (newest !== undefined && stored !== undefined && !visit.isGone) visit.know(newest, stored)
  visit.reset()
  if (visit.hasEnded || (record !== undefined && stored === undefined)) throw gone(visit)
}

/** The record that the next write is compared with. */
export function current(visit: Visit): SessionRecord {
  if (visit.record === undefined) throw gone(visit)
  return visit.record
}

/** @throws {SessionError} `ERR_SESSION_SCHEMA` when a draft does not satisfy the schema. */
export async function check({ services }: Visit, draft: Draft): Promise<void> {
  const { schema } = services.settings
  if (schema !== undefined) await validated(schema, draft.data, services.payload.codec)
}

/** The session goes on with what was written. */
export function become(visit: Visit, { id, record, draft }: Made): void {
  visit.become(id, record, { data: draft.data, flash: draft.flash, notes: draft.notes })
}

/** Tells that a change is stored, and what of another request's it took the place of. */
export function committed({ services: { events } }: Visit, { key }: SessionRecord, clashes: readonly string[]): void {
  if (clashes.length > 0) {
    if (events.heard('conflict')) events.emit('conflict', { publicId: key, keys: clashes })
    events.notice(
      'MERGED_CONFLICT',
      "two requests changed the same key of one session, and the later commit won: use session.update() for counters and lists, or onConflict: 'throw'",
    )
  }
  if (events.heard('commit')) events.emit('commit', { publicId: key })
}

/** The error of a change to a session that ended. */
export function gone(visit: Visit): SessionError {
  visit.isGone = true
  // Not even for an id that this request made before the end.
  if (visit.due === 'issue') visit.due = 'nothing'
  const { events } = visit.services
  if (events.heard('gone')) events.emit('gone', { publicId: visit.record?.key })
  return new SessionError(
    'ERR_SESSION_GONE',
    'the session was destroyed, replaced or expired while this request changed it, so nothing was stored: answer 409 and let the user begin again',
  )
}

/** The error of a session whose id the browser would never learn. */
export function headersSent(what: string): SessionError {
  return new SessionError(
    'ERR_SESSION_HEADERS_SENT',
    `${what} when its cookie could no longer be sent: do it before the first byte of the response, and neither in a WebSocket nor after the commit`,
  )
}
