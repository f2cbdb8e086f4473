// Pure functions: apply one request's changes to a state that another request may have stored meanwhile.
import { ABSENT, setOwn, valueOf, type Changes, type Flash, type PendingChanges, type Snapshot } from './changes.ts'
import type { Codec } from './codec.ts'
import { withMaxAge } from './lifetime.ts'
import { newMetadata, type Draft, type Stored } from './record.ts'
import type { SessionRecord } from '../store.ts'

/** The stored state with the pending changes applied. */
export function draftOf(
  stored: Stored,
  record: SessionRecord | undefined,
  pending: PendingChanges,
  now: number,
): Draft {
  // A new session begins when it is stored, so that its cookie gets the full lifetime.
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

/** The snapshot with the changes applied; the snapshot itself if there are none. */
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
 * Equal values conflict too: when two requests both count from 4 to 5, one count is lost.
 */
export function conflictingKeys(newer: Snapshot, changes: Changes, codec: Pick<Codec, 'same'>): string[] {
  const keys: string[] = []
  for (const { key, base } of changes) {
    const stored = Object.hasOwn(newer, key) ? newer[key] : ABSENT
    if (stored === base) continue
    if (stored === ABSENT || base === ABSENT || !codec.same(stored, base)) keys.push(key)
  }
  return keys
}

/** The keys of data that differ between two states of a session. */
export function changedKeys(before: Snapshot, after: Snapshot, codec: Pick<Codec, 'same'>): string[] {
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
