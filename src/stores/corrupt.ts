// Records that cannot be read. To the core their sessions have ended, and in a portion they must not hide other records.
import { CorruptRecord } from '../store.ts'

/** The result of `find`; `undefined` for a corrupt record. @throws any other failure. */
export function unlessCorrupt<Found>(find: () => Found): Found | undefined {
  try {
    return find()
  } catch (error) {
    passOver(error)
    return undefined
  }
}

/** Ignores a corrupt record. @throws any other failure. */
export function passOver(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}
