// The limits and cursors of the memory store's portions.
import { invalidValue } from '../../errors.ts'

/** At least 1: a portion without records would repeat for ever. */
export function atLeastOne(limit: number): number {
  return limit >= 1 ? Math.floor(limit) : 1
}

/** The part and the hash where a scan continues. */
export function positionIn(cursor: string | undefined): [index: number, from: number] {
  if (cursor === undefined) return [0, 0]
  const [, index, from] = /^(\d{1,4})\.(\d{1,10})$/.exec(cursor) ?? []
  if (from === undefined) throw invalidValue('cursor', 'one that scan has given', cursor)
  return [Number(index), Number(from)]
}
