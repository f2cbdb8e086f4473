// Converts a record to the values of a statement, and a row to a record.
import { storeFailure, type SessionError } from '../../errors.ts'
import { CorruptRecord, unlessCorrupt, type SessionRecord } from '../../store.ts'
import { base64, fromText, toText } from '../text.ts'

// The columns that the statements name.
const TEXTS = ['key', 'version', 'created_at', 'last_seen_at', 'expires_at'] as const
const TEXTS_OR_NULL = ['owner', 'meta', 'payload', 'payload_bytes'] as const

type Row = Readonly<Record<(typeof TEXTS)[number], string> & Record<(typeof TEXTS_OR_NULL)[number], string | null>>

export type Values = (string | null)[]

export function toValues(record: SessionRecord): Values {
  const { key, version, owner, createdAt, lastSeenAt, expiresAt, meta, payload } = record
  const instants = [createdAt, lastSeenAt, expiresAt].map(String)
  const [text, bytes] = typeof payload === 'string' ? [toText(payload), null] : [null, base64(payload)]
  return [key, String(version), toText(owner), ...instants, toText(meta), text, bytes]
}

/** @throws {CorruptRecord} for a row that holds what no store writes. */
export function toRecord(row: Row): SessionRecord {
  return {
    key: row.key,
    version: whole(row.version),
    // A small Buffer is a view of memory that Node shares, so the record gets a copy.
    payload:
      row.payload === null ? new Uint8Array(Buffer.from(row.payload_bytes ?? '', 'base64')) : fromText(row.payload),
    owner: row.owner === null ? undefined : fromText(row.owner),
    createdAt: whole(row.created_at),
    lastSeenAt: whole(row.last_seen_at),
    expiresAt: whole(row.expires_at),
    meta: row.meta === null ? undefined : fromText(row.meta),
  }
}

/** The live records in rows, without those that cannot be read. */
export function readable(rows: readonly unknown[], now: number): SessionRecord[] {
  const records = rows.map(toRow).flatMap((row) => unlessCorrupt(() => toRecord(row)) ?? [])
  return records.filter(({ expiresAt }) => expiresAt > now)
}

/** @throws {SessionError} for a row without the columns that were asked for, which must not pass for a missing session. */
export function toRow(value: unknown): Row {
  const columns = (value ?? {}) as Readonly<Record<string, unknown>>
  const isText = (column: string) => typeof columns[column] === 'string'
  const isWhole = TEXTS.every(isText) && TEXTS_OR_NULL.every((column) => columns[column] === null || isText(column))
  if (!isWhole) throw otherAnswer()
  return value as Row
}

/** @throws {SessionError} as {@link toRow} does. */
export function keyOf(value: unknown): string {
  const key: unknown = (value as Partial<Row> | null | undefined)?.key
  if (typeof key !== 'string') throw otherAnswer()
  return key
}

/** @throws {SessionError} as {@link toRow} does. */
export function countIn(row: unknown, column: string): number {
  const count: unknown = (row as Readonly<Record<string, unknown>> | undefined)?.[column]
  if (typeof count !== 'string' || !/^\d+$/.test(count)) throw otherAnswer()
  return Number(count)
}

export function otherAnswer(): SessionError {
  return storeFailure(
    'the client of the PostgresStore answered with rows that are no objects with the columns asked for: let it give rows as objects and text as strings',
  )
}

function whole(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new CorruptRecord('a whole number is larger than any that was written')
  return number
}
