// Faults of writes with a wrong answer, or undone by a concurrent call.
import { setImmediate as turn } from 'node:timers/promises'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { broken, type BrokenStore } from './broken-store.ts'
import { PlainStore, type Touch } from './plain-store.ts'

export const brokenAnswers: readonly BrokenStore[] = [
  broken(
    'replace takes a row that stays as it is for a missing one',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        const { payload, owner, meta } = this.records.get(record.key) ?? {}
        const isSame = payload === record.payload && owner === record.owner && meta === record.meta
        return isSame ? 'gone' : super.replace(record, version, now)
      }
    },
    'replace by a record that differs in its version alone is done',
  ),
  broken(
    'touch takes a row that stays as it is for a missing one',
    class extends PlainStore {
      override touch(...[key, version, lastSeenAt, expiresAt, now]: Touch): boolean | Promise<boolean> {
        const stored = this.records.get(key)
        const isSame = stored?.lastSeenAt === lastSeenAt && stored.expiresAt === expiresAt
        return !isSame && super.touch(key, version, lastSeenAt, expiresAt, now)
      }
    },
    'touch with the instants that are stored is true',
  ),
  broken(
    'replaces of one key wait for one another, and deletes and creates for none',
    class extends PlainStore {
      private line: Promise<unknown> = Promise.resolve()

      override replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
        const done = this.line.then(async (): Promise<Replaced> => {
          const stored = this.live(record.key, now)
          await turn()
          if (!stored || !this.records.has(record.key)) return 'gone'
          if (stored.version !== version) return 'stale'
          this.put(record)
          return 'done'
        })
        this.line = done
        return done
      }

      override async delete(key: string): Promise<boolean> {
        await turn()
        return super.delete(key)
      }

      override async create(record: SessionRecord, now: number): Promise<boolean> {
        await turn()
        return super.create(record, now)
      }
    },
    'a replace leaves a record that took the place of its own meanwhile',
  ),
  broken(
    'a read under way fills a cache that a delete has emptied',
    class extends PlainStore {
      private readonly cache = new Map<string, SessionRecord>()

      override async read(key: string, now: number): Promise<SessionRecord | undefined> {
        const cached = this.cache.get(key)
        if (cached) return cached.expiresAt > now ? this.copy(cached) : undefined
        await turn()
        const record = this.live(key, now)
        if (record) this.cache.set(key, record)
        return record && this.copy(record)
      }

      override async delete(key: string): Promise<boolean> {
        this.cache.delete(key)
        await turn()
        return super.delete(key)
      }

      protected override put(record: SessionRecord): void {
        this.cache.delete(record.key)
        super.put(record)
      }
    },
    'a read at the same time makes nobody read what was before a delete, a replace or a touch',
  ),
]
