// A session in the ledger: its record, and what became of it.
import type { SessionRecord } from '../../../src/store.ts'
import type { Contents, Message } from './wishes.ts'

export interface Entry {
  record: SessionRecord
  contents: Contents
  /** The contents by version: the process may know a newer version than the request has read. */
  readonly versions: Map<number, Contents>
  /** The touches that were requested. A change of the touched version takes the touch into account, even if that fails. */
  readonly touches: AskedTouch[]
  /** The number shared by all sessions that replaced one another. */
  chain: number
  /** The absolute timeout counts from here. */
  startedAt: number
  /** The session's own lifetime, and its start. */
  own: Own | undefined
  /** The owner, kept after the session has ended. */
  ownedBy: string | undefined
  /** Whether the session has not moved to this record yet: the copy may be abandoned. */
  isCopy: boolean
  /** The number of updates from outside while it was a copy. */
  counted: number
  /** Why the session ended. */
  end: 'replaced' | 'ended' | undefined
  successor: string | undefined
  /** Whether a browser has received its id. */
  isAnnounced: boolean
}

export type AskedTouch = Pick<SessionRecord, 'version' | 'lastSeenAt' | 'expiresAt'>

export interface Own {
  readonly maxAge: number
  readonly since: number
}

export function withCount<T extends Contents>(contents: T, times: number): T {
  const { n } = contents.data as { n?: unknown }
  return times === 0
    ? contents
    : { ...contents, data: { ...contents.data, n: (typeof n === 'number' ? n : 0) + times } }
}

export function contentsOf({ payload }: SessionRecord): Contents {
  const value = JSON.parse(String(payload)) as Contents['data'] | [Contents['data'], [string, string, string][]]
  if (!Array.isArray(value)) return { data: value, flash: [] }
  return { data: value[0], flash: value[1].map(([, key, message]): Message => [key, message]) }
}

export function sameRecord(one: SessionRecord | undefined, other: SessionRecord | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return (
    one.key === other.key &&
    one.version === other.version &&
    one.payload === other.payload &&
    one.owner === other.owner &&
    one.createdAt === other.createdAt &&
    one.lastSeenAt === other.lastSeenAt &&
    one.expiresAt === other.expiresAt &&
    one.meta === other.meta
  )
}

export function shown(record: SessionRecord | undefined): string {
  return record === undefined ? 'nothing' : `version ${record.version}, seen at ${record.lastSeenAt}`
}
