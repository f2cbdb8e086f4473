// Text as SQL databases keep it, and what else may be found in its place. Their text is UTF-8, which has no half of a
// surrogate pair; PostgreSQL takes no NUL, and libsql reads up to the first one. Text that would not come back as it was
// is kept as JSON behind a mark; equal texts stay equal, so owners can still be found.
import { CorruptRecord } from '../store.ts'

const MARK = '\u0001'
// Some clients, PGlite for one, take it for a sign of the encoding where it comes first.
const BYTE_ORDER_MARK = '\ufeff'

/** What a text column keeps. */
export function toText(text: string): string
export function toText(text: string | undefined): string | null
export function toText(text: string | undefined): string | null {
  if (text === undefined) return null
  const isPlain = !text.startsWith(MARK) && !text.startsWith(BYTE_ORDER_MARK) && !text.includes('\0')
  return isPlain && isWellFormed(text) ? text : MARK + JSON.stringify(text)
}

/** What was given to {@link toText}. */
export function fromText(text: string): string {
  if (!text.startsWith(MARK)) return text
  try {
    return String(JSON.parse(text.slice(1)))
  } catch {
    return text // not written by toText: as a payload or metadata it is corrupt, which the reader of them tells
  }
}

/**
 * The text in a JSON string.
 *
 * @throws {CorruptRecord} when there is none.
 */
export function textIn(json: string): string {
  try {
    return String(JSON.parse(json))
  } catch (cause) {
    throw new CorruptRecord('a text was cut off or changed', { cause })
  }
}

/** Whether UTF-8 keeps it: half a surrogate pair would not survive. */
export function isWellFormed(text: string): boolean {
  // Every supported Node has the method; the type library of ES2023 does not.
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/**
 * What was made by {@link toText}, in ASCII: for a database whose encoding cannot hold it as it is. {@link fromText}
 * reads it as well.
 */
export function toAscii(text: string): string {
  const marked = text.startsWith(MARK) ? text : MARK + JSON.stringify(text)
  return marked.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Whether a database of any encoding can hold it. */
export function isAscii(text: string): boolean {
  return !/[\u0080-\uffff]/.test(text)
}
