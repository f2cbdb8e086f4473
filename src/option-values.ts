// The options that are more than a number or a flag: each function checks one, and returns what the core works with.
import type { Context } from 'koa'
import { checkFlag, checkInnerNames, checkOneOf, checkText } from './checks.ts'
import { isId, newId } from './cookie/id.ts'
import { checkSecrets } from './cookie/keyring.ts'
import type { BindingSettings } from './device-bound/policy.ts'
import { duration } from './duration.ts'
import { invalidMix, invalidType, invalidValue, SessionError } from './errors.ts'
import type { SessionLogger } from './events.ts'
import { callable, isNamed, plainAnswer, remedyFor, type Predicate } from './option-functions.ts'
import type { ClearSiteData, SessionOptions, SkipHeader } from './options.ts'
import type { StandardSchema } from './record/schema.ts'
import { customCodec, jsonCodec, koaJsonCodec, type Codec, type SessionCodec } from './record/codec.ts'
import { MAX_COOKIE_AGE } from './record/lifetime.ts'
import { frozen } from './record/objects.ts'
import type { EncryptionSettings } from './record/encryption.ts'
import type { DeviceFacts } from './record/payload.ts'
import { isObject, isPromise, type SessionStore } from './store.ts'

const VERBS = ['create', 'read', 'replace', 'touch', 'delete'] as const
const OPTIONAL_VERBS = [
  'list',
  'listKeys',
  'scan',
  'subscribe',
  'watchEvictions',
  'serverTime',
  'deleteExpired',
  'close',
] as const

export function storeOf(store: unknown, name = 'options.store'): SessionStore {
  if (!isObject(store) || isPromise(store))
    throw invalidType(name, 'a session store', store, 'such as new MemoryStore()')
  const verbs = store as Readonly<Record<string, unknown>>
  const missing = VERBS.find((verb) => typeof verbs[verb] !== 'function')
  const remedy =
    'a database client goes into a store, new RedisStore(client), and a store of koa-session, express-session or Keyv through koa-fastsession/adapters'
  if (missing !== undefined) throw invalidType(`${name}.${missing}`, 'a function', verbs[missing], remedy)
  const wrong = OPTIONAL_VERBS.find((verb) => verbs[verb] !== undefined && typeof verbs[verb] !== 'function')
  if (wrong !== undefined) throw invalidType(`${name}.${wrong}`, 'a function, or left out', verbs[wrong])
  return store as SessionStore
}

/** `skip` and `skipHeader` as one predicate. */
export function skipOf(skip: Predicate | undefined, given: unknown): Predicate | undefined {
  if (given === undefined) return skip
  const headers = (Array.isArray(given) ? given : [given]).map((header: unknown, at) => {
    const name = `options.skipHeader${Array.isArray(given) ? `[${at}]` : ''}`
    const rule = 'an object { name, value } of strings'
    if (!isObject(header)) throw invalidType(name, rule, header)
    checkInnerNames(header, name, ['name', 'value'])
    const { name: field, value } = header as Partial<SkipHeader>
    checkText(field, `${name}.name`, /^[!#$%&'*+\-.^_`|~\w]+$/, 'the name of a header')
    if (typeof value !== 'string') throw invalidType(`${name}.value`, 'a string', value)
    return { field: field.toLowerCase(), value }
  })
  return (ctx) =>
    headers.some(({ field, value }) => {
      const { headers: all } = ctx.req
      const sent = Object.hasOwn(all, field) ? all[field] : undefined
      return sent !== undefined && (value === '*' || (Array.isArray(sent) ? sent.includes(value) : sent === value))
    }) ||
    (skip?.(ctx) ?? false)
}

export function encryptionOf(given: unknown): EncryptionSettings | undefined {
  if (given === undefined) return
  const at = 'options.encryptionKeys'
  const isList = !isNamed(given)
  const named: Readonly<Record<string, unknown>> = isList ? { keys: given } : given
  checkInnerNames(named, at, ['keys', 'encrypt', 'acceptPlain', 'onUnknownKey'])
  const { keys, encrypt = true, acceptPlain = false, onUnknownKey = 'fail' } = named
  checkFlag(encrypt, `${at}.encrypt`)
  checkFlag(acceptPlain, `${at}.acceptPlain`)
  checkOneOf(onUnknownKey, `${at}.onUnknownKey`, ['fail', 'end'])
  checkSecrets(keys, isList ? at : `${at}.keys`, 'a non-empty list of secrets, newest first')
  return { keys: [...keys], encrypt, acceptPlain, onUnknownKey }
}

export function codecOf(codec: unknown, maxBytes: number, isKoaSession: boolean): Codec {
  if (codec === undefined) return isKoaSession ? koaJsonCodec(maxBytes) : jsonCodec(maxBytes)
  const { stringify, parse } = (codec ?? {}) as Partial<SessionCodec>
  if (typeof stringify !== 'function' || typeof parse !== 'function')
    throw invalidType('options.codec', 'an object with the functions stringify and parse', codec)
  const given = codec as SessionCodec
  let text: unknown = ''
  let back: unknown
  try {
    text = given.stringify({})
    back = typeof text === 'string' && given.parse(text)
  } catch {
    // What the codec throws is reported at the commit.
  }
  if (typeof text !== 'string')
    throw invalidType('the result of options.codec.stringify', 'a string', text, remedyFor(text))
  if (isPromise(back)) throw invalidType('the result of options.codec.parse', 'a value', back, remedyFor(back))
  return customCodec(given)
}

export function schemaOf(schema: unknown): StandardSchema | undefined {
  if (schema === undefined) return
  // Some schemas (arktype's) are functions.
  const { '~standard': standard } = (schema ?? {}) as Partial<StandardSchema>
  if (typeof standard?.validate !== 'function')
    throw invalidType('options.schema', 'a Standard Schema (zod, valibot, arktype ...)', schema)
  return schema as StandardSchema
}

/**
 * The owner of a session.
 *
 * @throws {TypeError} unless it has 1 to 255 characters.
 */
export function checkedOwner(owner: unknown, name: string): string {
  checkText(owner, name, /^.{1,255}$/s, 'a string of 1 to 255 characters', remedyFor(owner))
  return owner
}

export function ownerOf(owner: unknown): ((data: Record<string, unknown>) => string | undefined) | undefined {
  const asked = callable(owner as ((data: Record<string, unknown>) => unknown) | undefined, 'options.owner')
  if (asked === undefined) return
  return (data) => {
    const answer = asked(data)
    return answer === undefined ? undefined : checkedOwner(answer, 'any result of options.owner but undefined')
  }
}

const MAX_DEVICE_BYTES = 1024
const MAX_ADDRESS = 100
const MAX_USER_AGENT = 512

export function deviceOf(device: unknown): ((ctx: Context) => DeviceFacts) | undefined {
  if (device === undefined || device === false) return
  if (device === true) return (ctx) => frozen(addressAndUserAgent(ctx))
  if (typeof device !== 'function') throw invalidType('options.device', 'true, false or a function of ctx', device)
  return (ctx) => frozen(deviceFacts((device as (ctx: Context) => unknown)(ctx)))
}

/** Values are cut, never refused: a long header must not prevent a sign-in. */
function addressAndUserAgent(ctx: Context): DeviceFacts {
  const userAgent = ctx.req.headers['user-agent']
  // Behind a proxy the address comes from a header.
  const address = ctx.ip.slice(0, MAX_ADDRESS)
  return userAgent === undefined ? { address } : { address, userAgent: userAgent.slice(0, MAX_USER_AGENT) }
}

function deviceFacts(answer: unknown): DeviceFacts {
  const checked = (value: unknown): object =>
    plainAnswer(value, 'the result of options.device', 'an object that JSON keeps')
  const text = JSON.stringify(checked(answer)) as string | undefined
  const bytes = Buffer.byteLength(text ?? '')
  if (bytes > MAX_DEVICE_BYTES) {
    throw new SessionError(
      'ERR_SESSION_TOO_LARGE',
      `options.device gave ${bytes} bytes of JSON, and ${MAX_DEVICE_BYTES} is the most: keep what tells one device from another`,
    )
  }
  return checked(text && JSON.parse(text)) as DeviceFacts
}

/** Whether `options.crossSite` lets a request of another site in. `origin` is its Origin header, as it was sent. */
export type Trusts = (ctx: () => Context, origin: string | undefined) => boolean

export function trustsOf(given: unknown): Trusts | undefined {
  const at = 'options.crossSite'
  if (given === 'allow') return
  if (given === 'refuse') return () => false
  const rule = "'refuse', 'allow' or { trust: [origin] }"
  if (typeof given === 'string') throw invalidValue(at, rule, given)
  if (!isNamed(given)) throw invalidType(at, rule, given)
  checkInnerNames(given, at, ['trust'])
  const { trust } = given
  if (typeof trust === 'function') {
    return (ctx) => {
      const answer: unknown = (trust as (ctx: Context) => unknown)(ctx())
      if (typeof answer === 'boolean') return answer
      throw invalidType(`the result of ${at}.trust`, 'true or false', answer, remedyFor(answer))
    }
  }
  if (!Array.isArray(trust)) throw invalidType(`${at}.trust`, 'a list of origins or a function of ctx', trust)
  const origins = new Set(trust.map((origin: unknown, index) => originOf(origin, `${at}.trust[${index}]`)))
  return (_ctx, origin) => origin !== undefined && origins.has(origin.toLowerCase())
}

/** An origin as browsers write it. */
function originOf(value: unknown, name: string): string {
  const rule = "an origin without a path, such as 'https://pay.example'"
  checkText(value, name, /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s\\*]+$/i, rule)
  if (!URL.canParse(value)) throw invalidValue(name, rule, value)
  const { origin, protocol, host } = new URL(value)
  // The URL of a scheme that is not the web's, such as a browser extension's, has no origin.
  return origin === 'null' ? `${protocol}//${host}`.toLowerCase() : origin
}

const CLEARABLE: readonly ClearSiteData[] = ['cache', 'storage', 'executionContexts', 'clientHints']

export function clearSiteDataOf(given: unknown): string | undefined {
  if (given === undefined) return
  const at = 'options.clearSiteData'
  const names = CLEARABLE.map((name) => `'${name}'`).join(', ')
  if (!Array.isArray(given)) throw invalidType(at, `a list of ${names}`, given)
  for (const [index, name] of (given as unknown[]).entries()) {
    const [place, rule] = [`${at}[${index}]`, `one of ${names}`]
    if (typeof name !== 'string') throw invalidType(place, rule, name)
    if (!(CLEARABLE as readonly string[]).includes(name))
      throw invalidValue(place, rule, name, "the session's cookie is cleared anyway, and others are the app's")
  }
  return [...new Set(given as string[])].map((name) => `"${name}"`).join(', ') || undefined
}

const LEAST_WITHIN = 300_000

export function bindingOf(given: unknown): BindingSettings | undefined {
  const at = 'options.deviceBound'
  if (given === false) return
  const chosen = given === true ? {} : given
  if (!isNamed(chosen)) throw invalidType(at, 'true, false or an object { within, path }', given)
  checkInnerNames(chosen, at, ['within', 'path'])
  const { within: time = 600_000, path = '/.session/device' } = chosen
  const within = duration(time, `${at}.within`)
  const rule = 'at least five minutes, below which browsers stop to sign, and at most 400 days'
  if (within < LEAST_WITHIN || within > MAX_COOKIE_AGE) throw invalidValue(`${at}.within`, rule, time)
  checkText(
    path,
    `${at}.path`,
    // Chromium resolves escapes before it sends its request: those are left that are made again.
    /^(?=.{1,256}$)(?!.*\/\.{1,2}(?:\/|$))(?:\/(?:[!$&'()*+,\-.0-9:=@A-Z_a-z~]|%20|%[89A-F][0-9A-F])+)+$/,
    'a path of printable characters that begins with / and does not end with it, without a query, . and .., and with no escapes but %20 and those of non-ASCII characters, in capitals',
  )
  return { within, path }
}

/** @throws {TypeError} when the browser would not send the cookie to the path of `deviceBound`. */
export function assertBelow(path: string, cookiePath: string): void {
  if (!path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`))
    throw invalidMix(
      `options.deviceBound.path must lie below the path of the cookie, ${JSON.stringify(cookiePath)}: browsers send no cookie to ${JSON.stringify(path)}`,
    )
}

export function generateIdOf(generateId: SessionOptions['generateId']): () => string {
  const asked = callable(generateId, 'options.generateId')
  if (asked === undefined) return newId
  const checked = (): string => {
    const id: unknown = asked()
    if (isId(id)) return id
    const rule = '22 to 128 characters of the base64url alphabet'
    throw invalidValue('the result of options.generateId', rule, id, remedyFor(id))
  }
  // Called once now, so that a wrong generator is found before the first visitor. The id is dropped.
  checked()
  return checked
}

export function loggerOf(logger: unknown): SessionLogger | undefined {
  if (logger === undefined) return
  if (!isObject(logger) || isPromise(logger))
    throw invalidType('options.logger', 'an object with some of debug, info, warn and error', logger)
  for (const level of ['debug', 'info', 'warn', 'error'])
    callable((logger as Record<string, unknown>)[level], `options.logger.${level}`)
  return logger
}
