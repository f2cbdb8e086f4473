// Reads portions of a table, with turns of the event loop in between.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { unlessCorrupt, type SessionRecord } from '../../store.ts'
import { toKey, toRecord, type Row } from './rows.ts'

// The most batches of one portion, including expired rows. After them it ends early, and may be empty.
const MAX_BATCHES = 400

// The size of the payloads that one statement should read, in bytes or characters: some milliseconds of work. And the rows of the
// first statement, before their size is known.
const MAX_BYTES = 1024 * 1024
const FIRST_ROWS = 16

/** How many rows a statement looks at: fewer if earlier rows were large. */
export class Batch {
  rows: number
  readonly #most: number

  constructor(most: number) {
    this.#most = most
    this.rows = Math.min(most, FIRST_ROWS)
  }

  /** Sets how many rows of the same size fit the bound, at most twice as many as now. */
  learn(rows: readonly Row[]): void {
    if (rows.length === 0) return
    let bytes = 0
    for (const { payload } of rows) {
      if (typeof payload === 'string' || payload instanceof Uint8Array) bytes += payload.length
    }
    const fitting = bytes === 0 ? this.#most : Math.floor((rows.length * MAX_BYTES) / bytes)
    this.rows = Math.max(1, Math.min(this.#most, this.rows * 2, fitting))
  }
}

/**
 * Looks at rows in batches, with a turn of the event loop after each, until `limit` were found. `next` is the key after which
 * the next portion begins.
 */
export async function portion<Found>(
  limit: number,
  cursor: string | undefined,
  batch: Batch,
  look: (after: string, rows: number) => unknown[] | Promise<unknown[]>,
  take: (row: Row) => Found | undefined,
): Promise<{ found: Found[]; next: string | undefined }> {
  const found: Found[] = []
  let after = cursor ?? ''
  for (let step = 0; step < MAX_BATCHES; step++) {
    const before = after
    const asked = batch.rows
    const rows = (await look(after, asked)) as Row[] // the statements name the columns of a row
    batch.learn(rows)
    for (const row of rows) {
      if (found.length >= limit) {
        await nextTurn()
        return { found, next: after }
      }
      const key = unlessCorrupt(() => toKey(row))
      // The next batch cannot start after a key that is no text, only after one beside it.
      if (key === undefined) continue
      after = key
      const item = unlessCorrupt(() => take(row))
      if (item !== undefined) found.push(item)
    }
    // Only one statement shows all rows at one instant. After several, the caller must know that this was no single portion.
    if (rows.length < asked || after === before) return { found, next: step === 0 ? undefined : after }
    await nextTurn()
    if (found.length >= limit) break
  }
  return { found, next: after }
}

/** The statement gives no payload for an expired record. */
export function liveRecord(row: Row): SessionRecord | undefined {
  return row['payload'] === null ? undefined : toRecord(row)
}

export function liveKey(row: Row): string | undefined {
  return Number(row['live']) === 1 ? toKey(row) : undefined
}
