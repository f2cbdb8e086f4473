// Rows of a SQLite table. Its columns take values of any type, and a row that is no record must not pass for one.
import { CorruptRecord, type SessionRecord } from '../../store.ts'
import { fromText, present } from '../text.ts'

// Any value that an app, a disk fault or a manual edit may have left in a column. node:sqlite gives bytes as a Uint8Array,
// better-sqlite3 as a Buffer, libsql as a Buffer or an ArrayBuffer.
export type Stored = string | number | bigint | boolean | Uint8Array | ArrayBuffer | null | undefined

export type Row = Readonly<Record<string, Stored>>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws {CorruptRecord} for a row that holds what no store writes. */
export function toRecord(row: Row): SessionRecord {
  return {
    key: toKey(row),
    version: toWhole(row['version']),
    payload: toPayload(row['payload'], row['is_text']),
    owner: toOptional(row['owner']),
    createdAt: toWhole(row['created_at']),
    lastSeenAt: toWhole(row['last_seen_at']),
    expiresAt: toWhole(row['expires_at']),
    meta: toOptional(row['meta']),
  }
}

/** @throws {CorruptRecord} */
export function toKey(row: Row): string {
  return rawText(row['key'])
}

/** The version in a row; NaN, which equals nothing, if there is none. */
export function versionIn(row: Row): number {
  const { version } = row as { version?: Stored }
  return typeof version === 'number' || typeof version === 'bigint' ? Number(version) : NaN
}

function toWhole(value: Stored): number {
  const number = typeof value === 'bigint' ? Number(value) : present(value)
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number
  throw new CorruptRecord('a column of whole numbers holds something else')
}

function toOptional(value: Stored): string | undefined {
  return value === null ? undefined : fromText(rawText(value))
}

function toPayload(value: Stored, isText: Stored): string | Uint8Array {
  if (typeof value === 'string') return fromText(value)
  // A number, which no store writes, becomes text that cannot be read as a payload.
  if (typeof value !== 'object' || value === null) return String(present(value))
  return Number(isText ?? 0) === 1 ? fromText(rawText(value)) : new Uint8Array(bytesOf(value))
}

function rawText(value: Stored): string {
  if (typeof value === 'string') return value
  const bytes = present(value)
  if (typeof bytes !== 'object' || bytes === null) throw new CorruptRecord('a column of text holds something else')
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new CorruptRecord('a text is no UTF-8', { cause })
  }
}

function bytesOf(value: Uint8Array | ArrayBuffer): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(value)
}
