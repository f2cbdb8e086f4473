// A session as the ledger knows it: its record, and what became of it.
import type { SessionRecord } from '../../../src/store.ts'
import type { Contents, Message } from './mind.ts'

export interface Entry {
  record: SessionRecord
  contents: Contents
  /** What each version held: the process may know a newer one than a request has read. */
  readonly versions: Map<number, Contents>
  /** The touches that were asked for: a change of the version that one is about counts it, whatever becomes of it. */
  readonly touches: AskedTouch[]
  /** Sessions that took one another's place are one chain. */
  chain: number
  /** The absolute timeout counts from here. */
  startedAt: number
  /** A lifetime of its own, and since when. */
  own: Own | undefined
  /** Its owner, also once it has ended. */
  ownedBy: string | undefined
  /** The session has not moved to it yet: it may be left. */
  isCopy: boolean
  /** How often it was updated from outside while it was a copy. */
  counted: number
  /** Why it is no session any more. */
  end: 'replaced' | 'ended' | undefined
  successor: string | undefined
  /** A browser was told its id. */
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
