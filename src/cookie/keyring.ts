// The keys that sign cookies: secrets, or a Keygrip of the app's. Only this module uses Keygrip.
import { randomBytes } from 'node:crypto'
import Keygrip from 'keygrip'
import { Hmac, isEqualText } from './hmac.ts'
import { invalidMix, invalidType, invalidValue } from '../errors.ts'

/** Secrets, newest first: strings or bytes. 32 random bytes are a good secret. */
export type Secrets = readonly (string | Uint8Array)[]

type SomeSecrets = readonly [string | Uint8Array, ...(string | Uint8Array)[]]

/** The part of Keygrip that is used, so that any version of it fits. */
export interface KeygripLike {
  /** The signature of a text under the newest key: 20 to 128 characters of base64url or hex. */
  sign(data: string): string
  /** Which key made the signature: 0 the newest, -1 none. */
  index(data: string, digest: string): number
}

/** Signs with the newest key, and also verifies with the older ones. */
export interface Keyring {
  /** The number of characters of a signature. */
  readonly length: number
  /** Whether its keys never change: another list of secrets has another keyring. */
  readonly isFixed: boolean
  sign(text: string): string
  /** Which key made the signature: 0 the newest, -1 none. Compares in constant time. */
  index(text: string, signature: string): number
}

/** Gives the keyring over secrets or a Keygrip. It follows a list that changes: called once per request. */
export type LiveKeyring = () => Keyring

/** A shorter secret could be guessed. */
const MIN_SECRET = 16
/** What `keys` must be. */
export const KEYS_RULE = 'a Keygrip or a non-empty list of secrets, newest first'
const UNSET = 'where it comes from the environment, is its variable set?'

/**
 * The keyring of `keys`; errors call them `name`.
 *
 * @throws {TypeError} when the keys are missing, empty or blank; the function throws it, too.
 */
export function keyring(keys: unknown, name: string): LiveKeyring {
  if (isKeygrip(keys)) {
    const foreign = foreignKeyring(keys, name)
    return () => foreign
  }
  checkSecrets(keys, name, KEYS_RULE)
  let ring = ringOf(keys)
  return () => {
    if (!ring.isOf(keys)) {
      checkSecrets(keys, name, KEYS_RULE)
      ring = ringOf(keys)
    }
    return ring
  }
}

/** @throws {TypeError} unless it is a string, or bytes, and not blank: an empty file has a line end, a buffer that was wiped zeros. */
function checkSecret(secret: unknown, name: string): void {
  const rule = 'a secret of at least one character that is no space; 32 random ones are good'
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array))
    throw invalidType(name, rule, secret, secret === undefined ? UNSET : undefined)
  const text = Buffer.from(secret as string).toString()
  if (text.replaceAll('\0', '').trim() === '') throw invalidValue(name, rule, secret, UNSET)
}

/** Whether a list holds a secret that could be guessed: under 16 characters or bytes. For signing and for encryption. */
export function hasShortSecret(keys: unknown): boolean {
  return Array.isArray(keys) && keys.some((secret: string | Uint8Array) => secret.length < MIN_SECRET)
}

function isKeygrip(keys: unknown): keys is KeygripLike {
  const { sign, index } = (keys ?? {}) as Partial<KeygripLike>
  return typeof sign === 'function' && typeof index === 'function'
}

/** @throws {TypeError} unless it is a list of at least one secret. */
export function checkSecrets(keys: unknown, name: string, rule: string): asserts keys is SomeSecrets {
  if (!Array.isArray(keys))
    throw invalidType(name, rule, keys, typeof keys === 'string' ? 'put it into a list, [secret]' : undefined)
  if (keys.length === 0) throw invalidValue(name, rule, keys)
  for (const [at, secret] of keys.entries()) checkSecret(secret, `${name}[${at}]`)
}

/** Keyrings of lists that were used lately: two apps may use their lists in turn, and a getter may make a new list each time. */
const recent: SecretKeyring[] = []
const MAX_RECENT = 8

function ringOf(secrets: SomeSecrets): SecretKeyring {
  const known = recent.find((ring) => ring.isOf(secrets))
  if (known !== undefined) return known
  const ring = new SecretKeyring(secrets)
  recent.unshift(ring)
  recent.length = Math.min(recent.length, MAX_RECENT)
  return ring
}

type Signer = Pick<Keyring, 'sign'>

class SecretKeyring implements Keyring {
  readonly length = 43
  readonly isFixed = true
  /** Copies: the bytes of a secret may change in place. */
  readonly #secrets: Secrets
  readonly #newest: Signer
  readonly #older: readonly Signer[]

  constructor(secrets: SomeSecrets) {
    this.#secrets = secrets.map((secret) => (typeof secret === 'string' ? secret : new Uint8Array(secret)))
    const [newest, ...older] = secrets
    this.#newest = signerOf(newest)
    this.#older = older.map(signerOf)
  }

  isOf(secrets: Secrets): boolean {
    const own = this.#secrets
    if (own.length !== secrets.length) return false
    for (let at = 0; at < own.length; at++)
      if (own[at] !== secrets[at] && !isEqualBytes(own[at], secrets[at])) return false
    return true
  }

  sign(text: string): string {
    return this.#newest.sign(text)
  }

  index(text: string, signature: string): number {
    if (isEqualText(signature, this.#newest.sign(text))) return 0
    return this.#older.findIndex((signer) => isEqualText(signature, signer.sign(text))) + 1 || -1
  }
}

function isEqualBytes(secret: unknown, other: unknown): boolean {
  return secret instanceof Uint8Array && other instanceof Uint8Array && Buffer.compare(secret, other) === 0
}

/** Our own HMAC if it signs as Keygrip does, else Keygrip: OpenSSL may be configured in ways that we do not know. */
function signerOf(secret: string | Uint8Array): Signer {
  // Keygrip passes its keys to createHmac, which accepts bytes; its types list only strings.
  const keygrip = new Keygrip([secret as string], 'sha256', 'base64url')
  const hmac = new Hmac(secret)
  const probe = randomBytes(48).toString('base64url')
  return hmac.sign(probe) === keygrip.sign(probe) ? hmac : keygrip
}

/** A keyring over a Keygrip, whose error for a missing secret is replaced by ours. */
function foreignKeyring(keygrip: KeygripLike, name: string): Keyring {
  const guarded = <Result>(ask: () => Result): Result => {
    try {
      return ask()
    } catch (error) {
      if ((error as { code?: unknown } | undefined)?.code !== 'ERR_INVALID_ARG_TYPE') throw error
      // Without the cause: Node's message may show the secret.
      throw invalidMix(`${name} is a Keygrip with a secret that is missing or no text: ${UNSET}`)
    }
  }
  const sign = (text: string): string => guarded(() => keygrip.sign(text))
  const index = (text: string, signature: string): number => guarded(() => keygrip.index(text, signature))
  const sample: unknown = sign(PROBE)
  if (typeof sample !== 'string' || !/^[\w-]{20,128}$/.test(sample)) {
    throw invalidMix(
      `${name} is a Keygrip whose signatures are not 20 to 128 characters of base64url or hex: use new Keygrip(secrets, 'sha256')`,
    )
  }
  if (isBlank(index, sample.length))
    throw invalidMix(`${name} is a Keygrip with an empty or blank secret, under which anyone can sign: ${UNSET}`)
  return {
    length: sample.length,
    // A Keygrip does not say when its keys change.
    isFixed: false,
    sign,
    index: (text, signature) => (isEqualText(signature, sign(text)) ? 0 : index(text, signature)),
  }
}

const PROBE = 'koa-fastsession'
/** The blank secrets to try, as an unset variable, an empty file or padding leaves them: there are too many to try all. */
const BLANKS = ['', '\t', '\n', '\r\n', ...Array.from({ length: 64 }, (_, at) => ' '.repeat(at + 1))]

/**
 * Whether a Keygrip has a blank secret. It does not show its secrets, but its `index` accepts a signature that was made with one
 * of them. The length of its signatures tells the algorithm and the encoding.
 */
function isBlank(index: KeygripLike['index'], length: number): boolean {
  return ['sha1', 'sha256', 'sha384', 'sha512'].some((algorithm) =>
    (['base64', 'hex'] as const).some((encoding) => {
      const forgery = (secret: string) => forgeryOf(new Keygrip([secret], algorithm, encoding))
      return forgery(PROBE)?.length === length && BLANKS.some((secret) => index(PROBE, forgery(secret) ?? '') !== -1)
    }),
  )
}

function forgeryOf(keygrip: KeygripLike): string | undefined {
  try {
    return keygrip.sign(PROBE)
  } catch {
    // OpenSSL may be configured to refuse such keys or that algorithm: then no signature can be made with them.
  }
}
