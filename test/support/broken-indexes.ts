// Faults of the index by owner, of sweeping and of closing.
import { setImmediate as turn } from 'node:timers/promises'
import type { Replaced, SessionRecord, SessionStore } from '../../src/store.ts'
import { broken, type BrokenStore } from './broken-store.ts'
import { PlainStore, type Touch } from './plain-store.ts'

/** A fault of the index by owner, given as a function that decides whether a record is in the owner's list. */
function listing(takes: (record: SessionRecord, owner: string, now: number) => boolean): new () => SessionStore {
  return class extends PlainStore {
    protected override owned(owner: string, now: number): SessionRecord[] {
      return [...this.records.values()].filter((record) => takes(record, owner, now)).map((record) => this.copy(record))
    }
  }
}

/** Keeps a separate index, owner -> keys, as a store over keys and values must. */
class IndexedStore extends PlainStore {
  protected readonly index = new Map<string, readonly string[]>()

  protected override put(record: SessionRecord): void {
    super.put(record)
    if (record.owner !== undefined) this.enter(record.owner, record.key)
  }

  protected enter(owner: string, key: string): void {
    this.index.set(owner, [...new Set([...(this.index.get(owner) ?? []), key])])
  }

  protected *indexed(owner: string, now: number): Generator<SessionRecord> {
    for (const key of this.index.get(owner) ?? []) {
      const record = this.live(key, now)
      if (record) yield this.copy(record)
    }
  }

  protected override owned(owner: string, now: number): SessionRecord[] | Promise<SessionRecord[]> {
    return [...this.indexed(owner, now)].filter((record) => record.owner === owner)
  }
}

export const brokenIndexes: readonly BrokenStore[] = [
  broken(
    'list gives expired records',
    listing((record, owner) => record.owner === owner),
    'where the store has list, it leaves expired records out',
    'where the store has list, it leaves records out that a replace has ended',
  ),
  broken(
    'list matches owners without regard to case',
    listing((record, owner, now) => record.owner?.toLowerCase() === owner.toLowerCase() && record.expiresAt > now),
    'where the store has list, owners that look alike are kept apart',
  ),
  broken(
    'list matches the beginning of an owner',
    listing((record, owner, now) => record.owner?.startsWith(owner) === true && record.expiresAt > now),
    'where the store has list, owners that look alike are kept apart',
  ),
  broken(
    'list normalises owners',
    listing((record, owner, now) => record.owner?.normalize() === owner.normalize() && record.expiresAt > now),
    'where the store has list, owners that look alike are kept apart',
  ),
  broken(
    'list gives all records',
    listing((record, _owner, now) => record.expiresAt > now),
    "where the store has list, it gives an owner's live records in full, and nobody else's",
    'where the store has list, it is empty for an owner without records',
  ),
  broken(
    'list gives keys in place of records',
    class extends PlainStore {
      protected override async owned(owner: string, now: number): Promise<SessionRecord[]> {
        return (await super.owned(owner, now)).map((record) => ({ ...record, payload: '' }))
      }
    },
    "where the store has list, it gives an owner's live records in full, and nobody else's",
  ),
  broken(
    'deleteExpired removes live records',
    class extends PlainStore {
      override deleteExpired(_now: number, limit: number): number | Promise<number> {
        return super.deleteExpired(Infinity, limit)
      }
    },
    'where the store has deleteExpired, it leaves the live records',
  ),
  broken(
    'deleteExpired leaves what expires this instant',
    class extends PlainStore {
      override deleteExpired(now: number, limit: number): number | Promise<number> {
        return super.deleteExpired(now - 1, limit)
      }
    },
    'where the store has deleteExpired, it removes the expired records',
  ),
  broken(
    'deleteExpired ignores its limit',
    class extends PlainStore {
      override deleteExpired(now: number): number | Promise<number> {
        return super.deleteExpired(now, Infinity)
      }
    },
    'where the store has deleteExpired, it stays within its limit, and its counts add up to what was there',
  ),
  broken(
    'deleteExpired removes all and reports its limit',
    class extends PlainStore {
      override async deleteExpired(now: number, limit: number): Promise<number> {
        return Math.min(limit, await super.deleteExpired(now, Infinity))
      }
    },
    'where the store has deleteExpired, it stays within its limit, and its counts add up to what was there',
  ),
  broken(
    'a second close throws',
    class extends PlainStore {
      private closed = false

      override close(): void {
        if (this.closed) throw new Error('already closed')
        this.closed = true
      }
    },
    'where the store has close, a second close does nothing (this check closes its store, and is the last one)',
  ),
  broken(
    'list trusts an index that is never cleaned',
    class extends IndexedStore {
      protected override owned(owner: string, now: number): SessionRecord[] {
        return [...this.indexed(owner, now)]
      }
    },
    'where the store has list, a record follows its owner when a replace gives it to another',
    'where the store has list, a replace may give an owner to an anonymous record and take it away again',
    'where the store has list, a key that is created anew belongs to its new owner only',
  ),
  broken(
    'the index is written before the version is compared',
    class extends IndexedStore {
      protected override owned(owner: string, now: number): SessionRecord[] {
        return [...this.indexed(owner, now)]
      }

      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        if (record.owner !== undefined) this.enter(record.owner, record.key)
        return super.replace(record, version, now)
      }
    },
    'where the store has list, a refused create or replace changes no index',
  ),
  broken(
    'two writers of one index lose an entry',
    class extends IndexedStore {
      override async create(record: SessionRecord, now: number): Promise<boolean> {
        const before = this.index.get(record.owner ?? '') ?? []
        await turn()
        const done = await super.create(record, now)
        if (done && record.owner !== undefined) this.index.set(record.owner, [...before, record.key])
        return done
      }
    },
    'where the store has list, of ten sessions that one owner opens at once all are listed',
  ),
  broken(
    'the index is written after the record',
    class extends IndexedStore {
      protected override enter(owner: string, key: string): void {
        void turn().then(() => super.enter(owner, key))
      }

      override async create(record: SessionRecord, now: number): Promise<boolean> {
        const done = await super.create(record, now)
        await turn()
        return done
      }

      override async replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
        const done = await super.replace(record, version, now)
        await turn()
        return done
      }
    },
    'where the store has list, a record that can be read is listed, also while its create or replace is under way',
  ),
  broken(
    'the index expires with the record that was written last',
    class extends IndexedStore {
      private readonly ends = new Map<string, number>()

      protected override put(record: SessionRecord): void {
        super.put(record)
        this.ends.set(record.owner ?? '', record.expiresAt)
      }

      protected override owned(owner: string, now: number): SessionRecord[] | Promise<SessionRecord[]> {
        return (this.ends.get(owner) ?? 0) > now ? super.owned(owner, now) : []
      }
    },
    'where the store has list, a record that outlives the ones before it in the index stays listed',
  ),
  broken(
    'list does not follow a touch',
    class extends PlainStore {
      private readonly listed = new Map<string, SessionRecord>()

      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        const before = this.records.get(key)
        if (before) this.listed.set(key, before)
        return super.touch(key, version, lastSeenAt, expiresAt, now)
      }

      protected override async owned(owner: string, now: number): Promise<SessionRecord[]> {
        return (await super.owned(owner, now)).map((record) => this.listed.get(record.key) ?? record)
      }
    },
    'where the store has list, it shows the instants that a touch moved, and keeps the record listed until then',
  ),
  broken(
    'deleteExpired goes by the end that a record had at first',
    class extends PlainStore {
      private readonly ends = new Map<string, number>()

      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        this.ends.set(record.key, record.expiresAt)
        return super.create(record, now)
      }

      override deleteExpired(now: number, limit: number): number {
        let count = 0
        for (const [key, end] of this.ends)
          if (count < limit && end <= now && this.ends.delete(key) && this.records.delete(key)) count++
        return count
      }
    },
    'where the store has deleteExpired, it leaves a record whose end was moved away',
    'where the store has deleteExpired, it removes a record whose end was brought nearer',
  ),
  broken(
    'list gives records as they were created',
    class extends PlainStore {
      private readonly first = new Map<string, SessionRecord>()

      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        this.first.set(record.key, record)
        return super.create(record, now)
      }

      protected override async owned(owner: string, now: number): Promise<SessionRecord[]> {
        return (await super.owned(owner, now)).map((record) => this.first.get(record.key) ?? record)
      }
    },
    'where the store has list, it shows the newest version after a replace',
  ),
  broken(
    'deletes at the same time write an old index back',
    class extends PlainStore {
      private readonly index = new Map<string, SessionRecord[]>()

      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        this.index.set(record.owner ?? '', [...(this.index.get(record.owner ?? '') ?? []), record])
        return super.create(record, now)
      }

      override async delete(key: string): Promise<boolean> {
        const owner = this.records.get(key)?.owner ?? ''
        const rest = (this.index.get(owner) ?? []).filter((record) => record.key !== key)
        await turn()
        this.index.set(owner, rest)
        return super.delete(key)
      }

      protected override owned(owner: string): SessionRecord[] {
        return this.index.get(owner) ?? []
      }
    },
    'where the store has list, of ten sessions that are deleted at once none is listed',
  ),
  broken(
    'list reads record by record, and leaves out what has moved meanwhile',
    class extends IndexedStore {
      protected override async owned(owner: string, now: number): Promise<SessionRecord[]> {
        const records: SessionRecord[] = []
        for (const key of this.index.get(owner) ?? []) {
          await turn()
          const record = this.live(key, now)
          if (record?.owner === owner) records.push(this.copy(record))
        }
        return records
      }
    },
    'where the store has list, a portion that is the only one shows a session that moves to another key',
  ),
  broken(
    'a sweep reads first and deletes later, whatever happened between',
    class extends PlainStore {
      override async deleteExpired(now: number, limit: number): Promise<number> {
        const expired = [...this.records.values()].filter(({ expiresAt }) => expiresAt <= now).slice(0, limit)
        await turn()
        return expired.filter(({ key }) => this.records.delete(key)).length
      }
    },
    'where the store has deleteExpired, it leaves a record that comes, or whose end is moved away, while it runs',
  ),
]
