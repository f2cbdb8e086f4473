// Text in the columns of SQL databases. It is UTF-8 there, which has no half of a surrogate pair; PostgreSQL takes no NUL, and
// libsql reads only up to the first one. Text that would come back changed is kept as JSON behind a mark; equal texts stay
// equal, so that owners are still found.
import { storeFailure } from '../errors.ts'
import { CorruptRecord } from '../store.ts'

const MARK = '\u0001'
// Some clients, such as PGlite, take it as a sign of the encoding at the start of a text.
const BYTE_ORDER_MARK = '\ufeff'

/** The text for a column. */
export function toText(text: string): string
export function toText(text: string | undefined): string | null
export function toText(text: string | undefined): string | null {
  if (text === undefined) return null
  const isPlain = !text.startsWith(MARK) && !text.startsWith(BYTE_ORDER_MARK) && !text.includes('\0')
  return isPlain && isWellFormed(text) ? text : MARK + JSON.stringify(text)
}

/** The reverse of {@link toText}. */
export function fromText(text: string): string {
  if (!text.startsWith(MARK)) return text
  try {
    return String(JSON.parse(text.slice(1)))
  } catch {
    return text // not written by toText: as a payload or metadata it is corrupt, and their decoder says so
  }
}

/**
 * The text in a JSON string.
 *
 * @throws {CorruptRecord} when it is no JSON.
 */
export function textIn(json: string): string {
  try {
    return String(JSON.parse(json))
  } catch (cause) {
    throw new CorruptRecord('a text was cut off or changed', { cause })
  }
}

/** Whether UTF-8 keeps the text: half a surrogate pair would not survive. */
export function isWellFormed(text: string): boolean {
  // Every supported Node has the method; the type library of ES2023 does not.
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/** Bytes as base64, without a copy of them. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/**
 * A text from {@link toText} in ASCII, for a database whose encoding cannot hold it as it is. {@link fromText} reads it too.
 */
export function toAscii(text: string): string {
  const marked = text.startsWith(MARK) ? text : MARK + JSON.stringify(text)
  return marked.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Whether a database of any encoding can hold the text. */
export function isAscii(text: string): boolean {
  return !/[\u0080-\uffff]/.test(text)
}

/** @throws {SessionError} for a column that is not there: the client names columns otherwise, and no session has ended. */
export function present<Value>(value: Value): Value {
  if (value !== undefined) return value
  throw storeFailure(
    'the client of the store answered with rows without the columns asked for: let it keep their names',
  )
}
