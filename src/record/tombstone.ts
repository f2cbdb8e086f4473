// The empty record that stays for a minute after a session has ended or moved to another key, so that a slow request still
// learns of it. A tombstone names its successor; an ended record names none.
import { encodeMetadata, newMetadata, readMetadata } from './record.ts'
import type { SessionRecord } from '../store.ts'

/** Longer than a request takes. */
const LIFE = 60_000

/** How long a request that presents a replaced id counts as one that was under way at the replacement. */
const UNDER_WAY = 10_000

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
