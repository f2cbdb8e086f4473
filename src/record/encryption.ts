// Encrypted payloads: AES-256-GCM under a key of each message's own, bound to the record.
//
// Format 2: byte 2, name of the secret (6 bytes), its check (4), nonce (24), tag (16), ciphertext. An HMAC of the
// nonce's first half and the record's key is the message's own key, the second half is its IV: so one secret may encrypt any
// number of messages. Format 1, of version 0.1: byte 1, name, IV (12), tag, ciphertext, all under one key; it is only read.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  hkdfSync,
  randomFillSync,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { unknownEncryptionKeyError } from '../errors.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'

/** Secrets, newest first, as `options.encryptionKeys` takes them. */
export type EncryptionKeys = readonly (string | Uint8Array)[]

/** What `options.encryptionKeys` says. */
export interface EncryptionSettings {
  /** Newest first; the first encrypts, all decrypt. */
  readonly keys: EncryptionKeys
  /** `false`: payloads are written in the clear, and both kinds are read. */
  readonly encrypt: boolean
  /** Payloads in the clear are read as well: anyone who can write to the store can forge sessions meanwhile. */
  readonly acceptPlain: boolean
  /** For a session whose key is not listed: `'fail'` is an outage (503), `'end'` an ended session whose record stays. */
  readonly onUnknownKey: 'fail' | 'end'
}

/** What a payload is bound to: the fields of its record that must not be exchanged. */
export type BoundTo = Pick<SessionRecord, 'key' | 'owner' | 'meta' | 'createdAt'>

interface Secret {
  readonly name: Buffer
  /** Format, name and check: the first bytes of each payload. */
  readonly head: Buffer
  readonly key: KeyObject
  /** The key of format 1. */
  readonly oldKey: KeyObject
}

const FORMAT = 2
const OLD_FORMAT = 1
const NAME_BYTES = 6
const CHECK_BYTES = 4
const SALT_BYTES = 12
const IV_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NAME_BYTES + CHECK_BYTES
const BODY = HEAD_BYTES + SALT_BYTES + IV_BYTES + TAG_BYTES
const OLD_BODY = 1 + NAME_BYTES + IV_BYTES + TAG_BYTES
const CIPHER = 'aes-256-gcm'

/** The most bytes that encryption adds to a text. */
export const OVERHEAD: number = BODY

/** Encrypts under the newest secret, decrypts under all. Without keys it still recognises encrypted payloads. */
export class Encryption {
  readonly #secrets: readonly Secret[]
  readonly #onUnknownKey: 'fail' | 'end'

  constructor(keys: EncryptionKeys, onUnknownKey: 'fail' | 'end') {
    this.#secrets = keys.map(secretOf)
    this.#onUnknownKey = onUnknownKey
  }

  encrypt(text: string, bound: BoundTo): Uint8Array {
    // The caller asks only with at least one secret.
    const [secret] = this.#secrets as readonly [Secret, ...Secret[]]
    const nonce = randomFillSync(Buffer.allocUnsafeSlow(SALT_BYTES + IV_BYTES))
    const cipher = createCipheriv(CIPHER, messageKey(secret, nonce, bound.key), nonce.subarray(SALT_BYTES))
    cipher.setAAD(boundText(bound))
    const body = cipher.update(text, 'utf8')
    cipher.final()
    // A plain Uint8Array of its own memory: a Buffer may share its memory with others.
    const payload = new Uint8Array(BODY + body.length)
    payload.set(secret.head)
    payload.set(nonce, HEAD_BYTES)
    payload.set(cipher.getAuthTag(), BODY - TAG_BYTES)
    payload.set(body, BODY)
    return payload
  }

  /**
   * @throws {CorruptRecord} when it is not what was written for this record.
   * @throws {SessionError} `ERR_SESSION_STORE` when it names a key that is not listed; with `'end'` a {@link CorruptRecord}.
   */
  decrypt(payload: Uint8Array, bound: BoundTo): string {
    const isOld = payload[0] === OLD_FORMAT
    if (!isOld && payload[0] !== FORMAT) throw new CorruptRecord('of no known format')
    const bodyAt = isOld ? OLD_BODY : BODY
    if (payload.length < bodyAt) throw new CorruptRecord('cut off')
    const secret = this.#secretOf(payload)
    if (secret === undefined) throw this.#refusal(payload)
    const tagAt = bodyAt - TAG_BYTES
    const key = isOld ? secret.oldKey : messageKey(secret, payload.subarray(HEAD_BYTES, tagAt), bound.key)
    try {
      const iv = payload.subarray(tagAt - IV_BYTES, tagAt)
      const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES })
      decipher.setAAD(boundText(bound, isOld))
      decipher.setAuthTag(payload.subarray(tagAt, bodyAt))
      return decipher.update(payload.subarray(bodyAt), undefined, 'utf8') + decipher.final('utf8')
    } catch (cause) {
      throw new CorruptRecord('fails authentication', { cause })
    }
  }

  /** Whether a payload names a key that is not listed, known without decrypting. */
  isLocked(payload: Uint8Array): boolean {
    return isNamed(payload) && this.#secretOf(payload) === undefined
  }

  /** Whether a payload is written as `encrypt` would write it now. */
  isNewest(payload: Uint8Array): boolean {
    const head = this.#secrets[0]?.head
    return head !== undefined && payload.length >= BODY && head.equals(payload.subarray(0, HEAD_BYTES))
  }

  #secretOf(payload: Uint8Array): Secret | undefined {
    if (payload[0] === FORMAT) return this.#secrets.find(({ head }) => head.equals(payload.subarray(0, HEAD_BYTES)))
    if (payload[0] !== OLD_FORMAT) return
    const name = payload.subarray(1, 1 + NAME_BYTES)
    return this.#secrets.find((secret) => secret.name.equals(name))
  }

  #refusal(payload: Uint8Array): Error {
    if (!isNamed(payload)) return new CorruptRecord('the name of its key is damaged')
    if (this.#onUnknownKey === 'end') return new CorruptRecord('encrypted with a key that is not listed')
    return unknownEncryptionKeyError()
  }
}

/** Whether a payload has our format and an intact key name: a damaged name must not pass for an unlisted key, which is an outage. */
function isNamed(payload: Uint8Array): boolean {
  if (payload[0] === OLD_FORMAT) return payload.length >= OLD_BODY
  if (payload[0] !== FORMAT || payload.length < BODY) return false
  const check = checkOf(payload.subarray(0, 1 + NAME_BYTES))
  return check.equals(payload.subarray(1 + NAME_BYTES, HEAD_BYTES))
}

function checkOf(named: Uint8Array): Buffer {
  return hash('sha256', named, 'buffer').subarray(0, CHECK_BYTES)
}

// HKDF (RFC 5869) derives a secret's keys and its public name, each under its own label. Version 0.1 encrypted under 'payload key'.
function secretOf(secret: string | Uint8Array): Secret {
  const derive = (label: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, '', `koa-fastsession ${label}`, length))
  const name = derive('payload key name', NAME_BYTES)
  const named = Buffer.concat([Buffer.of(FORMAT), name])
  return {
    name,
    head: Buffer.concat([named, checkOf(named)]),
    key: createSecretKey(derive('record key', 32)),
    oldKey: createSecretKey(derive('payload key', 32)),
  }
}

function messageKey({ key }: Secret, nonce: Uint8Array, recordKey: string): Buffer {
  return createHmac('sha256', key).update(nonce.subarray(0, SALT_BYTES)).update(recordKey).digest()
}

// In JSON, an absent owner or absent metadata is null.
function boundText({ key, owner, meta, createdAt }: BoundTo, isOld = false): Buffer {
  return Buffer.from(JSON.stringify(isOld ? [key, owner, meta] : [key, owner, meta, createdAt]))
}
