// Faults of list, listKeys and scan in portions, and of subscribe.
import type { KeyPage, RecordPage, Replaced, SessionRecord } from '../../src/store.ts'
import { broken, type BrokenStore } from './broken-store.ts'
import { PlainStore } from './plain-store.ts'

/** Portions by the number of records before them, as with OFFSET. */
function byOffset(all: readonly SessionRecord[], limit: number, cursor: string | undefined): RecordPage {
  const offset = Number(cursor ?? 0)
  const sorted = [...all].sort((first, second) => (first.key < second.key ? -1 : 1))
  const records = sorted.slice(offset, offset + limit)
  return { records, cursor: records.length < limit ? undefined : String(offset + limit) }
}

const keysOf = ({ records, cursor }: RecordPage): KeyPage => ({ keys: records.map(({ key }) => key), cursor })

class WithOffsets extends PlainStore {
  protected all(takes: (record: SessionRecord) => boolean): SessionRecord[] {
    return [...this.records.values()].filter(takes).map((record) => this.copy(record))
  }
}

export const brokenPortions: readonly BrokenStore[] = [
  broken(
    'list gives an array, as version 0.1 did',
    class extends PlainStore {
      override list(owner: string, now: number): RecordPage {
        // The types forbid it, but stores in JavaScript do it.
        return this.owned(owner, now) as unknown as RecordPage
      }
    },
    "where the store has list, it gives an owner's live records in full, and nobody else's",
  ),
  broken(
    'list gives a page of 50, and no more',
    class extends PlainStore {
      override async list(owner: string, now: number, limit: number): Promise<RecordPage> {
        const page = await super.list(owner, now, Math.min(limit, 50), undefined)
        return { records: page.records, cursor: undefined }
      }
    },
    'where the store has list, portions of any size add up to all records of the owner',
  ),
  broken(
    'list begins anew with each portion',
    class extends PlainStore {
      override list(owner: string, now: number, limit: number): RecordPage | Promise<RecordPage> {
        return super.list(owner, now, limit, undefined)
      }
    },
    'where the store has list, portions of any size add up to all records of the owner',
  ),
  broken(
    'list goes on by a count of those before',
    class extends WithOffsets {
      override list(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage {
        return byOffset(
          this.all((record) => record.owner === owner && record.expiresAt > now),
          limit,
          cursor,
        )
      }
    },
    'where the store has list, a record that lives throughout is listed, whatever comes and goes between portions',
  ),
  broken(
    'list ends where a portion has expired records alone',
    class extends WithOffsets {
      override list(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage {
        const page = this.portion(
          this.all((record) => record.owner === owner),
          limit,
          cursor,
        )
        const records = page.records.filter(({ expiresAt }) => expiresAt > now)
        return { records, cursor: records.length === 0 ? undefined : page.cursor }
      }
    },
    'where the store has list, portions of any size add up to all records of the owner',
  ),
  broken(
    'list gives all at once',
    class extends PlainStore {
      override list(owner: string, now: number): RecordPage | Promise<RecordPage> {
        return super.list(owner, now, Infinity, undefined)
      }
    },
    'where the store has list, portions stay near their limit, however much there is',
  ),
  broken(
    'list gives the cursor that it was given',
    class extends PlainStore {
      override async list(owner: string, now: number, _limit: number, cursor: string | undefined): Promise<RecordPage> {
        const { records } = await super.list(owner, now, Infinity, undefined)
        return { records, cursor: cursor ?? 'the end' }
      }
    },
    'where the store has list, it is empty for an owner without records',
  ),
  broken(
    'listKeys gives all at once',
    class extends PlainStore {
      override listKeys(owner: string, now: number): KeyPage | Promise<KeyPage> {
        return super.listKeys(owner, now, Infinity, undefined)
      }
    },
    'where the store has listKeys, portions stay near their limit, however much there is',
  ),
  broken(
    'listKeys gives a page of 50, and no more',
    class extends PlainStore {
      override async listKeys(owner: string, now: number, limit: number): Promise<KeyPage> {
        const page = await super.listKeys(owner, now, Math.min(limit, 50), undefined)
        return { keys: page.keys, cursor: undefined }
      }
    },
    'where the store has listKeys, portions of any size add up to the keys of all live records of the owner',
  ),
  broken(
    'listKeys gives keys of expired records',
    class extends PlainStore {
      override listKeys(
        owner: string,
        _now: number,
        limit: number,
        cursor: string | undefined,
      ): KeyPage | Promise<KeyPage> {
        return super.listKeys(owner, -Infinity, limit, cursor)
      }
    },
    'where the store has listKeys, portions of any size add up to the keys of all live records of the owner',
  ),
  broken(
    'listKeys trusts an index that is never cleaned',
    class extends PlainStore {
      private readonly index = new Map<string, Set<string>>()

      protected override put(record: SessionRecord): void {
        super.put(record)
        if (record.owner !== undefined)
          this.index.set(record.owner, (this.index.get(record.owner) ?? new Set()).add(record.key))
      }

      override listKeys(owner: string, now: number): KeyPage {
        const keys = [...(this.index.get(owner) ?? [])].filter((key) => this.live(key, now))
        return { keys, cursor: undefined }
      }
    },
    'where the store has listKeys, a record follows its owner, and leaves with an end that takes its owner away',
  ),
  broken(
    'listKeys goes on by a count of those before',
    class extends WithOffsets {
      override listKeys(owner: string, now: number, limit: number, cursor: string | undefined): KeyPage {
        return keysOf(
          byOffset(
            this.all((record) => record.owner === owner && record.expiresAt > now),
            limit,
            cursor,
          ),
        )
      }
    },
    'where the store has listKeys, a record that lives throughout is among them, whatever comes and goes between',
  ),
  broken(
    'scan goes through the index of owners',
    class extends WithOffsets {
      override scan(now: number, limit: number, cursor: string | undefined): RecordPage {
        return this.portion(
          this.all((record) => record.owner !== undefined && record.expiresAt > now),
          limit,
          cursor,
        )
      }
    },
    'where the store has scan, portions of any size come to all live records, of all owners and of none, in full',
  ),
  broken(
    'scan gives expired records',
    class extends PlainStore {
      override scan(_now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
        return super.scan(-Infinity, limit, cursor)
      }
    },
    'where the store has scan, it leaves expired, ended and deleted records out',
  ),
  broken(
    'scan gives all at once',
    class extends PlainStore {
      override scan(now: number): RecordPage | Promise<RecordPage> {
        return super.scan(now, Infinity, undefined)
      }
    },
    'where the store has scan, portions stay near their limit, however much there is',
  ),
  broken(
    'scan goes on by a count of those before',
    class extends WithOffsets {
      override scan(now: number, limit: number, cursor: string | undefined): RecordPage {
        return byOffset(
          this.all((record) => record.expiresAt > now),
          limit,
          cursor,
        )
      }
    },
    'where the store has scan, it comes to a record that lives throughout, whatever comes and goes between portions',
  ),
  broken(
    'subscribe does not hear of deletes',
    class extends PlainStore {
      override delete(key: string): boolean {
        return this.records.delete(key)
      }
    },
    'where the store has subscribe, it announces a delete',
  ),
  broken(
    'subscribe hears of deletes alone',
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced {
        const stored = this.live(record.key, now)
        if (stored?.version !== version) return stored ? 'stale' : 'gone'
        this.put(record)
        return 'done'
      }
    },
    'where the store has subscribe, it announces a replace by an expired record',
    'where the store has subscribe, it announces a replace by an empty record, with and without an owner, of text and of bytes',
  ),
  broken(
    'subscribe takes empty bytes for a session that goes on',
    class extends PlainStore {
      private isEmpty = false

      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        this.isEmpty = typeof record.payload !== 'string'
        const replaced = super.replace(record, version, now)
        this.isEmpty = false
        return replaced
      }

      protected override announce(key: string): void {
        if (!this.isEmpty) super.announce(key)
      }
    },
    'where the store has subscribe, it announces a replace by an empty record, with and without an owner, of text and of bytes',
  ),
  broken(
    'subscribe hears of sweeps',
    class extends PlainStore {
      override deleteExpired(now: number, limit: number): number | Promise<number> {
        for (const { key, expiresAt } of this.records.values()) if (expiresAt <= now) this.announce(key)
        return super.deleteExpired(now, limit)
      }
    },
    'where the store has subscribe, it does not announce a record that merely expires, is swept, or gives way to another',
  ),
  broken(
    'a subscription never ends',
    class extends PlainStore {
      override subscribe(onEnd: (key: string | undefined) => void): () => void {
        super.subscribe(onEnd)
        return () => undefined
      }
    },
    'where the store has subscribe, a subscription that was ended hears no more, and leaves the others',
  ),
  broken(
    'the end of one subscription ends all',
    class extends PlainStore {
      override subscribe(onEnd: (key: string | undefined) => void): () => void {
        super.subscribe(onEnd)
        return () => this.listeners.clear()
      }
    },
    'where the store has subscribe, a subscription that was ended hears no more, and leaves the others',
  ),
]
