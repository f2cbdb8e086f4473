// Portions of a table, read so that the process has its turn between the rows.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CorruptRecord, type SessionRecord } from '../../store.ts'
import { toKey, toRecord, type Row } from './rows.ts'

// How many batches one portion may take, of expired rows as well: it ends early then, and perhaps empty.
const MOST_BATCHES = 400

/**
 * Looks at rows in batches, with a turn of the event loop after each, until there are as many as wanted. `next` is the key
 * after which the next portion begins.
 */
export async function portion<Found>(
  limit: number,
  cursor: string | undefined,
  batch: number,
  look: (after: string) => unknown[] | Promise<unknown[]>,
  take: (row: Row) => Found | undefined,
): Promise<{ found: Found[]; next: string | undefined }> {
  const found: Found[] = []
  let after = cursor ?? ''
  for (let step = 0; step < MOST_BATCHES; step++) {
    const before = after
    const rows = (await look(after)) as Row[] // the statements name the columns of a row
    for (const row of rows) {
      if (found.length >= limit) {
        await nextTurn()
        return { found, next: after }
      }
      const key = unless(() => toKey(row))
      // From a key that is no text the next batch cannot go on, but from the one beside it.
      if (key === undefined) continue
      after = key
      const item = unless(() => take(row))
      if (item !== undefined) found.push(item)
    }
    if (rows.length < batch || after === before) return { found, next: undefined }
    await nextTurn()
    if (found.length >= limit) break
  }
  return { found, next: after }
}

/** What is found, or nothing where a row is damaged. */
function unless<Found>(find: () => Found | undefined): Found | undefined {
  try {
    return find()
  } catch (error) {
    if (error instanceof CorruptRecord) return undefined
    throw error
  }
}

/** Of a record that has expired the statement gives no payload. */
export function liveRecord(row: Row): SessionRecord | undefined {
  return row['payload'] === null ? undefined : toRecord(row)
}

export function liveKey(row: Row): string | undefined {
  return Number(row['live']) === 1 ? toKey(row) : undefined
}
