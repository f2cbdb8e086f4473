// Estimates the memory of texts and records, and copies texts so that they take no more.
import type { SessionRecord } from '../../store.ts'

// V8 makes a slice of at least this many characters by pointing into the longer text, which keeps all of that alive.
const SHORTEST_SLICE = 13

/** A copy that keeps no other text alive. */
export function ownText(text: string | undefined): string | undefined {
  if (text === undefined || text.length < SHORTEST_SLICE) return text
  // UTF-16 keeps every text, even with lone surrogates.
  const encoding = isAscii(text) ? 'latin1' : 'utf16le'
  return Buffer.from(text, encoding).toString(encoding)
}

// Measured and rounded up: the headers of two strings, the cells of the table, the columns and their slack.
const RECORD_BYTES = 180
const DETAILS_BYTES = 88
const OWNER_BYTES = 96

/** The approximate memory of a record. A text that is not all ASCII counts two bytes per character, the most it can take. */
export function sizeOf({ key, payload, owner, meta }: SessionRecord): number {
  let size = RECORD_BYTES + key.length + (typeof payload === 'string' ? textBytes(payload) : payload.byteLength + 128)
  if (owner !== undefined || meta !== undefined) size += DETAILS_BYTES
  if (owner !== undefined) size += OWNER_BYTES + textBytes(owner)
  if (meta !== undefined) size += textBytes(meta)
  return size
}

function textBytes(text: string): number {
  return isAscii(text) ? text.length : 2 * text.length
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}
