// Records of sessions that live for one second from a fixed instant.
import { randomBytes } from 'node:crypto'
import type { SessionRecord } from '../../src/store.ts'

export const NOW = 1_800_000_000_000

export function newRecord(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    key: randomBytes(32).toString('base64url'),
    version: 1,
    payload: '{"visits":1}',
    owner: undefined,
    createdAt: NOW,
    lastSeenAt: NOW,
    expiresAt: NOW + 1000,
    ...changes,
  }
}

/** A record with a readable key. */
export function keyed(key: string, changes: Partial<SessionRecord> = {}): SessionRecord {
  const instants = { createdAt: NOW, lastSeenAt: NOW, expiresAt: NOW + 1000 }
  return { key, version: 1, payload: '{}', owner: undefined, meta: undefined, ...instants, ...changes }
}
