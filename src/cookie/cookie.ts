// The one cookie: `<id>.<signature>`, signed over `name=id`. Reads it from a header, verifies it by Keygrip with key
// rotation, and writes it with its attributes. Alone in knowing Keygrip and the rules of browsers.
import { createSecretKey, timingSafeEqual } from 'node:crypto'
import Keygrip from 'keygrip'
import { invalidMix, invalidType, invalidValue } from '../errors.ts'

/**
 * Attributes of the session cookie (RFC 6265bis). The lifetime is not among them: it is `maxAge` of the options.
 *
 * Combinations that browsers refuse throw when `session()` is called.
 */
export interface CookieOptions {
  /** A token. `'__Host-sid'` binds the cookie to HTTPS and to the one host that set it. @default 'sid' */
  readonly name?: string
  /** The cookie goes to this path and all below it. @default '/' */
  readonly path?: string
  /** The cookie goes to this domain and all below it. Left out: to the host that set it alone. */
  readonly domain?: string
  /** Hides the cookie from scripts. @default true */
  readonly httpOnly?: boolean
  /**
   * Whether the cookie goes over HTTPS alone. `'auto'` follows `ctx.secure`, which behind a TLS proxy needs
   * `app.proxy = true`; a cookie that browsers take over HTTPS alone (`__Host-`, `SameSite=None`, `Partitioned`) is always
   * marked.
   *
   * @default 'auto'
   */
  readonly secure?: boolean | 'auto'
  /** Which requests of other sites carry the cookie: with `'lax'` links alone. `false` for no attribute. @default 'lax' */
  readonly sameSite?: 'strict' | 'lax' | 'none' | false
  /** One cookie jar per embedding site (CHIPS). @default false */
  readonly partitioned?: boolean
  /** Which cookies a full jar drops first; Chromium knows it. @default none */
  readonly priority?: 'low' | 'medium' | 'high'
}

/** Attributes, checked and written out once. */
export interface CookieSettings {
  readonly name: string
  /** The name and the equals sign: what a Cookie header is searched for, and what is signed with the id. */
  readonly prefix: string
  /** Whether the connection decides about `Secure`. */
  readonly isAuto: boolean
  readonly attributes: string
  readonly secureAttributes: string
}

/** Secrets, newest first: text or bytes, 32 random bytes are good. */
export type Secrets = readonly (string | Uint8Array)[]

type SomeSecrets = readonly [string | Uint8Array, ...(string | Uint8Array)[]]

/** The part of Keygrip that is used, so that any version of it fits. */
export interface KeygripLike {
  /** The signature of a text under the newest key: 20 to 128 characters of base64url or hex. */
  sign(data: string): string
  /** Which key made the signature: 0 the newest, -1 none. */
  index(data: string, digest: string): number
}

/** Signs with the newest key and knows the older ones. */
export interface Keyring {
  /** The number of characters of a signature. */
  readonly length: number
  /** Whether its keys never change: another list of secrets has another keyring. */
  readonly isFixed: boolean
  sign(text: string): string
  /** Which key made the signature: 0 the newest, -1 none. Compares in constant time. */
  index(text: string, signature: string): number
}

/** What a Cookie header holds under our name. */
export interface Presented {
  /** Values of the right shape, in the order of the header, at most {@link MOST_VERIFIED}. */
  readonly values: readonly string[]
  /** Whether there were others. */
  readonly malformed: boolean
}

/** A header can carry hundreds of cookies of one name; each that is verified costs an HMAC per key. */
export const MOST_VERIFIED = 4

const ID = /^[\w-]{22,128}$/
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]{1,256}$/
// RFC 6265, section 4.1.1: any character but controls and the semicolon.
const ATTRIBUTE = /^[ -:<-~]+$/
/** The names of the attributes. */
export const COOKIE_ATTRIBUTES: readonly string[] = [
  'name',
  'path',
  'domain',
  'httpOnly',
  'secure',
  'sameSite',
  'partitioned',
  'priority',
]

/** Whether a text may be an id: 22 to 128 characters of the base64url alphabet, at least 128 bits. */
export function isId(text: unknown): text is string {
  return typeof text === 'string' && ID.test(text)
}

/**
 * The cookies called `name` in a Cookie header.
 *
 * Names are compared exactly, a quoted or percent-encoded value has the wrong shape: one canonical form passes.
 */
export function presented(
  header: string,
  { name, prefix }: Pick<CookieSettings, 'name' | 'prefix'>,
  signatureLength: number,
): Presented {
  const first = header.indexOf(prefix)
  if (first === -1) return NOTHING
  const values: string[] = []
  let malformed = false
  for (let at = first; at !== -1; at = header.indexOf(prefix, at + 1)) {
    if (!startsPair(header, at)) continue
    const from = at + name.length + 1
    const semicolon = header.indexOf(';', from)
    let to = semicolon === -1 ? header.length : semicolon
    while (to > from && isSpace(header.charCodeAt(to - 1))) to--
    if (!isShaped(header, from, to, to - signatureLength - 1)) malformed = true
    else if (values.push(header.slice(from, to)) === MOST_VERIFIED) break
  }
  return { values, malformed }
}

const NOTHING: Presented = { values: [], malformed: false }

function startsPair(header: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && isSpace(header.charCodeAt(before))) before--
  return before < 0 || header[before] === ';'
}

function isSpace(code: number): boolean {
  return code === 32 || code === 9
}

const BASE64URL = new Uint8Array(256)
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
  BASE64URL[letter.charCodeAt(0)] = 1

// Read in the header itself: most of the cost of a cookie is in copying it.
function isShaped(header: string, from: number, to: number, dot: number): boolean {
  if (dot - from < 22 || dot - from > 128 || header.charCodeAt(dot) !== 46) return false
  for (let at = from; at < to; at++) if (BASE64URL[header.charCodeAt(at)] !== 1 && at !== dot) return false
  return true
}

/** A keyring over secrets or a Keygrip. It follows a list that changes: call {@link LiveKeyring.current} once per request. */
export interface LiveKeyring {
  current(): Keyring
}

/**
 * @throws {TypeError} when the keys are missing, empty or blank.
 */
export function keyring(keys: unknown, name: string): LiveKeyring {
  if (isKeygrip(keys)) {
    const wrapped = new ForeignKeyring(keys, name)
    return { current: () => wrapped }
  }
  checkSecrets(keys, name)
  const list = keys
  let used: Secrets = []
  let ring: SecretKeyring | undefined
  return {
    current() {
      if (ring === undefined || list.length !== used.length || !list.every((secret, at) => secret === used[at])) {
        checkSecrets(list, name)
        used = [...list]
        const [newest, ...older] = list
        ring = new SecretKeyring(newest, older)
      }
      return ring
    },
  }
}

function isKeygrip(keys: unknown): keys is KeygripLike {
  return (
    typeof keys === 'object' &&
    keys !== null &&
    'sign' in keys &&
    typeof keys.sign === 'function' &&
    'index' in keys &&
    typeof keys.index === 'function'
  )
}

function checkSecrets(keys: unknown, name: string): asserts keys is SomeSecrets {
  const rule = 'a Keygrip or a non-empty list of secrets, newest first'
  if (!Array.isArray(keys)) throw invalidType(name, rule, keys, typeof keys === 'string' ? LISTED : undefined)
  if (keys.length === 0) throw invalidValue(name, rule, keys)
  for (const [at, secret] of keys.entries()) checkSecret(secret, `${name}[${at}]`)
}

/** What to do with one secret where a list is due. */
export const LISTED = 'put it into a list, [secret]'
const UNSET = 'where it comes from the environment, is its variable set?'

/** @throws {TypeError} unless it is a string that is not blank, or bytes. */
export function checkSecret(secret: unknown, name: string): void {
  const rule = 'a secret of at least one character that is no space; 32 random ones are good'
  if (secret === undefined) throw invalidType(name, rule, secret, UNSET)
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) throw invalidType(name, rule, secret)
  if (secret.length === 0 || (typeof secret === 'string' && secret.trim() === ''))
    throw invalidValue(name, rule, secret, UNSET)
}

/** Whether one of the secrets is so short that it could be guessed. */
export function hasShortSecret(keys: unknown): boolean {
  return Array.isArray(keys) && keys.some((secret: string | Uint8Array) => secret.length < 16)
}

// One Keygrip per secret, over an imported key: `Keygrip.index` over all of them takes three HMACs a key, since it
// compares by a second HMAC; `sign` and timingSafeEqual take one. Output and rotation are Keygrip's own.
class SecretKeyring implements Keyring {
  readonly length = 43
  readonly isFixed = true
  readonly #newest: Keygrip
  readonly #older: readonly Keygrip[]

  constructor(newest: string | Uint8Array, older: Secrets) {
    this.#newest = keygripOf(newest)
    this.#older = older.map(keygripOf)
  }

  sign(text: string): string {
    return this.#newest.sign(text)
  }

  index(text: string, signature: string): number {
    if (equal(signature, this.#newest.sign(text))) return 0
    return this.#older.findIndex((keygrip) => equal(signature, keygrip.sign(text))) + 1 || -1
  }
}

function keygripOf(secret: string | Uint8Array): Keygrip {
  const key = createSecretKey(typeof secret === 'string' ? Buffer.from(secret) : secret)
  // Keygrip hands its keys to createHmac, which takes an imported one; its types know strings alone.
  return new Keygrip([key as unknown as string], 'sha256', 'base64url')
}

class ForeignKeyring implements Keyring {
  readonly length: number
  // A Keygrip does not say when its keys change.
  readonly isFixed = false
  readonly #keygrip: KeygripLike

  constructor(keygrip: KeygripLike, name: string) {
    const sample = keygrip.sign('koa-fastsession')
    if (!/^[\w-]{20,128}$/.test(sample)) {
      throw invalidMix(
        `${name} is a Keygrip whose signatures are not 20 to 128 characters of base64url or hex: use new Keygrip(secrets, 'sha256')`,
      )
    }
    this.length = sample.length
    this.#keygrip = keygrip
  }

  sign(text: string): string {
    return this.#keygrip.sign(text)
  }

  index(text: string, signature: string): number {
    return equal(signature, this.#keygrip.sign(text)) ? 0 : this.#keygrip.index(text, signature)
  }
}

let given = Buffer.alloc(128)
let wanted = Buffer.alloc(128)

function equal(signature: string, expected: string): boolean {
  const { length } = expected
  if (signature.length !== length) return false
  if (given.length !== length) {
    given = Buffer.alloc(length)
    wanted = Buffer.alloc(length)
  }
  given.write(signature, 'latin1')
  wanted.write(expected, 'latin1')
  return timingSafeEqual(given, wanted)
}

/**
 * Checks attributes against what browsers refuse (RFC 6265bis, sections 4.1.3 and 5.7).
 *
 * @throws {TypeError} naming the attribute or the combination.
 */
export function cookieSettings(options: unknown, at: string): CookieSettings {
  if (typeof options !== 'object' || options === null)
    throw invalidType(at, 'an object of attributes or a function of ctx', options)
  for (const key of Object.keys(options)) {
    if (!COOKIE_ATTRIBUTES.includes(key))
      throw invalidMix(
        `${at}.${key} is no attribute here: ${at} takes ${COOKIE_ATTRIBUTES.join(', ')}; the lifetime is options.maxAge`,
      )
  }
  const {
    name = 'sid',
    path = '/',
    domain,
    httpOnly = true,
    secure = 'auto',
    sameSite = 'lax',
    partitioned = false,
    priority,
  } = options as CookieOptions
  text(name, `${at}.name`, TOKEN, "a token of at most 256 letters, digits and !#$%&'*+-.^_`|~")
  text(path, `${at}.path`, ATTRIBUTE, 'a path of printable characters without a semicolon')
  if (!path.startsWith('/') || path.length > 1024)
    throw invalidValue(`${at}.path`, 'a path that begins with / and has at most 1024 characters', path)
  if (domain !== undefined)
    text(domain, `${at}.domain`, /^(?=.{1,253}$)\.?[\w-]+(?:\.[\w-]+)*$/, 'a host name, such as example.com')
  if (typeof httpOnly !== 'boolean') throw invalidType(`${at}.httpOnly`, 'true or false', httpOnly)
  if (typeof partitioned !== 'boolean') throw invalidType(`${at}.partitioned`, 'true or false', partitioned)
  oneOf(secure, `${at}.secure`, ['auto', true, false])
  oneOf(sameSite, `${at}.sameSite`, ['strict', 'lax', 'none', false])
  oneOf(priority, `${at}.priority`, [undefined, 'low', 'medium', 'high'])
  // Browsers match the prefixes in any case.
  const prefix = /^__(?:host-http|host|http|secure)-/.exec(name.toLowerCase())?.[0]
  const needsSecure = prefix !== undefined || sameSite === 'none' || partitioned
  if (needsSecure && secure === false) {
    throw invalidMix(
      `${at}.secure must not be false with ${prefix !== undefined ? `the name prefix ${prefix}` : partitioned ? 'partitioned' : "sameSite 'none'"}: browsers refuse such a cookie`,
    )
  }
  if (prefix?.startsWith('__host') === true && (domain !== undefined || path !== '/')) {
    throw invalidMix(
      `${at} must have no domain and the path / with the name prefix ${prefix}: browsers refuse such a cookie`,
    )
  }
  if (prefix?.endsWith('http-') === true && !httpOnly) {
    throw invalidMix(`${at}.httpOnly must be true with the name prefix ${prefix}: browsers refuse such a cookie`)
  }
  let attributes = `; Path=${path}`
  if (domain !== undefined) attributes = `; Domain=${domain}${attributes}`
  if (httpOnly) attributes += '; HttpOnly'
  if (sameSite !== false) attributes += `; SameSite=${capital(sameSite)}`
  if (priority !== undefined) attributes += `; Priority=${capital(priority)}`
  if (partitioned) attributes += '; Partitioned'
  const secureAttributes = `${attributes}; Secure`
  return {
    name,
    prefix: `${name}=`,
    isAuto: secure === 'auto' && !needsSecure,
    attributes: secure === true || needsSecure ? secureAttributes : attributes,
    secureAttributes,
  }
}

/** A Set-Cookie line. `maxAge` in seconds; `undefined` for a cookie that lives while the browser runs, 0 clears it. */
export function setCookieLine(
  cookie: CookieSettings,
  value: string,
  maxAge: number | undefined,
  isSecure: boolean,
): string {
  const lifetime = maxAge === undefined ? '' : `; Max-Age=${maxAge}`
  return `${cookie.prefix}${value}${lifetime}${cookie.isAuto && isSecure ? cookie.secureAttributes : cookie.attributes}`
}

function text(value: unknown, name: string, pattern: RegExp, rule: string): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, rule, value)
  if (!pattern.test(value)) throw invalidValue(name, rule, value)
}

function oneOf(value: unknown, name: string, allowed: readonly (string | boolean | undefined)[]): void {
  if (allowed.some((word) => word === value)) return
  const words = allowed
    .filter((word) => word !== undefined)
    .map((word) => (typeof word === 'string' ? `'${word}'` : String(word)))
  throw invalidValue(name, words.join(' or '), value)
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
