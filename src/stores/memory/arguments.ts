// Checks the arguments of the memory store: its options, the limits and cursors of portions, and listeners.
import { invalidMix, invalidType, invalidValue } from '../../errors.ts'

/** @throws {TypeError} if `options` is no object, and for an unknown option. */
export function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalidType('options', 'an object', options)
  const unknown = Object.keys(options).find((name) => name !== 'maxSessions' && name !== 'maxBytes')
  if (unknown !== undefined)
    throw invalidMix(`options.${unknown} is no option of a MemoryStore: the options are maxSessions, maxBytes`)
}

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
