// Contents <-> the payload of a record: codec, size, encryption, and which codec wrote it.
import { hash } from 'node:crypto'
import { jsonCodec, type Codec, type SessionCodec } from './codec.ts'
import { DecodeCache } from './decode-cache.ts'
import { Encryption, OVERHEAD, type BoundTo, type EncryptionSettings } from './encryption.ts'
import type { Flash, Snapshot } from './changes.ts'
import { isData, refused } from './json-value.ts'
import { frozen } from './objects.ts'
import { SessionError } from '../errors.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'

/** Facts about where the owner signed in: `options.device`. */
export type DeviceFacts = Readonly<Record<string, unknown>>

/** What a session holds. Requests share it, so it is never written to, and only its frozen parts are handed out. */
export interface Contents {
  readonly data: Snapshot
  readonly flash: readonly Flash[]
  /** Frozen. */
  readonly device: DeviceFacts | undefined
}

const PLAIN_JSON = jsonCodec(Number.MAX_SAFE_INTEGER)
const NO_FLASH: readonly Flash[] = Object.freeze([])

/** The start of a payload that an app's own codec wrote: `~`, the codec's fingerprint, `:`. JSON text has no mark. */
const MARK = /^~[\w-]{8}:/

export class Payload {
  readonly codec: Codec
  readonly #maxBytes: number
  readonly #maxLength: number
  readonly #encryption: Encryption
  readonly #encrypts: boolean
  readonly #acceptsPlain: boolean
  readonly #mark: string
  /** What this process wrote or read last, which need not be parsed again. */
  readonly known: DecodeCache<Contents> = new DecodeCache<Contents>()

  constructor(codec: Codec, maxBytes: number, encryption: EncryptionSettings | undefined) {
    this.codec = codec
    this.#maxBytes = maxBytes
    // Larger sessions may have been stored before the limit was lowered. A payload above this size counts as corrupt.
    this.#maxLength = 4 * Math.max(maxBytes, 1_048_576)
    this.#encryption = new Encryption(encryption?.keys ?? [], encryption?.onUnknownKey ?? 'fail')
    this.#encrypts = encryption?.encrypt === true
    this.#acceptsPlain = !this.#encrypts || encryption?.acceptPlain === true
    this.#mark = markOf(codec)
  }

  /**
   * The payload of a record that is to be written.
   *
   * @param isStored - These contents are stored already: they are not refused where `maxBytes` was lowered since.
   * @throws {SessionError} `ERR_SESSION_TOO_LARGE` over `maxBytes`, measured before encryption; `ERR_SESSION_VALUE` for text that
   * encryption would change.
   */
  encode({ data, flash, device }: Contents, bound: BoundTo, isStored = false): string | Uint8Array {
    // 0.1 reads the first two entries of a list.
    const others = device !== undefined ? [flash, { device }] : flash.length > 0 ? [flash] : NO_FLASH
    const text = this.codec.stringifyContents(data, others)
    // A UTF-16 unit takes at most three bytes, so most sessions need no exact count.
    if (text.length * 3 > this.#maxBytes && !isStored) {
      const bytes = Buffer.byteLength(text)
      if (bytes > this.#maxBytes) {
        throw new SessionError(
          'ERR_SESSION_TOO_LARGE',
          `the session would take ${bytes} bytes, options.maxBytes allows ${this.#maxBytes}: store less, or a reference to it`,
        )
      }
    }
    if (!this.#encrypts) return this.#mark + text
    // What is encrypted is UTF-8, which would change it. JSON escapes it.
    if (!this.codec.keepsScalars && /\p{Surrogate}/u.test(text))
      throw refused(['session.data'], 'half a surrogate pair in the text of options.codec')
    return this.#encryption.encrypt(this.#mark + text, bound)
  }

  /**
   * What a record holds.
   *
   * @throws {CorruptRecord} when it is not what was written, or another codec wrote it.
   * @throws {SessionError} `ERR_SESSION_STORE` when it names an encryption key that is not configured; with `onUnknownKey:
   * 'end'` a `CorruptRecord`.
   */
  decode(record: SessionRecord): Contents {
    const known = this.known.contentsOf(record)
    if (known !== undefined) return known
    const contents = this.#contentsOf(this.#textOf(record))
    this.known.remember(record, contents)
    return contents
  }

  /** Whether the payload names an encryption key that is not configured, known without decrypting. `decode` throws then. */
  isLocked({ payload }: SessionRecord): boolean {
    return payload instanceof Uint8Array && this.#encryption.isLocked(payload)
  }

  /** Whether the payload is written as `encode` would write it now: under the newest key, or in the clear. */
  isCurrent({ payload }: SessionRecord): boolean {
    return !this.#encrypts || (payload instanceof Uint8Array && this.#encryption.isNewest(payload))
  }

  #textOf(record: SessionRecord): string {
    const payload: unknown = record.payload
    if (typeof payload === 'string') {
      // With encryption on, text was stored before it was switched on, or was written by an intruder.
      if (!this.#acceptsPlain) throw new CorruptRecord('not encrypted')
      return payload
    }
    if (!(payload instanceof Uint8Array)) throw new CorruptRecord('neither text nor bytes')
    if (payload.length > this.#maxLength * 3 + OVERHEAD) throw new CorruptRecord(TOO_LARGE)
    return this.#encryption.decrypt(payload, record)
  }

  #contentsOf(text: string): Contents {
    if (text.length > this.#maxLength) throw new CorruptRecord(TOO_LARGE)
    if (MARK.test(text)) {
      if (this.#mark === '' || !text.startsWith(this.#mark)) throw new CorruptRecord('written by another codec')
      return this.#parsed(this.codec, text.slice(this.#mark.length))
    }
    return this.#mark === '' ? this.#parsed(this.codec, text) : this.#unmarked(text)
  }

  /**
   * Text without a mark where the app has its own codec: JSON from before that codec, or the codec's text from version 0.1.
   *
   * Where both can read the text, it counts as the codec's if the codec would write the same text.
   */
  #unmarked(text: string): Contents {
    const json = attempt(() => this.#parsed(PLAIN_JSON, text))
    if (json === undefined) return this.#parsed(this.codec, text)
    const own = attempt(() => {
      const contents = this.#parsed(this.codec, text)
      return this.codec.stringify(this.codec.parse(text)) === text ? contents : undefined
    })
    return own ?? json
  }

  #parsed(codec: SessionCodec, text: string): Contents {
    let value: unknown
    try {
      value = codec.parse(text)
    } catch (cause) {
      throw new CorruptRecord('the codec refuses it', { cause })
    }
    if (!Array.isArray(value)) return { data: dataOf(value), flash: NO_FLASH, device: undefined }
    const [data, flash, more, ...others] = value as unknown[]
    if (others.length > 0 || !Array.isArray(flash) || !flash.every(isFlash))
      throw new CorruptRecord('flash is no list of messages')
    // Without flash and device, data is written alone: another codec wrote this list (devalue's text begins like that).
    if (flash.length === 0 && more === undefined) throw new CorruptRecord('a list of nothing but data')
    return { data: dataOf(data), flash, device: more === undefined ? undefined : deviceOf(more) }
  }
}

const TOO_LARGE = 'larger than any session that was stored'

function dataOf(value: unknown): Snapshot {
  if (!isData(value)) throw new CorruptRecord('data is no object')
  return value
}

function deviceOf(value: unknown): DeviceFacts {
  if (!isData(value) || !isData(value['device'])) throw new CorruptRecord('device is no object')
  return frozen(value['device'])
}

function isFlash(entry: unknown): entry is Flash {
  return Array.isArray(entry) && entry.length === 3 && typeof entry[0] === 'string' && typeof entry[1] === 'string'
}

function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    // The other way of reading decides.
  }
}

/** Values that JSON keeps, and values that codecs are chosen for: each codec has its own text for them. */
const PROBES: readonly object[] = [{ it: [1, 'text', null, true] }, { it: new Date(0) }, { it: new Map([['key', 1]]) }]
const REFUSED = 'refused'

/** The mark of a codec; empty if it writes and reads as JSON does, even if it refuses values that are not JSON. */
function markOf(codec: SessionCodec): string {
  const habits = PROBES.map((probe) => habitOf(codec, probe))
  const isJson = habits.every((habit, at) => habit === JSON_HABITS[at] || (at > 0 && habit === REFUSED))
  return isJson ? '' : `~${hash('sha256', habits.join('\n'), 'base64url').slice(0, 8)}:`
}

/** What a codec does with a value: its text, unless that differs each time (an app may encrypt there), and the type that comes back. */
function habitOf(codec: SessionCodec, probe: object): string {
  try {
    const text = codec.stringify(probe)
    const back = codec.parse(text) as { it?: unknown }
    const kind = Object.prototype.toString.call(back.it)
    return codec.stringify(probe) === text ? `${text} ${kind}` : kind
  } catch {
    return REFUSED
  }
}

const JSON_HABITS: readonly string[] = PROBES.map((probe) => habitOf(JSON, probe))
