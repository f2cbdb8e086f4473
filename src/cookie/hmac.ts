// HMAC-SHA256 (RFC 2104) by its definition, two hashes, and the one comparison of signatures.
import { hash, timingSafeEqual } from 'node:crypto'

// Node takes it; its types know the encodings of text alone.
const LATIN1 = 'latin1' as 'hex'
const BLOCK = 64
const DIGEST = 32
/** Longer texts get a buffer of their own. */
const ROOM = 512

/**
 * Signs texts with one secret.
 *
 * `crypto.hash` makes no object, which is most of what `createHmac` costs: FIGURE.
 */
export class Hmac {
  readonly #inner = Buffer.alloc(BLOCK + ROOM, 0x36)
  readonly #outer = Buffer.alloc(BLOCK + DIGEST, 0x5c)
  /** The part of `#inner` that the last text took: texts of one kind have one length. */
  #message: Buffer = this.#inner

  constructor(secret: string | Uint8Array) {
    const bytes = typeof secret === 'string' ? Buffer.from(secret) : secret
    const key = bytes.length > BLOCK ? hash('sha256', bytes, 'buffer') : bytes
    for (const [at, byte] of key.entries()) {
      this.#inner.writeUInt8(byte ^ 0x36, at)
      this.#outer.writeUInt8(byte ^ 0x5c, at)
    }
  }

  /** The signature of a text (its UTF-8), 43 characters of base64url. */
  sign(text: string): string {
    // The digest goes from one hash to the other as latin1 text: a Buffer would cost as much again.
    this.#outer.write(hash('sha256', this.#messageOf(text), LATIN1), BLOCK, 'latin1')
    return hash('sha256', this.#outer, 'base64url')
  }

  #messageOf(text: string): Buffer {
    const length = Buffer.byteLength(text)
    if (length > ROOM) return Buffer.concat([this.#inner.subarray(0, BLOCK), Buffer.from(text)])
    if (this.#message.length !== BLOCK + length) this.#message = this.#inner.subarray(0, BLOCK + length)
    this.#message.write(text, BLOCK)
    return this.#message
  }
}

// Buffers that are used again: making two for each comparison would cost more than comparing.
let given = Buffer.alloc(43)
let wanted = Buffer.alloc(43)

/** Compares texts of Latin-1, in a time that depends on the length alone. */
export function isEqualText(text: string, expected: string): boolean {
  const { length } = expected
  if (text.length !== length) return false
  if (given.length !== length) {
    given = Buffer.alloc(length)
    wanted = Buffer.alloc(length)
  }
  given.write(text, 'latin1')
  wanted.write(expected, 'latin1')
  return timingSafeEqual(given, wanted)
}
