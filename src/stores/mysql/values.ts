// Converts records to columns and back. A server without strict mode truncates and rounds values silently, so no value that it
// would change is sent; and a row that is no record is not taken for one.
import { isUtf8 } from 'node:buffer'
import { CorruptRecord, type SessionRecord } from '../../store.ts'
import { fromText, present, toText } from '../text.ts'

/** A value for the server. Never text, for which character sets and quoting rules would matter. */
export type Value = Buffer | number | null

/** A row of the table, as mysql2 gives it with the query options of sender.ts. */
export type Row = Readonly<Record<Column, unknown>>

type Column =
  'key' | 'version' | 'owner' | 'created_at' | 'last_seen_at' | 'expires_at' | 'meta' | 'payload' | 'payload_bytes'

// The sizes of the columns, in bytes. The limit of a payload is the server's max_allowed_packet.
const LONGEST = { key: 255, owner: 1600, meta: 16_777_215 }

/** The columns from the version on, in the order of the statements. Bytes are copied: the caller may write to them later. */
export function recordValues(record: SessionRecord): Value[] {
  const { version, payload, owner, createdAt, lastSeenAt, expiresAt, meta } = record
  return [
    whole('version', version),
    owner === undefined ? null : fitting('owner', owner),
    whole('createdAt', createdAt),
    whole('lastSeenAt', lastSeenAt),
    whole('expiresAt', expiresAt),
    meta === undefined ? null : fitting('meta', meta),
    ...(typeof payload === 'string' ? [Buffer.from(toText(payload)), null] : [null, Buffer.from(payload)]),
  ]
}

/** @throws {CorruptRecord} for a row that this store has not written. */
export function toRecord(row: Row): SessionRecord {
  return {
    key: text(row.key),
    version: number(row.version),
    // A Buffer from mysql2 may be a view of shared memory, so the record gets a copy.
    payload: row.payload === null ? new Uint8Array(bytes(present(row.payload_bytes) ?? '')) : text(row.payload),
    owner: row.owner === null ? undefined : text(row.owner),
    createdAt: number(row.created_at),
    lastSeenAt: number(row.last_seen_at),
    expiresAt: number(row.expires_at),
    meta: row.meta === null ? undefined : text(row.meta),
  }
}

export function bytes(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (typeof present(value) === 'string') return Buffer.from(value as string)
  throw new CorruptRecord('a column holds no bytes')
}

export function text(value: unknown): string {
  const encoded = bytes(value)
  if (!isUtf8(encoded)) throw new CorruptRecord('a column holds no text')
  return fromText(encoded.toString())
}

/** A value as a literal. Hexadecimal digits mean the same under every sql_mode and character set. */
export function literal(value: Value): string {
  if (value === null) return 'NULL'
  if (typeof value !== 'number') return `X'${value.toString('hex')}'`
  if (!Number.isFinite(value)) throw new RangeError('a number that is not finite has no place in a statement')
  return String(value)
}

/** A statement with its values in place of its question marks; its text has no other question marks. */
export function withLiterals(sql: string, values: readonly Value[]): string {
  let at = 0
  return sql.replaceAll('?', () => literal(values[at++] ?? null))
}

/** Whole numbers come as text. One of 2^53 or more would be rounded to another number, so it is corrupt. */
function number(value: unknown): number {
  const parsed = Number(present(value))
  if (value === null || !Number.isSafeInteger(parsed)) throw new CorruptRecord('a column holds no whole number')
  return parsed
}

function whole(field: string, value: number): number {
  if (Number.isSafeInteger(value)) return value
  throw new RangeError(`the ${field} of a record must be a whole number below 2^53`)
}

/** A text for its column. @throws {RangeError} if the column is too short for it. */
export function fitting(field: keyof typeof LONGEST, value: string): Buffer {
  const encoded = Buffer.from(toText(value))
  if (encoded.length <= LONGEST[field]) return encoded
  throw new RangeError(`the ${field} of a record takes ${encoded.length} bytes, of ${LONGEST[field]} at most`)
}
