// Faults that show only with two stores: state that one process keeps to itself.
import { setImmediate as turn } from 'node:timers/promises'
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { brokenBeside, type BrokenStore } from './broken-store.ts'
import { PlainStore, type Listener } from './plain-store.ts'

/** Reads, waits and writes under a lock that holds for this store only, not for its neighbours. */
class LockedStore extends PlainStore {
  private line: Promise<unknown> = Promise.resolve()

  protected inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.line.then(work)
    this.line = done.catch(() => undefined)
    return done
  }

  protected async liveLater(key: string, now: number): Promise<SessionRecord | undefined> {
    const record = this.live(key, now)
    await turn()
    return record
  }
}

export const brokenNeighbours: readonly BrokenStore[] = [
  brokenBeside(
    'each store has a cache of its own',
    class extends PlainStore {
      private readonly cache = new Map<string, SessionRecord>()

      override read(key: string, now: number): SessionRecord | undefined {
        const record = this.cache.get(key) ?? this.live(key, now)
        if (record) this.cache.set(key, record)
        return record && record.expiresAt > now ? this.copy(record) : undefined
      }

      protected override put(record: SessionRecord): void {
        this.cache.delete(record.key)
        super.put(record)
      }

      override delete(key: string): boolean | Promise<boolean> {
        this.cache.delete(key)
        return super.delete(key)
      }
    },
    'what one store writes another over the same data reads at once',
  ),
  brokenBeside(
    'each store remembers which records are missing',
    class extends PlainStore {
      private readonly missing = new Set<string>()

      override read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
        if (!this.records.has(key)) this.missing.add(key)
        return this.missing.has(key) ? undefined : super.read(key, now)
      }

      protected override put(record: SessionRecord): void {
        this.missing.delete(record.key)
        super.put(record)
      }
    },
    'what one store lacked it reads once another has created it',
  ),
  brokenBeside(
    'create is locked within its process only',
    class extends LockedStore {
      override create(record: SessionRecord, now: number): Promise<boolean> {
        return this.inTurn(async () => {
          if (await this.liveLater(record.key, now)) return false
          this.put(record)
          return true
        })
      }
    },
    'of concurrent creates of one key by two stores one wins',
  ),
  brokenBeside(
    'replace is locked within its process only',
    class extends LockedStore {
      override replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
        return this.inTurn(async () => {
          const stored = await this.liveLater(record.key, now)
          if (!stored) return 'gone'
          if (stored.version !== version) return 'stale'
          this.put(record)
          return 'done'
        })
      }

      override delete(key: string): Promise<boolean> {
        return this.inTurn(() => super.delete(key))
      }
    },
    'of concurrent replaces of one version by two stores one is done',
    'a record that one store deletes while another replaces or touches it stays deleted',
  ),
  brokenBeside(
    'each store has an index of its own',
    class extends PlainStore {
      private readonly index = new Map<string, Set<string>>()

      protected override put(record: SessionRecord): void {
        super.put(record)
        const keys = this.index.get(record.owner ?? '') ?? new Set()
        this.index.set(record.owner ?? '', keys.add(record.key))
      }

      protected override owned(owner: string, now: number): SessionRecord[] {
        const records = [...(this.index.get(owner) ?? [])].map((key) => this.live(key, now))
        return records.filter((record) => record !== undefined).map((record) => this.copy(record))
      }
    },
    'where both have list, one lists what the other writes, and no more what the other ends',
  ),
  brokenBeside(
    'each store announces to itself alone',
    class extends PlainStore {
      protected override readonly listeners = new Set<Listener>()
    },
    'where one has subscribe, it hears of what the other ends',
  ),
]
