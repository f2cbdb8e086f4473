// Makes ids and hashes them. An id is the secret in the cookie; its hash is the record's key and the public id.
import { hash, randomFillSync } from 'node:crypto'

const ID_BYTES = 24
const ID = /^[\w-]{22,128}$/
const PUBLIC_ID = /^[\w-]{43}$/

// One call of the random generator fills the pool for 256 ids.
const pool = Buffer.allocUnsafeSlow(ID_BYTES * 256)
let used = pool.length

/** A new id: 192 bits from the system's generator, 32 characters of the base64url alphabet. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const start = used
  used += ID_BYTES
  const id = pool.toString('base64url', start, used)
  // A heap dump shows the pool: ids that are in use must not stay in it.
  pool.fill(0, start, used)
  return id
}

/**
 * The public id of an id: SHA-256 as 43 characters of base64url.
 *
 * One hash without a salt is enough: 192 random bits cannot be guessed.
 */
export function publicIdOf(id: string): string {
  return hash('sha256', id, 'base64url')
}

/** Whether a value may be an id: 22 to 128 characters of the base64url alphabet, at least 128 bits. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

/** Whether a value may be a public id. No store is asked for any other text. */
export function isPublicId(value: unknown): value is string {
  return typeof value === 'string' && PUBLIC_ID.test(value)
}

/** A short random name, to tell one flash message from an equal one. */
export function newTag(): string {
  return newId().slice(0, 8)
}
