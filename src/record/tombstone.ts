// What is left of a session for a moment when it went on under another key: it names its successor, and is empty.
import { freshNotes, notesOf, writeNotes } from './metadata.ts'
import type { SessionRecord } from '../store.ts'

/** How long a tombstone names its successor: longer than a request takes, so that a slow logout still finds it. */
const TOMBSTONE_LIFE = 60_000

/** How long a request with a replaced id counts as one that was under way. */
const UNDER_WAY = 10_000

/** The record that takes the place of one whose session goes on under another key. */
export function tombstoneOf(record: SessionRecord, successor: string, now: number): SessionRecord {
  const { key, version, createdAt } = record
  const meta = writeNotes({ ...freshNotes(createdAt), successor }, createdAt)
  return Object.freeze({
    key,
    version: version + 1,
    payload: '',
    owner: undefined,
    createdAt,
    lastSeenAt: now,
    expiresAt: now + TOMBSTONE_LIFE,
    meta,
  })
}

/** The record that ends a session: expired when it is written. */
export function endOf(record: SessionRecord, now: number): SessionRecord {
  return Object.freeze({
    ...record,
    version: record.version + 1,
    payload: '',
    owner: undefined,
    meta: undefined,
    expiresAt: now,
  })
}

/** Whether a record stands for a session that has ended. */
export function isTombstone(record: SessionRecord): boolean {
  return record.payload.length === 0
}

/** The key of the session that took the place of an ended one. */
export function successorOf(tombstone: SessionRecord): string | undefined {
  return notesOf(tombstone).successor
}

/** Whether a request that presents the id of this tombstone was under way when it was replaced. */
export function isUnderWay(tombstone: SessionRecord, now: number): boolean {
  return successorOf(tombstone) !== undefined && now - tombstone.lastSeenAt < UNDER_WAY
}
