// The answers that a store may give. Any other answer is a failure of the store, never "no session". An object or text in the
// place of a record that is not a valid record is a damaged one, `'corrupt'`: anyone may have written it.
import type { FoundRecord, KeyPage, RecordPage, Replaced, SessionRecord } from './store.ts'
import { describe } from './errors.ts'

/** An answer outside the store contract. */
export class WrongAnswer extends Error {
  constructor(rule: string, answer: unknown) {
    super(`it must answer ${rule}, and answered ${describe(answer)}`)
  }
}

/** Takes 1 and 0 as well: some stores answer with the number of records that they wrote. @throws {WrongAnswer} */
export function yesOrNo(answer: unknown): boolean {
  if (answer === true || answer === 1) return true
  if (answer === false || answer === 0) return false
  throw new WrongAnswer('true or false', answer)
}

/** @throws {WrongAnswer} */
export function replaced(answer: unknown): Replaced {
  if (answer === 'done' || answer === 'stale' || answer === 'gone') return answer
  throw new WrongAnswer("'done', 'stale' or 'gone'", answer)
}

/** @throws {WrongAnswer} */
export function count(answer: unknown): number {
  if (Number.isSafeInteger(answer) && (answer as number) >= 0) return answer as number
  throw new WrongAnswer('how many it deleted', answer)
}

/** The live record of that key; `'corrupt'` where the store holds something else there. @throws {WrongAnswer} */
export function liveRecord(answer: unknown, key: string, now: number): FoundRecord {
  if (answer === undefined || answer === null) return
  // Text may be a damaged record.
  if (typeof answer !== 'object' && typeof answer !== 'string') throw new WrongAnswer('a record or undefined', answer)
  const record = wholeRecord(answer)
  if (record?.key !== key) return 'corrupt'
  // Some stores return expired records.
  return record.expiresAt > now ? record : undefined
}

/** Skips records that cannot be read or have expired. @throws {WrongAnswer} */
export function recordPage(answer: unknown, now: number, cursor: string | undefined): RecordPage {
  const { items, next } = page(answer, 'records', cursor)
  const records = items.map(wholeRecord).filter((record) => record !== undefined)
  return { records: records.filter(({ expiresAt }) => expiresAt > now), cursor: next }
}

/** @throws {WrongAnswer} */
export function keyPage(answer: unknown, cursor: string | undefined): KeyPage {
  const { items, next } = page(answer, 'keys', cursor)
  return { keys: items.filter((key) => typeof key === 'string'), cursor: next }
}

function page(
  answer: unknown,
  name: 'records' | 'keys',
  cursor: string | undefined,
): { items: readonly unknown[]; next: string | undefined } {
  const rule = `a portion, { ${name}, cursor }`
  if (Array.isArray(answer)) throw new WrongAnswer(`${rule} (a list at once, as in 0.1, is none)`, answer)
  if (typeof answer !== 'object' || answer === null) throw new WrongAnswer(rule, answer)
  const { [name]: items, cursor: next } = answer as Record<string, unknown>
  if (!Array.isArray(items)) throw new WrongAnswer(`${rule} with an array of ${name}`, items)
  if (next === undefined || next === null) return { items, next: undefined }
  if (typeof next !== 'string') throw new WrongAnswer(`${rule} whose cursor is text or undefined`, next)
  if (next === cursor) throw new WrongAnswer(`${rule} whose cursor is another one than it was given`, next)
  return { items, next }
}

/** The record, with SQL's `null` as `undefined`; `undefined` when a field is invalid. */
function wholeRecord(value: unknown): SessionRecord | undefined {
  if (typeof value !== 'object' || value === null) return
  const given = value as Readonly<Record<keyof SessionRecord, unknown>>
  const { key, version, payload, createdAt, lastSeenAt, expiresAt } = given
  const owner = given.owner ?? undefined
  const meta = given.meta ?? undefined
  const isWhole =
    typeof key === 'string' &&
    // The next version must be a whole number, too.
    Number.isSafeInteger(version) &&
    (version as number) < Number.MAX_SAFE_INTEGER &&
    (typeof payload === 'string' || payload instanceof Uint8Array) &&
    (owner === undefined || (typeof owner === 'string' && owner !== '')) &&
    Number.isFinite(createdAt) &&
    Number.isFinite(lastSeenAt) &&
    Number.isFinite(expiresAt) &&
    (meta === undefined || typeof meta === 'string')
  if (!isWhole) return
  // Every field has been checked.
  const record = value as SessionRecord
  return given.owner === null || given.meta === null ? { ...record, owner, meta } : record
}
