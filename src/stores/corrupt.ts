// Records that cannot be read: to the core their sessions have ended, and in a portion they must not hide the others.
import { CorruptRecord } from '../store.ts'

/** What is found; `undefined` where it cannot be read. @throws any other failure. */
export function unlessCorrupt<Found>(find: () => Found): Found | undefined {
  try {
    return find()
  } catch (error) {
    passOver(error)
    return undefined
  }
}

/** For what cannot be read, which its caller passes over. @throws any other failure. */
export function passOver(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}
