// The core leaves an empty record wherever a session ends or gets a new id: stores that spoil, reuse or sweep one. And an index that
// knows the beginning of an owner alone.
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { broken, keeping, type BrokenStore } from './broken-store.ts'
import { PlainStore } from './plain-store.ts'

const isEmpty = (record: SessionRecord | undefined): boolean => record?.payload.length === 0

export const brokenEnds: readonly BrokenStore[] = [
  broken(
    'meta is dropped beside an empty payload',
    keeping((record) => (isEmpty(record) ? { ...record, meta: undefined } : record)),
    'a meta text comes back letter by letter, however odd',
  ),
  broken(
    'create takes the place of an empty record',
    class extends PlainStore {
      override create(record: SessionRecord, now: number): boolean {
        const held = this.live(record.key, now)
        if (held !== undefined && !isEmpty(held)) return false
        this.put(record)
        return true
      }
    },
    'create refuses a key that a live record holds, and leaves that record as it was',
  ),
  broken(
    'replace of an empty record is gone',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        return isEmpty(this.live(record.key, now)) ? 'gone' : super.replace(record, version, now)
      }
    },
    'replace puts all fields of the new record in the place of the old ones',
  ),
  broken(
    'deleteExpired removes empty records that are live',
    class extends PlainStore {
      override deleteExpired(now: number, limit: number): number {
        const due = [...this.records.values()].filter((record) => record.expiresAt <= now || isEmpty(record))
        return due.slice(0, limit).filter(({ key }) => this.records.delete(key)).length
      }
    },
    'where the store has deleteExpired, it leaves the live records',
  ),
  broken(
    'the index knows the first 200 characters of an owner',
    class extends PlainStore {
      protected override owned(owner: string, now: number): SessionRecord[] {
        const live = [...this.records.values()].filter(({ expiresAt }) => expiresAt > now)
        return live.filter((record) => record.owner?.slice(0, 200) === owner.slice(0, 200))
      }
    },
    'where the store has list, owners that look alike are kept apart',
  ),
]
