// Faults of storing, returning and removing records: lost fields, live references, wrong expiry, wrong answers of delete.
import type { RecordPage, SessionRecord } from '../../src/store.ts'
import { broken, isText, keeping, type BrokenStore } from './broken-store.ts'
import { PlainStore } from './plain-store.ts'

export const brokenReads: readonly BrokenStore[] = [
  broken(
    'expired records are handed out',
    class extends PlainStore {
      override read(key: string): SessionRecord | undefined | Promise<SessionRecord | undefined> {
        return super.read(key, -Infinity)
      }
    },
    'missing, expired and deleted records read alike: undefined',
    'a record is live until the instant before expiresAt, and expired at it',
  ),
  broken(
    'a record still lives at expiresAt',
    class extends PlainStore {
      override read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
        return super.read(key, now - 1)
      }
    },
    'a record is live until the instant before expiresAt, and expired at it',
  ),
  broken(
    "the store's own clock decides",
    class extends PlainStore {
      protected override live(key: string): SessionRecord | undefined {
        return super.live(key, Date.now())
      }
    },
    "the caller's clock alone decides what is expired, also a year behind or ahead of the store's",
  ),
  broken(
    'missing records read as null',
    class extends PlainStore {
      override read(key: string, now: number): SessionRecord | undefined {
        // The types forbid it, but stores in JavaScript do it.
        return (this.live(key, now) ?? null) as SessionRecord | undefined
      }
    },
    'missing, expired and deleted records read alike: undefined',
  ),
  broken(
    'it keeps the object that it was given',
    class extends PlainStore {
      protected override put(record: SessionRecord): void {
        this.records.set(record.key, record)
      }
    },
    'writing to a record after its create changes nothing stored',
    'writing to a record after its replace changes nothing stored',
  ),
  broken(
    'it hands out the object that it keeps',
    class extends PlainStore {
      override read(key: string, now: number): SessionRecord | undefined {
        return this.live(key, now)
      }

      protected override owned(owner: string, now: number): SessionRecord[] {
        return [...this.records.values()].filter((record) => record.owner === owner && record.expiresAt > now)
      }
    },
    'writing to a record that was read changes nothing stored',
    'where the store has list, writing to what was listed changes nothing stored',
  ),
  broken(
    'scan hands out the objects that it keeps',
    class extends PlainStore {
      override scan(now: number, limit: number, cursor: string | undefined): RecordPage {
        const live = [...this.records.values()].filter(({ expiresAt }) => expiresAt > now)
        return this.portion(live, limit, cursor)
      }
    },
    'where the store has scan, writing to what was scanned changes nothing stored',
  ),
  broken(
    'it hands out frozen records over live bytes',
    class extends PlainStore {
      protected override copy(record: SessionRecord): SessionRecord {
        return Object.freeze({ ...record })
      }
    },
    'writing to a record that was read changes nothing stored',
  ),
  broken(
    'it changes records that are already handed out',
    class extends PlainStore {
      override read(key: string, now: number): SessionRecord | undefined {
        return this.live(key, now)
      }

      protected override put(record: SessionRecord): void {
        const stored = this.records.get(record.key)
        if (stored) Object.assign(stored, record)
        else super.put(record)
      }
    },
    'a record that was read stays as it is when the stored one changes',
  ),
  broken(
    'bytes become text',
    keeping((record) => ({
      ...record,
      payload: isText(record.payload) ? record.payload : Buffer.from(record.payload).toString(),
    })),
    'a payload of bytes comes back as the same bytes',
  ),
  broken(
    'bytes become the buffer behind them',
    keeping((record) => ({
      ...record,
      payload: isText(record.payload) ? record.payload : new Uint8Array(record.payload.buffer),
    })),
    'of bytes that are a window on a larger buffer only the window is kept',
  ),
  broken(
    'text becomes bytes',
    keeping((record) => ({ ...record, payload: Buffer.from(record.payload) })),
    'a text payload comes back letter by letter, however odd or empty',
    'a replace may turn a text payload into bytes and back',
  ),
  broken(
    'an empty payload becomes null',
    keeping((record) => ({ ...record, payload: record.payload === '' ? 'null' : record.payload })),
    'a text payload comes back letter by letter, however odd or empty',
  ),
  broken(
    'text is trimmed',
    keeping((record) => ({ ...record, payload: isText(record.payload) ? record.payload.trim() : record.payload })),
    'a text payload comes back letter by letter, however odd or empty',
  ),
  broken(
    'text is cut at 64 kB of UTF-8',
    keeping((record) => ({
      ...record,
      payload: isText(record.payload) ? Buffer.from(record.payload).subarray(0, 65_536).toString() : record.payload,
    })),
    'a text payload of 64 kB comes back whole',
  ),
  broken(
    'bytes are cut at 32 kB',
    keeping((record) => ({
      ...record,
      payload: isText(record.payload) ? record.payload : record.payload.subarray(0, 32_768),
    })),
    'a payload of 64 kB of bytes comes back whole',
  ),
  broken(
    'meta is dropped',
    keeping((record) => ({ ...record, meta: undefined })),
    'a record comes back with all its fields',
    'a meta text comes back letter by letter, however odd',
  ),
  broken(
    'an absent owner becomes an empty one',
    keeping((record) => ({ ...record, owner: record.owner ?? '' })),
    'an absent owner and an absent meta come back as undefined',
  ),
  broken(
    'owners are cut at 64 characters',
    keeping((record) => ({ ...record, owner: record.owner?.slice(0, 64) })),
    'an owner comes back letter by letter, up to 255 characters',
  ),
  broken(
    'instants are kept in seconds',
    keeping((record) => ({ ...record, expiresAt: Math.floor(record.expiresAt / 1000) * 1000 + 1000 })),
    'a record is live until the instant before expiresAt, and expired at it',
  ),
  broken(
    'keys are compared without regard to case',
    class extends PlainStore {
      protected override put(record: SessionRecord): void {
        this.records.set(record.key.toLowerCase(), this.copy(record))
      }

      protected override live(key: string, now: number): SessionRecord | undefined {
        return super.live(key.toLowerCase(), now)
      }
    },
    'keys that look alike are kept apart',
  ),
  broken(
    'delete says false',
    class extends PlainStore {
      override async delete(key: string): Promise<boolean> {
        await super.delete(key)
        return false
      }
    },
    'delete says whether there was a record, and a second one changes nothing',
  ),
  broken(
    'delete always says true',
    class extends PlainStore {
      override delete(key: string): boolean {
        this.records.delete(key)
        return true
      }
    },
    'delete says whether there was a record, and a second one changes nothing',
    'of ten concurrent deletes one is true',
  ),
  broken(
    'delete only says that it deletes',
    class extends PlainStore {
      override delete(key: string): boolean {
        return this.records.has(key)
      }
    },
    'delete says whether there was a record, and a second one changes nothing',
  ),
  broken(
    'delete removes everything of that owner',
    class extends PlainStore {
      override delete(key: string): boolean | Promise<boolean> {
        const owner = this.records.get(key)?.owner
        for (const record of this.records.values())
          if (record.owner === owner && record.key !== key) this.records.delete(record.key)
        return super.delete(key)
      }
    },
    'delete of one record leaves the others',
    'where the store has list, it leaves deleted records out',
  ),
  broken(
    'delete removes only the first version',
    class extends PlainStore {
      override delete(key: string): boolean | Promise<boolean> {
        return this.records.get(key)?.version === 1 && super.delete(key)
      }
    },
    'delete removes a record of any version',
  ),
]
