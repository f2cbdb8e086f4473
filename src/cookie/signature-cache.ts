// Whether one of our keys signed what a cookie says. Signatures that were found good are remembered for a while, so that
// the next requests of a busy session need no HMAC; nothing that is kept here opens a session.
import { timingSafeEqual } from 'node:crypto'
import type { CookieSettings, Keyring } from './cookie.ts'
import { placeOf, publicIdOf } from './id.ts'

/** An id that one of our keys signed. */
export interface Signed {
  readonly id: string
  readonly publicId: string
  readonly isOldKey: boolean
}

/** How many signatures are remembered: a place for each, and one that comes later takes the place of another. */
const PLACES = 8192

/** Verifies the cookies of one middleware. */
export class Verifier {
  // Of a good cookie its signature and the hash of its id are kept, never the id: what is here makes no cookie.
  readonly #publicIds = new Array<string | undefined>(PLACES)
  #signatures: Buffer = Buffer.alloc(0)
  #given: Buffer = Buffer.alloc(0)
  #wanted: Buffer = Buffer.alloc(0)
  // They hold for one list of keys and one cookie name: a signature is made over both.
  #keyring: Keyring | undefined = undefined
  #prefix = ''

  /** What a value of the right shape says, if its signature is good. */
  verify({ prefix }: CookieSettings, keyring: Keyring, value: string): Signed | undefined {
    const id = value.slice(0, value.length - keyring.length - 1)
    const signature = value.slice(id.length + 1)
    if (keyring.isFixed && keyring !== this.#keyring) this.#begin(keyring, prefix)
    const remembers = keyring === this.#keyring && prefix === this.#prefix
    // The place is chosen by the signature and read by everybody: neither tells an attacker more than he sent.
    const place = placeOf(signature, PLACES)
    if (remembers) {
      const known = this.#publicIds[place]
      if (known !== undefined && this.#isAt(place, signature)) {
        const publicId = publicIdOf(id)
        if (publicId === known) return { id, publicId, isOldKey: false }
      }
    }
    const key = keyring.index(prefix + id, signature)
    if (key === -1) return undefined
    const publicId = publicIdOf(id)
    if (remembers && key === 0) {
      this.#publicIds[place] = publicId
      this.#signatures.write(signature, place * signature.length, 'latin1')
    }
    return { id, publicId, isOldKey: key > 0 }
  }

  /** Other keys, and what was signed with those before counts no more. */
  #begin(keyring: Keyring, prefix: string): void {
    this.#keyring = keyring
    this.#prefix = prefix
    this.#publicIds.fill(undefined)
    this.#signatures = Buffer.alloc(PLACES * keyring.length)
    this.#given = Buffer.alloc(keyring.length)
    this.#wanted = Buffer.alloc(keyring.length)
  }

  #isAt(place: number, signature: string): boolean {
    const { length } = signature
    this.#given.write(signature, 'latin1')
    this.#signatures.copy(this.#wanted, 0, place * length, (place + 1) * length)
    return timingSafeEqual(this.#given, this.#wanted)
  }
}
