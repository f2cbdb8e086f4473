// Makes ids and hashes them. An id is the secret in the cookie; its hash is the record's key and the public id.
import { hash, randomFillSync } from 'node:crypto'

const ID_BYTES = 24
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
  // A heap dump shows the pool: what was given out must not stay in it.
  pool.fill(0, start, used)
  return id
}

/**
 * The public id of an id: SHA-256 as 43 characters of base64url.
 *
 * One hash without a salt is enough: nobody can try 192 random bits one by one.
 */
export function publicIdOf(id: string): string {
  return hash('sha256', id, 'base64url')
}

/** A short random name, to tell one flash message from an equal one. */
export function newTag(): string {
  return newId().slice(0, 8)
}

/**
 * One of so many places (a power of two) for a text of the base64url alphabet whose first characters are spread evenly,
 * as those of a hash or a signature are.
 */
export function placeOf(text: string, places: number): number {
  return (
    (((text.charCodeAt(0) * 67 + text.charCodeAt(1)) * 67 + text.charCodeAt(2)) * 67 + text.charCodeAt(3)) &
    (places - 1)
  )
}
