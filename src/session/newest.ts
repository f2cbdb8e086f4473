// The newest state of a session: how it is read, how a request takes it over, and how a change is refused if there is none
// that the request may change.
import type { ContextScope } from '../context.ts'
import { goneError, SessionError, unboundError } from '../errors.ts'
import { changedKeys } from '../record/merge.ts'
import { isEnded, readRecord, type Stored } from '../record/record.ts'
import { storable } from '../record/schema.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import type { RequestSession } from './request-session.ts'
import { refusesData, validate } from './validation.ts'

/** A record and what it holds. */
export interface Known {
  readonly record: SessionRecord
  readonly stored: Stored
  /** Why its data cannot be used: it does not satisfy the schema, or the schema's output cannot be stored. */
  readonly dataError: SessionError | undefined
}

/**
 * Refuses a change.
 *
 * @throws {SessionError} `ERR_SESSION_GONE`, `ERR_SESSION_UNBOUND` where the browser has yet to prove itself, or
 * `ERR_SESSION_DESTROYED`.
 */
export function refuse(session: RequestSession): never {
  // A session that this request ended itself did not end elsewhere, and its cookie is cleared.
  session.assertReadable()
  if (session.status === 'unbound') throw unboundError()
  session.markGone()
  throw goneError()
}

/** The record that the next write is compared with. @throws {SessionError} as {@link refuse} when there is none. */
export function requireRecord(session: RequestSession): SessionRecord {
  if (session.record === undefined || session.status !== 'live') return refuse(session)
  return session.record
}

/**
 * Replaces the record that this request knew by a newer one of the session. With `koaSession`, data that does not satisfy
 * the schema reads as empty, and so does empty data, which is checked when it changes: a logout that goes on empty stores it.
 */
export function takeNewer(session: RequestSession, { record, stored, dataError }: Known): void {
  noteMerge(session, stored)
  const isHidden =
    refusesData(dataError) &&
    dataError?.code === 'ERR_SESSION_SCHEMA' &&
    (session.core.settings.koaSession || Object.keys(stored.data).length === 0)
  const { allowedEnd } = session
  session.setRecord(record, isHidden ? { ...stored, data: {} } : stored)
  session.allowedEnd = allowedEnd
  session.dataError = isHidden ? undefined : dataError
  session.pending.hidesData = isHidden && Object.keys(stored.data).length > 0
}

/** Notes which keys other requests have changed, if the event has subscribers. */
export function noteMerge(session: RequestSession, newer: Stored): void {
  const { events, payload } = session.core
  if (session.stored === newer || !events.channels.merge.hasSubscribers) return
  const keys = changedKeys(session.stored.data, newer.data, payload.codec)
  if (keys.length > 0) session.mergedKeys = [...new Set([...session.mergedKeys, ...keys])]
}

/**
 * Reads what another request stored first, as the ground of the next try, for all requests that try `together`.
 *
 * @returns whether the session still lives.
 */
export async function refresh(
  session: RequestSession,
  together: readonly RequestSession[] = [session],
): Promise<boolean> {
  const { key } = requireRecord(session)
  // The record that this process took for the newest is not: the store refused a write over it.
  session.core.payload.known.forget(key)
  const now = session.core.settings.now()
  const newest = await readLive(session.core, key, session.scope)
  if (newest === undefined) return false
  for (const one of together) {
    takeNewer(one, newest)
    one.instantsAt = now
  }
  return true
}

/**
 * Takes the newest data and drops what is pending.
 *
 * @throws {SessionError} as {@link refuse}, when the session has ended or this request may not read it.
 */
export async function reload(session: RequestSession): Promise<void> {
  session.assertReadable()
  const { record, core, status } = session
  const newest = record === undefined || status !== 'live' ? undefined : await readLive(core, record.key)
  if (newest !== undefined) takeNewer(session, newest)
  session.mergedKeys = []
  session.pending.reset(session.stored.data)
  session.facade?.settled('ended')
  if (newest === undefined && status !== 'new') refuse(session)
}

// A touch does not raise the version, so a compare-and-set does not notice one of another process. A change that writes back the
// instants that it read may therefore undo touches, but only those of this last period, in milliseconds.
const MAX_STALENESS = 1000

/** The record, with the instants that are stored now if it was read long ago; `undefined` if another version is stored. */
export async function withInstants(
  core: Core,
  record: SessionRecord,
  readAt: number,
  now: number,
): Promise<SessionRecord | undefined> {
  if (now - readAt <= MAX_STALENESS) return record
  const found = await core.store.read(record.key, now)
  if (typeof found !== 'object' || found.version !== record.version) return
  return { ...record, lastSeenAt: found.lastSeenAt, expiresAt: found.expiresAt }
}

/** Whether a passive change of this session would write back instants that were read long ago. */
export function hasStaleInstants({ core, instantsAt }: RequestSession): boolean {
  return core.settings.now() - instantsAt > MAX_STALENESS
}

/** Takes over the instants that are stored now, if this version is still the newest. */
export async function renewInstants(session: RequestSession): Promise<void> {
  const { core, instantsAt } = session
  const now = core.settings.now()
  const newest = await withInstants(core, requireRecord(session), instantsAt, now)
  if (newest !== undefined) session.takeLifetime(newest)
  session.instantsAt = now
}

/** What a record holds; `undefined` if it cannot be read, or its session has run out under the current limits. */
export function readUnexpired({ payload, settings }: Core, record: SessionRecord, now: number): Stored | undefined {
  const stored = readRecord(payload, record)
  return stored && effectiveEnd(settings.lifetime, stored.metadata, record) > now ? stored : undefined
}

/** What is stored under a key now, with the schema applied; `undefined` if its session has ended or cannot be read. */
export async function readLive(core: Core, key: string, scope?: ContextScope): Promise<Known | undefined> {
  const now = core.settings.now()
  const record = await core.store.read(key, now)
  if (typeof record !== 'object' || isEnded(record)) return
  // A record that cannot be read cannot be changed: for this request the session has ended.
  const stored = readUnexpired(core, record, now)
  return stored && applySchema(core, record, stored, scope)
}

/**
 * The schema's output for stored data becomes data. If the data does not satisfy the schema, or the output cannot be stored,
 * no user is locked out: the data can be replaced.
 */
export async function applySchema(
  core: Core,
  record: SessionRecord,
  stored: Stored,
  scope?: ContextScope,
): Promise<Known> {
  if (core.settings.schema === undefined) return { record, stored, dataError: undefined }
  try {
    const output = await validate(core, record.key, stored.data, scope)
    return { record, stored: { ...stored, data: storable(output, core.payload.codec) }, dataError: undefined }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    core.events.tell('reject', record, { reason: 'corrupt' })
    return { record, stored, dataError: error }
  }
}
