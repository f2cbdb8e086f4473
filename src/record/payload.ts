// Data and flash messages <-> the payload of a record: codec, size, encryption. What was decoded from a frozen
// record is remembered by that record: a store that hands it out again saves the parsing.
import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync } from 'node:crypto'
import type { Flash, Snapshot } from './merge.ts'
import type { Codec } from './codec.ts'
import { SessionError } from '../errors.ts'
import { placeOf } from '../cookie/id.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'

/** What the app keeps in a session. */
export interface Contents {
  readonly data: Snapshot
  readonly flash: readonly Flash[]
}

/** What a payload is bound to when it is encrypted: everything of the record that must not be exchanged. */
export type Binding = Pick<SessionRecord, 'key' | 'owner' | 'meta'>

interface EncryptionKey {
  readonly name: Buffer
  readonly secret: Buffer
}

interface Remembered {
  readonly record: SessionRecord
  readonly contents: Contents
}

const NAME_BYTES = 6
const IV_BYTES = 12
const TAG_BYTES = 16
const FORMAT = 1
const REMEMBERED = 4096
const REMEMBERED_BYTES = 8_388_608

export class Payload {
  readonly codec: Codec
  readonly #maxBytes: number
  readonly #largest: number
  readonly #keys: readonly EncryptionKey[]
  // One place for all sessions whose keys begin alike: bounded, and unlike a WeakMap it costs the garbage collector nothing.
  #remembered = new Array<Remembered | undefined>(REMEMBERED)
  #rememberedBytes = 0

  constructor(codec: Codec, maxBytes: number, secrets: readonly (string | Uint8Array)[]) {
    this.codec = codec
    this.#maxBytes = maxBytes
    // Before a limit was lowered larger sessions were stored; beyond this it is a bomb, and not parsed.
    this.#largest = 4 * Math.max(maxBytes, 1_048_576)
    this.#keys = secrets.map(encryptionKey)
  }

  /**
   * The payload of a record to be.
   *
   * @throws {SessionError} `ERR_SESSION_TOO_LARGE` over `maxBytes`, measured before encryption.
   */
  seal({ data, flash }: Contents, binding: Binding): string | Uint8Array {
    const text = this.codec.stringify(flash.length === 0 ? data : [data, flash])
    // A UTF-16 unit takes at most three bytes: most sessions need no second look.
    if (text.length * 3 > this.#maxBytes) {
      const bytes = Buffer.byteLength(text)
      if (bytes > this.#maxBytes) {
        throw new SessionError(
          'ERR_SESSION_TOO_LARGE',
          `the session would take ${bytes} bytes, options.maxBytes allows ${this.#maxBytes}: store less, or a reference to it`,
        )
      }
    }
    const key = this.#keys[0]
    return key === undefined ? text : encrypt(text, key, binding)
  }

  /** Remembers what a frozen record holds: a store may hand out that very record, and again and again. */
  remember(record: SessionRecord, contents: Contents): void {
    const place = placeOf(record.key, REMEMBERED)
    this.#rememberedBytes += record.payload.length - (this.#remembered[place]?.record.payload.length ?? 0)
    if (this.#rememberedBytes > REMEMBERED_BYTES) {
      this.#remembered = new Array<Remembered | undefined>(REMEMBERED)
      this.#rememberedBytes = record.payload.length
    }
    this.#remembered[place] = { record, contents }
  }

  #forget({ key, payload }: SessionRecord): void {
    this.#remembered[placeOf(key, REMEMBERED)] = undefined
    this.#rememberedBytes -= payload.length
  }

  /** The record that is known to have taken this one's place, if any: another request of this process wrote or read it. */
  newer({ key, version }: SessionRecord): SessionRecord | undefined {
    const record = this.#remembered[placeOf(key, REMEMBERED)]?.record
    return record !== undefined && record.version > version && record.key === key ? record : undefined
  }

  /**
   * What a record holds.
   *
   * @throws {CorruptRecord} when it is not what was written.
   * @throws {SessionError} `ERR_SESSION_STORE` when it names an encryption key that is not configured.
   */
  open(record: SessionRecord): Contents {
    const remembered = this.#remembered[placeOf(record.key, REMEMBERED)]
    if (remembered?.record === record) return remembered.contents
    const contents = this.#decode(record)
    // Only a frozen record is the same thing when it is handed out again.
    if (Object.isFrozen(record)) this.remember(record, contents)
    // A store that was restored, or failed over, may have gone back: what it says now counts, not what it said before.
    else if (remembered?.record.key === record.key) this.#forget(remembered.record)
    return contents
  }

  /** Whether the payload names an encryption key that is not configured: an outage, and known without decrypting. */
  isLocked(record: SessionRecord): boolean {
    const { payload } = record
    return (
      typeof payload !== 'string' &&
      payload[0] === FORMAT &&
      payload.length > NAME_BYTES &&
      this.#keyOf(payload) === undefined
    )
  }

  /** @returns the error of a locked payload. */
  locked(): SessionError {
    return new SessionError(
      'ERR_SESSION_STORE',
      'a stored session is encrypted with a key that options.encryptionKeys does not list: add that key behind the newest one',
    )
  }

  #decode(record: SessionRecord): Contents {
    const text = this.#textOf(record)
    if (text.length > this.#largest) throw new CorruptRecord('larger than any session that was stored')
    let value: unknown
    try {
      value = this.codec.parse(text)
    } catch (cause) {
      throw new CorruptRecord('the codec refuses it', { cause })
    }
    const [data, flash] = Array.isArray(value) ? (value as unknown[]) : [value, []]
    if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new CorruptRecord('data is no object')
    if (!Array.isArray(flash) || !flash.every(isFlash)) throw new CorruptRecord('flash is no list of messages')
    return { data: data as Snapshot, flash }
  }

  #textOf(record: SessionRecord): string {
    const { payload } = record
    if (typeof payload === 'string') {
      // With encryption on, plain text is what was stored before it was, or what an intruder wrote: refused.
      if (this.#keys.length > 0) throw new CorruptRecord('not encrypted')
      return payload
    }
    if (this.isLocked(record)) throw this.locked()
    const key = this.#keyOf(payload)
    if (key === undefined || payload[0] !== FORMAT) throw new CorruptRecord('of no known format')
    return decrypt(payload, key, record)
  }

  #keyOf(payload: Uint8Array): EncryptionKey | undefined {
    const name = payload.subarray(1, 1 + NAME_BYTES)
    return this.#keys.find((key) => key.name.equals(name))
  }
}

// HKDF (RFC 5869) gives the key and, with another label, its public name: a payload says which key opens it.
function encryptionKey(secret: string | Uint8Array): EncryptionKey {
  const derive = (label: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, '', `koa-fastsession ${label}`, length))
  return { secret: derive('payload key', 32), name: derive('payload key name', NAME_BYTES) }
}

function boundTo({ key, owner, meta }: Binding): Buffer {
  return Buffer.from(JSON.stringify([key, owner ?? null, meta ?? null]))
}

// NIST SP 800-38D: a random 96-bit IV per message, the whole 128-bit tag.
function encrypt(text: string, { name, secret }: EncryptionKey, binding: Binding): Uint8Array {
  const iv = randomFillSync(Buffer.allocUnsafeSlow(IV_BYTES))
  const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(boundTo(binding))
  const body = [cipher.update(text, 'utf8'), cipher.final()]
  return new Uint8Array(Buffer.concat([Buffer.of(FORMAT), name, iv, cipher.getAuthTag(), ...body]))
}

function decrypt(payload: Uint8Array, { secret }: EncryptionKey, binding: Binding): string {
  const iv = 1 + NAME_BYTES
  const tag = iv + IV_BYTES
  const body = tag + TAG_BYTES
  if (payload.length < body) throw new CorruptRecord('cut off')
  try {
    const decipher = createDecipheriv('aes-256-gcm', secret, payload.subarray(iv, tag), { authTagLength: TAG_BYTES })
    decipher.setAAD(boundTo(binding)).setAuthTag(payload.subarray(tag, body))
    return decipher.update(payload.subarray(body), undefined, 'utf8') + decipher.final('utf8')
  } catch (cause) {
    throw new CorruptRecord('fails authentication', { cause })
  }
}

function isFlash(entry: unknown): entry is Flash {
  return Array.isArray(entry) && entry.length === 3 && typeof entry[0] === 'string' && typeof entry[1] === 'string'
}
