// Stores that ask their own clock beside the caller's.
import type { RecordPage, SessionRecord } from '../../src/store.ts'
import { broken, type BrokenStore } from './broken-store.ts'
import { PlainStore } from './plain-store.ts'

export const brokenClocks: readonly BrokenStore[] = [
  broken(
    "create takes a key for free by the store's own clock",
    class extends PlainStore {
      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        return super.create(record, Math.max(now, Date.now()))
      }
    },
    "the caller's clock alone decides what is expired, also a year behind or ahead of the store's",
  ),
  broken(
    "list leaves out what has expired by the store's own clock",
    class extends PlainStore {
      protected override owned(owner: string, now: number): SessionRecord[] | Promise<SessionRecord[]> {
        return super.owned(owner, Math.max(now, Date.now()))
      }
    },
    'where the store has list, it leaves expired records out',
  ),
  broken(
    "scan leaves out what has expired by the store's own clock",
    class extends PlainStore {
      override scan(now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
        return super.scan(Math.max(now, Date.now()), limit, cursor)
      }
    },
    'where the store has scan, it leaves expired, ended and deleted records out',
  ),
]
