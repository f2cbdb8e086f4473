// Portions of a table, read so that the process has its turn between the rows.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SessionRecord } from '../../store.ts'
import { unlessCorrupt } from '../corrupt.ts'
import { toKey, toRecord, type Row } from './rows.ts'

// How many batches one portion may take, of expired rows as well: it ends early then, and perhaps empty.
const MAX_BATCHES = 400

// How much of payloads one statement should read, in bytes or characters: some milliseconds' worth. And how many rows the
// first one looks at, before anything is known of their size.
const MAX_BYTES = 1024 * 1024
const FIRST_ROWS = 16

/** How many rows a statement looks at: fewer where they have turned out to be large. */
export class Batch {
  rows: number
  readonly #most: number

  constructor(most: number) {
    this.#most = most
    this.rows = Math.min(most, FIRST_ROWS)
  }

  /** So that as many rows of the same size would be within the bound, and no more than twice as many as now. */
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
 * Looks at rows in batches, with a turn of the event loop after each, until there are as many as wanted. `next` is the key
 * after which the next portion begins.
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
      // From a key that is no text the next batch cannot go on, but from the one beside it.
      if (key === undefined) continue
      after = key
      const item = unlessCorrupt(() => take(row))
      if (item !== undefined) found.push(item)
    }
    if (rows.length < asked || after === before) return { found, next: undefined }
    await nextTurn()
    if (found.length >= limit) break
  }
  return { found, next: after }
}

/** Of a record that has expired the statement gives no payload. */
export function liveRecord(row: Row): SessionRecord | undefined {
  return row['payload'] === null ? undefined : toRecord(row)
}

export function liveKey(row: Row): string | undefined {
  return Number(row['live']) === 1 ? toKey(row) : undefined
}
