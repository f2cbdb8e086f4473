// Faults of create, replace and touch.
import { setImmediate as turn } from 'node:timers/promises'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { broken, isText, type BrokenStore } from './broken-store.ts'
import { PlainStore, type Touch } from './plain-store.ts'

export const brokenWrites: readonly BrokenStore[] = [
  broken(
    'create overwrites a live record',
    class extends PlainStore {
      override create(record: SessionRecord): boolean {
        this.put(record)
        return true
      }
    },
    'create refuses a key that a live record holds, and leaves that record as it was',
    'of ten concurrent creates of one key one wins, and its record is the stored one',
  ),
  broken(
    'create says false but has written',
    class extends PlainStore {
      override create(record: SessionRecord, now: number): boolean {
        const taken = this.live(record.key, now) !== undefined
        this.put(record)
        return !taken
      }
    },
    'create refuses a key that a live record holds, and leaves that record as it was',
  ),
  broken(
    'create refuses a key that an expired record holds',
    class extends PlainStore {
      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        return !this.records.has(record.key) && super.create(record, now)
      }
    },
    'create takes the place of an expired record',
    'of ten concurrent creates over an expired record one wins',
  ),
  broken(
    'create looks, waits, and writes',
    class extends PlainStore {
      override async create(record: SessionRecord, now: number): Promise<boolean> {
        if (this.live(record.key, now)) return false
        await turn()
        this.put(record)
        return true
      }
    },
    'of ten concurrent creates of one key one wins, and its record is the stored one',
  ),
  broken(
    'replace ignores the version',
    class extends PlainStore {
      override replace(record: SessionRecord, _version: number, now: number): Replaced {
        if (!this.live(record.key, now)) return 'gone'
        this.put(record)
        return 'done'
      }
    },
    'replace of a version that is no longer stored is stale and writes nothing',
    'replace of a version that is not stored yet is stale and writes nothing',
    'of ten concurrent replaces of one version one is done, and its record is the stored one',
  ),
  broken(
    'replace refuses only versions that are too low',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        return super.replace(record, Math.min(version, this.live(record.key, now)?.version ?? version), now)
      }
    },
    'replace of a version that is not stored yet is stale and writes nothing',
  ),
  broken(
    'replace inserts what is missing',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        if (!this.live(record.key, now)) this.put(record)
        return super.replace(record, version, now)
      }
    },
    'replace of a missing record is gone and inserts nothing',
    'replace of a deleted record is gone and revives nothing',
    'a record deleted while it is replaced stays deleted',
  ),
  broken(
    'replace revives an expired record',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number): Replaced | Promise<Replaced> {
        return super.replace(record, version, -Infinity)
      }
    },
    'replace of an expired record is gone and revives nothing',
  ),
  broken(
    'replace says stale of an expired record',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        const stored = this.records.get(record.key)
        return stored && stored.version !== version ? 'stale' : super.replace(record, version, now)
      }
    },
    'replace of an expired record is gone whatever the version',
  ),
  broken(
    'replace compares, waits, and sets',
    class extends PlainStore {
      override async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
        const stored = this.live(record.key, now)
        if (!stored) return 'gone'
        if (stored.version !== version) return 'stale'
        await turn()
        this.put(record)
        return 'done'
      }
    },
    'of ten concurrent replaces of one version one is done, and its record is the stored one',
    'ten writers that try again after a stale replace are all counted',
    'a record deleted while it is replaced stays deleted',
  ),
  broken(
    'replace keeps the later of two last uses',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        const lastSeenAt = Math.max(record.lastSeenAt, this.records.get(record.key)?.lastSeenAt ?? 0)
        return super.replace({ ...record, lastSeenAt }, version, now)
      }
    },
    'replace puts all fields of the new record in the place of the old ones',
  ),
  broken(
    'replace keeps the old owner, meta and creation',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        const { owner, meta, createdAt } = this.records.get(record.key) ?? record
        return super.replace({ ...record, owner, meta, createdAt }, version, now)
      }
    },
    'replace puts all fields of the new record in the place of the old ones',
    'replace takes owner and meta away where the new record has none',
    'where the store has list, a record follows its owner when a replace gives it to another',
  ),
  broken(
    'replace never shortens a life',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        const before = this.records.get(record.key)?.expiresAt ?? 0
        return super.replace({ ...record, expiresAt: Math.max(before, record.expiresAt) }, version, now)
      }
    },
    'replace may bring the end of a record nearer',
    'replace by a record that is already expired ends the session',
  ),
  broken(
    'touch revives an expired record',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt]: Touch): boolean | Promise<boolean> {
        return super.touch(key, version, lastSeenAt, expiresAt, -Infinity)
      }
    },
    'touch of an expired record is false and revives nothing',
  ),
  broken(
    'touch raises the version',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean {
        const stored = this.live(key, now)
        if (stored?.version !== version) return false
        if (lastSeenAt >= stored.lastSeenAt) this.put({ ...stored, lastSeenAt, expiresAt, version: version + 1 })
        return true
      }
    },
    'touch moves lastSeenAt and expiresAt, and nothing else',
    'a touch at the same time takes nothing from a replace',
  ),
  broken(
    'touch ignores the version',
    class extends PlainStore {
      override touch(...[key, , lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        return super.touch(key, this.records.get(key)?.version ?? 0, lastSeenAt, expiresAt, now)
      }
    },
    'touch of a version that is not the stored one is false and writes nothing',
  ),
  broken(
    'touch goes back in time',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean {
        const stored = this.live(key, now)
        if (stored?.version !== version) return false
        this.put({ ...stored, lastSeenAt, expiresAt })
        return true
      }
    },
    'touch with an older lastSeenAt changes nothing and is true',
    'of ten concurrent touches the latest instant stands',
  ),
  broken(
    'touch reads, waits, and writes the whole record',
    class extends PlainStore {
      override async touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): Promise<boolean> {
        const stored = this.live(key, now)
        if (stored?.version !== version) return false
        await turn()
        if (lastSeenAt >= stored.lastSeenAt) this.put({ ...stored, lastSeenAt, expiresAt })
        return true
      }
    },
    'a touch at the same time takes nothing from a replace',
    'a record deleted while it is touched stays deleted',
    'of ten concurrent touches the latest instant stands',
  ),
  broken(
    'touch drops the payload when it is bytes',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        const stored = this.live(key, now)
        if (stored && !isText(stored.payload)) this.put({ ...stored, payload: '' })
        return super.touch(key, version, lastSeenAt, expiresAt, now)
      }
    },
    'touch moves lastSeenAt and expiresAt, and nothing else',
  ),
  broken(
    'a deleted key is never free again',
    class extends PlainStore {
      private readonly buried = new Set<string>()

      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        return !this.buried.has(record.key) && super.create(record, now)
      }

      override delete(key: string): boolean | Promise<boolean> {
        this.buried.add(key)
        return super.delete(key)
      }
    },
    'create takes the place of a deleted record',
  ),
  broken(
    'touch never shortens a life',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        return super.touch(key, version, lastSeenAt, Math.max(expiresAt, this.records.get(key)?.expiresAt ?? 0), now)
      }
    },
    'touch may bring the end of a record nearer',
  ),
  broken(
    'touch takes the same instant for an older one',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        return this.records.get(key)?.lastSeenAt === lastSeenAt || super.touch(key, version, lastSeenAt, expiresAt, now)
      }
    },
    'touch moves expiresAt when lastSeenAt is the stored one',
  ),
  broken(
    'touch inserts what is missing',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        const empty = { key, version, payload: '', owner: undefined, createdAt: lastSeenAt, lastSeenAt, expiresAt }
        if (!this.records.has(key)) this.put(empty)
        return super.touch(key, version, lastSeenAt, expiresAt, now)
      }
    },
    'touch of a missing or deleted record is false and inserts nothing',
    'a record deleted while it is touched stays deleted',
  ),
]
