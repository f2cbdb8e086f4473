// Faults that show with large, odd or many values: values that are cut off, wrap around or get lost, and limits that run out.
import type { Replaced, SessionRecord } from '../../src/store.ts'
import { broken, isText, keeping, type BrokenStore } from './broken-store.ts'
import { PlainStore, type Touch } from './plain-store.ts'

export const brokenLimits: readonly BrokenStore[] = [
  broken(
    'payloads are cut at 128 kB',
    keeping((record) => ({ ...record, payload: record.payload.slice(0, 131_072) })),
    'a payload of 300 kB comes back whole, as text and as bytes',
  ),
  broken(
    'meta is cut at 255 characters',
    keeping((record) => ({ ...record, meta: record.meta?.slice(0, 255) })),
    'a meta text of 2000 characters comes back whole',
  ),
  ...[8, 16].map((bits) =>
    broken(
      `versions are kept in ${bits} bits`,
      class extends PlainStore {
        protected override put(record: SessionRecord): void {
          super.put({ ...record, version: record.version % 2 ** bits })
        }

        override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
          return super.replace(record, version % 2 ** bits, now)
        }
      },
      'versions are whole numbers of more than 16 bits',
    ),
  ),
  broken(
    'NUL is dropped from text',
    keeping((record) => ({
      ...record,
      payload: isText(record.payload) ? record.payload.replaceAll('\0', '') : record.payload,
      owner: record.owner?.replaceAll('\0', ''),
    })),
    'a text payload comes back letter by letter, however odd or empty',
    'an owner comes back letter by letter, up to 255 characters',
  ),
  broken(
    'text is kept in UTF-8, which has no half of a surrogate pair',
    keeping((record) => ({
      ...record,
      payload: isText(record.payload) ? Buffer.from(record.payload).toString() : record.payload,
      owner: record.owner === undefined ? undefined : Buffer.from(record.owner).toString(),
      meta: record.meta === undefined ? undefined : Buffer.from(record.meta).toString(),
    })),
    'a text payload comes back letter by letter, however odd or empty',
    'a meta text comes back letter by letter, however odd',
    'an owner comes back letter by letter, up to 255 characters',
    'where the store has list, owners that look alike are kept apart',
  ),
  broken(
    "delete goes by the store's own clock",
    class extends PlainStore {
      override delete(key: string): boolean | Promise<boolean> {
        return super.live(key, Date.now()) !== undefined && super.delete(key)
      }
    },
    'a record that is live by the clock of a caller a year behind can be deleted',
  ),
  broken(
    'only create sets the time to live, and nothing moves it',
    class extends PlainStore {
      private readonly ends = new Map<string, number>()

      override create(record: SessionRecord, now: number): boolean | Promise<boolean> {
        const isMade = super.create(record, now)
        if (isMade === true) this.ends.set(record.key, Date.now() + record.expiresAt - now)
        return isMade
      }

      protected override live(key: string, now: number): SessionRecord | undefined {
        if ((this.ends.get(key) ?? Infinity) <= Date.now()) this.records.delete(key)
        return super.live(key, now)
      }
    },
    "a touch and a replace that move a record's end move a time to live of the store's own, too",
  ),
  broken(
    "touch ends a record by the store's own clock",
    class extends PlainStore {
      override touch(...given: Touch): boolean | Promise<boolean> {
        const answer = super.touch(...given)
        if (answer === true && given[3] <= Date.now()) this.records.delete(given[0])
        return answer
      }
    },
    "the caller's clock alone decides after a touch and a replace, too, a year behind or ahead",
  ),
  broken(
    "replace ends a record by the store's own clock",
    class extends PlainStore {
      override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
        const answer = super.replace(record, version, now)
        if (answer === 'done' && record.expiresAt <= Date.now()) this.records.delete(record.key)
        return answer
      }
    },
    "the caller's clock alone decides after a touch and a replace, too, a year behind or ahead",
  ),
  broken(
    'instants are kept in 32 bits of seconds',
    keeping((record) => ({ ...record, expiresAt: Math.min(record.expiresAt, 2 ** 31 * 1000) })),
    'instants after the year 2038 come back to the millisecond',
  ),
  broken(
    'read throws once it was called too often',
    class extends PlainStore {
      private calls = 0

      override read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
        if (++this.calls > 4000) throw new Error('no more cursors')
        return super.read(key, now)
      }
    },
    'of thousands of reads all are answered, a hundred at a time',
  ),
]
