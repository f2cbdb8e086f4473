// What is stored of a session <-> the record that a store keeps, and the draft of the next record. Pure.
import { expiry, withMaxAge, type LifetimePolicy } from './lifetime.ts'
import { ABSENT, applyChanges, mergeFlash, valueOf, type Flash, type PendingChanges, type Snapshot } from './merge.ts'
import { decodeMetadata, encodeMetadata, newMetadata, type Metadata } from './metadata.ts'
import type { Contents, Payload } from './payload.ts'
import type { SessionRecord } from '../store.ts'

/** What a record holds. */
export interface Stored extends Contents {
  readonly metadata: Metadata
}

/** What a record is made from. */
export interface Draft extends Stored {
  readonly createdAt: number
  readonly owner: string | undefined
}

const NO_DATA: Snapshot = Object.freeze({})
const NO_FLASH: readonly Flash[] = Object.freeze([])

/** What a session holds before anything was stored. */
export function nothingStored(now: number): Stored {
  return { data: NO_DATA, flash: NO_FLASH, device: undefined, metadata: newMetadata(now) }
}

/** An empty session that begins now. */
export function emptyDraft(now: number): Draft {
  return { ...nothingStored(now), createdAt: now, owner: undefined }
}

/**
 * What a record holds.
 *
 * @throws {CorruptRecord} when the record is not what was written.
 * @throws {SessionError} `ERR_SESSION_STORE` when it names an encryption key that is not configured.
 */
export function decodeRecord(payload: Payload, record: SessionRecord): Stored {
  return { ...payload.decode(record), metadata: decodeMetadata(record) }
}

/** What was stored, with the pending changes made. */
export function draftOf(
  stored: Stored,
  record: SessionRecord | undefined,
  pending: PendingChanges,
  now: number,
): Draft {
  // A new session begins when it is stored, so that its cookie has its whole lifetime.
  const metadata = record === undefined ? newMetadata(now) : stored.metadata
  return {
    data: applyChanges(stored.data, pending.changes),
    flash: mergeFlash(stored.flash, pending.taken, pending.put),
    device: stored.device,
    metadata: pending.maxAge === undefined ? metadata : { ...metadata, ...withMaxAge(metadata, pending.maxAge, now) },
    createdAt: record?.createdAt ?? now,
    owner: record?.owner,
  }
}

/** Whether a draft holds anything that a new session is worth keeping for. */
export function hasContents({ data, flash, metadata }: Draft): boolean {
  return flash.length > 0 || metadata.maxAge > 0 || Object.keys(data).length > 0
}

/** When the use that a record's expiry counts from was, and when it ends. */
export interface Instants {
  readonly lastSeenAt: number
  readonly expiresAt: number
}

/**
 * The record that holds a draft.
 *
 * @throws {SessionError} `ERR_SESSION_TOO_LARGE` over `maxBytes`.
 */
export function recordOf(
  payload: Payload,
  draft: Draft,
  key: string,
  version: number,
  { lastSeenAt, expiresAt }: Instants,
): SessionRecord {
  const { owner, createdAt, metadata } = draft
  const meta = encodeMetadata(metadata, createdAt)
  return {
    key,
    version,
    payload: payload.encode(draft, { key, owner, meta, createdAt }),
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

/** The keys of data that differ between two states of a session. */
export function changedKeys(
  before: Snapshot,
  after: Snapshot,
  codec: { same(value: unknown, stored: unknown): boolean },
): string[] {
  if (before === after) return []
  const isChanged = (key: string): boolean => {
    const [old, current] = [valueOf(before, key), valueOf(after, key)]
    return old !== current && (old === ABSENT || current === ABSENT || !codec.same(old, current))
  }
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(isChanged)
}
