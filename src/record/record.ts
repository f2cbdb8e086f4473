// Converts between what is stored of a session and the record that a store keeps. Pure functions. `meta` holds what the core
// needs beyond the named fields.
import { expiry, MAX_COOKIE_AGE, type LifetimePolicy, type SessionLifetime } from './lifetime.ts'
import type { Contents, Payload } from './payload.ts'
import { CorruptRecord, passOver, unlessCorrupt, type SessionRecord } from '../store.ts'

/** What a record holds. */
export interface Stored extends Contents {
  readonly metadata: Metadata
}

/** What a record is made from. */
export interface Draft extends Stored {
  readonly createdAt: number
  readonly owner: string | undefined
}

/** What a session holds before anything was stored. Its start is not known yet, so the metadata is a placeholder. */
export const NOTHING_STORED: Stored = {
  data: Object.freeze({}),
  flash: Object.freeze([]),
  device: undefined,
  metadata: newMetadata(0),
}

/** An empty session that begins now. */
export function emptyDraft(now: number): Draft {
  return { ...NOTHING_STORED, metadata: newMetadata(now), createdAt: now, owner: undefined }
}

/**
 * What a record holds; `undefined` where the record is corrupt.
 *
 * @throws {SessionError} `ERR_SESSION_STORE` when it names an encryption key that is not configured.
 */
export function readRecord(payload: Payload, record: SessionRecord): Stored | undefined {
  return unlessCorrupt(() => {
    // First, because `decode` remembers the record as one to start a write from.
    const metadata = decodeMetadata(record)
    return { ...payload.decode(record), metadata }
  })
}

/** Whether a draft holds anything that makes a new session worth storing. */
export function hasContents({ data, flash, metadata }: Draft): boolean {
  return flash.length > 0 || metadata.maxAge > 0 || Object.keys(data).length > 0
}

/** The use that a record's expiry counts from, and the expiry. */
export interface Instants {
  readonly lastSeenAt: number
  readonly expiresAt: number
}

/**
 * The record that holds a draft. `isStored`: its contents are stored already, so `maxBytes` does not apply.
 *
 * @throws {SessionError} `ERR_SESSION_TOO_LARGE` over `maxBytes`.
 */
export function recordOf(
  payload: Payload,
  draft: Draft,
  key: string,
  version: number,
  { lastSeenAt, expiresAt }: Instants,
  isStored = false,
): SessionRecord {
  const { owner, createdAt, metadata } = draft
  const meta = encodeMetadata(metadata, createdAt)
  return {
    key,
    version,
    payload: payload.encode(draft, { key, owner, meta, createdAt }, isStored),
    owner,
    createdAt,
    lastSeenAt,
    expiresAt,
    meta,
  }
}

/** The instants of a session that is used at `now`. */
export function usedAt(policy: LifetimePolicy, metadata: Metadata, now: number): Instants {
  return { lastSeenAt: now, expiresAt: expiry(policy, metadata, now) }
}

// ---- meta

/** What the core knows of a session beside its data. */
export interface Metadata extends SessionLifetime {
  readonly authenticatedAt: number | undefined
  /** The key of the record that took this one's place, in a tombstone. */
  readonly successor: string | undefined
  /** Whether the successor of a tombstone is a separate session, which only shares the browser with this one. */
  readonly isFreshStart: boolean
  /** The key of the record whose place this one took. */
  readonly predecessor: string | undefined
  /** The device that the session is bound to. */
  readonly binding: Binding | undefined
  /** The name of the binding that the one registration offered by the sign-in would make; `undefined` once it was used. */
  readonly registration: string | undefined
}

/** A device-bound session's key. */
export interface Binding {
  /** The name under which the browser knows the session: not its id. */
  readonly id: string
  /** The coordinates of a P-256 public key, base64url. */
  readonly x: string
  readonly y: string
  /** Epoch milliseconds. */
  readonly boundAt: number
  /** When the browser last proved that it has the private key, in epoch milliseconds. */
  readonly provenAt: number
}

/** Longer than any `meta` that was ever written: longer text is not parsed. */
const MAX_LENGTH = 4096
const KEY = /^.{1,255}$/su
const BINDING_ID = /^[\w-]{1,128}$/

/** The metadata of a session that begins at this instant. */
export function newMetadata(startedAt: number): Metadata {
  return {
    startedAt,
    maxAge: 0,
    maxAgeSince: 0,
    authenticatedAt: undefined,
    successor: undefined,
    isFreshStart: false,
    predecessor: undefined,
    binding: undefined,
    registration: undefined,
  }
}

/**
 * Metadata as short text; `undefined` when everything has its default, as in most sessions.
 *
 * 0.1 reads `a s m c n`; `f p b r` came with 0.2. A reader ignores keys that it does not know.
 */
export function encodeMetadata(metadata: Metadata, createdAt: number): string | undefined {
  const { authenticatedAt, startedAt, maxAge, successor, predecessor, binding, registration } = metadata
  if (
    authenticatedAt === undefined &&
    startedAt === createdAt &&
    maxAge === 0 &&
    successor === undefined &&
    predecessor === undefined &&
    binding === undefined &&
    registration === undefined
  )
    return
  return JSON.stringify({
    a: authenticatedAt,
    s: startedAt === createdAt ? undefined : startedAt,
    m: maxAge === 0 ? undefined : maxAge,
    c: maxAge === 0 ? undefined : metadata.maxAgeSince,
    n: successor,
    f: metadata.isFreshStart ? 1 : undefined,
    p: predecessor,
    b: binding && [binding.id, binding.x, binding.y, binding.boundAt, binding.provenAt],
    r: registration,
  })
}

/** @throws {CorruptRecord} when `meta` is not what was written. */
export function decodeMetadata({ meta, createdAt }: Pick<SessionRecord, 'meta' | 'createdAt'>): Metadata {
  if (meta === undefined) return newMetadata(createdAt)
  const { a, s, m, c, n, f, p, b, r } = fieldsOf(meta)
  return {
    authenticatedAt: a === undefined ? undefined : wholeNumber(a),
    startedAt: s === undefined ? createdAt : wholeNumber(s),
    maxAge: m === undefined ? 0 : age(m),
    maxAgeSince: c !== undefined ? wholeNumber(c) : m === undefined ? 0 : createdAt,
    successor: n === undefined ? undefined : text(n, KEY),
    isFreshStart: f === 1,
    predecessor: p === undefined ? undefined : text(p, KEY),
    binding: b === undefined ? undefined : bindingOf(b),
    registration: r === undefined ? undefined : text(r, BINDING_ID),
  }
}

/** The same, but `undefined` where `meta` is not what was written. */
export function readMetadata(record: Pick<SessionRecord, 'meta' | 'createdAt'>): Metadata | undefined {
  try {
    return decodeMetadata(record)
  } catch (error) {
    passOver(error)
  }
}

function fieldsOf(meta: unknown): Record<string, unknown> {
  // A database may hold anything.
  if (typeof meta !== 'string' || meta.length > MAX_LENGTH) throw corrupt()
  let fields: unknown
  try {
    fields = JSON.parse(meta)
  } catch (cause) {
    throw corrupt(cause)
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw corrupt()
  return fields as Record<string, unknown>
}

function bindingOf(value: unknown): Binding {
  if (!Array.isArray(value) || value.length !== 5) throw corrupt()
  const [id, x, y, boundAt, provenAt] = value as unknown[]
  return {
    id: text(id, BINDING_ID),
    x: text(x, /^[\w-]{43}$/),
    y: text(y, /^[\w-]{43}$/),
    boundAt: wholeNumber(boundAt),
    provenAt: wholeNumber(provenAt),
  }
}

function wholeNumber(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw corrupt()
  return value as number
}

function age(value: unknown): number {
  const maxAge = wholeNumber(value)
  if (maxAge < 0 || maxAge > MAX_COOKIE_AGE) throw corrupt()
  return maxAge
}

function text(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw corrupt()
  return value
}

function corrupt(cause?: unknown): CorruptRecord {
  return new CorruptRecord('meta is not what was written', { cause })
}

// ---- the end

// An empty record stays for a minute after a session has ended or moved to another key, so that a slow request still learns of
// it. A tombstone names its successor; an ended record names none.

/** Longer than a request takes. */
const LIFE = 60_000

/** How long a request that presents a replaced id counts as one that was under way at the replacement. */
const UNDER_WAY = 10_000

/** Whether a record's session has ended or goes on under another key: the payload of a live session is never empty. */
export function isEnded(record: SessionRecord): boolean {
  return record.payload.length === 0
}

/** The record that replaces one whose session goes on under another key, or is succeeded by a fresh session there. */
export function tombstoneOf(
  record: SessionRecord,
  successor: string,
  now: number,
  isFreshStart = false,
): SessionRecord {
  const { createdAt } = record
  const metadata = { ...newMetadata(createdAt), successor, isFreshStart }
  return endedRecord(record, now, encodeMetadata(metadata, createdAt))
}

/** The record that replaces one whose session ends. That one step ends the session: nothing is left to delete. */
export function endedRecord({ key, version, createdAt }: SessionRecord, now: number, meta?: string): SessionRecord {
  return {
    key,
    version: version + 1,
    payload: '',
    owner: undefined,
    createdAt,
    lastSeenAt: now,
    expiresAt: now + LIFE,
    meta,
  }
}

/** The key of the record that replaced this one; `undefined` where it names none or itself, or cannot be read. */
export function successorOf(record: SessionRecord): string | undefined {
  const successor = readMetadata(record)?.successor
  return successor === record.key ? undefined : successor
}

/** Whether the successor of a tombstone is a separate session: what waits for the old session's end is over then. */
export function isFreshStart(record: SessionRecord): boolean {
  return readMetadata(record)?.isFreshStart === true
}

/**
 * Whether a request that presents the id of this record was under way when the session got another one.
 *
 * Clocks of two processes differ by a little, in either direction; a clock that was set back must not prolong it.
 */
export function isUnderWay(record: SessionRecord, now: number): boolean {
  return Math.abs(now - record.lastSeenAt) < UNDER_WAY && successorOf(record) !== undefined
}
