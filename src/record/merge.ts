// Pure: what one request changed, applied to a state that another request may have stored meanwhile.
import { withMaxAge } from './lifetime.ts'
import { newMetadata, type Draft, type Stored } from './record.ts'
import type { SessionRecord } from '../store.ts'

/** The data of a session as it was stored: shared, never handed out, never written to. */
export type Snapshot = Readonly<Record<string, unknown>>

/** Stands for "no such key", which `undefined` cannot: it is a value that a codec may keep. */
export const ABSENT: unique symbol = Symbol('absent')

/** One top-level key: what the request saw in it, and what it wants there. */
export interface Change {
  readonly key: string
  readonly base: unknown
  readonly value: unknown
}

/** The changes of one request, one for each key. */
export type Changes = readonly Change[]

/** A message for a later request: a random tag, which tells it from an equal one, its key and its value. */
export type Flash = readonly [tag: string, key: string, value: unknown]

/** What a request did with flash messages: those it put, and the tags of the stored ones that it took. */
export interface FlashChanges {
  readonly put: readonly Flash[]
  readonly taken: ReadonlySet<string>
}

/** All that a request wants to change. */
export interface PendingChanges extends FlashChanges {
  readonly changes: Changes
  /** The session's own lifetime to be, in milliseconds; `undefined` where it was not set. */
  readonly maxAge: number | undefined
}

/** Nothing to store, told by its identity. */
export const NO_CHANGES: PendingChanges = Object.freeze({
  changes: Object.freeze([]),
  put: Object.freeze([]),
  taken: new Set<string>(),
  maxAge: undefined,
})

/** The value of a key, own properties only: `toString` is no data. */
export function valueOf(snapshot: Snapshot, key: string): unknown {
  return Object.hasOwn(snapshot, key) ? snapshot[key] : ABSENT
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

/** The snapshot with the changes made; the snapshot itself where there are none. */
export function applyChanges(snapshot: Snapshot, changes: Changes): Snapshot {
  if (changes.length === 0) return snapshot
  const next: Record<string, unknown> = { ...snapshot }
  for (const { key, value } of changes) {
    if (value === ABSENT) Reflect.deleteProperty(next, key)
    else if (key === '__proto__') setOwn(next, key, value)
    else next[key] = value
  }
  return next
}

/**
 * The keys that both sides changed: what is stored is no longer what the request saw.
 *
 * Equal outcomes count too: two requests that both counted from 4 to 5 have lost one.
 */
export function conflictingKeys(
  newer: Snapshot,
  changes: Changes,
  codec: { same(value: unknown, stored: unknown): boolean },
): string[] {
  const keys: string[] = []
  for (const { key, base } of changes) {
    const stored = Object.hasOwn(newer, key) ? newer[key] : ABSENT
    if (stored === base) continue
    if (stored === ABSENT || base === ABSENT || !codec.same(stored, base)) keys.push(key)
  }
  return keys
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

/** Messages after a request took some and put others: parallel puts all survive, whatever was taken. */
export function mergeFlash(
  stored: readonly Flash[],
  taken: ReadonlySet<string>,
  put: readonly Flash[],
): readonly Flash[] {
  if (taken.size === 0 && put.length === 0) return stored
  return [...stored.filter(([tag]) => !taken.has(tag)), ...put]
}

/** Assigns an own property, `__proto__` included, which plain assignment would take for the prototype. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}
