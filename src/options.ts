// What a user may set: defaults and validation. Turns SessionOptions into frozen Settings, once, when session() is called.
import type { Context } from 'koa'
import { customCodec, jsonCodec, type Codec, type SessionCodec } from './record/codec.ts'
import {
  checkSecret,
  COOKIE_ATTRIBUTES,
  cookieSettings,
  hasShortSecret,
  keyring,
  LISTED,
  type CookieOptions,
  type CookieSettings,
  type KeygripLike,
  type LiveKeyring,
  type Secrets,
} from './cookie/cookie.ts'
import { invalidMix, invalidType, invalidValue } from './errors.ts'
import type { SessionLogger } from './events.ts'
import { newId } from './cookie/id.ts'
import { DAY, limitsOf, LONGEST_COOKIE, type Limits } from './record/lifetime.ts'
import type { SessionStore } from './store.ts'
import { MemoryStore } from './stores/memory.ts'

/** Milliseconds, or a number with a unit: `'500ms'`, `'30s'`, `'30m'`, `'2h'`, `'7d'`, `'2w'`. */
export type Duration = number | string

/** A request header that leaves the request without a session. */
export interface SkipHeader {
  /** In any case: names of headers have none. */
  readonly name: string
  /** Compared exactly; `'*'` matches any. */
  readonly value: string
}

/** The part of the Standard Schema interface (standardschema.dev) that is used: zod, valibot, arktype and others have it. */
export interface StandardSchema<Output = unknown> {
  /** What such a library puts there. */
  readonly '~standard': {
    /** Answers at once or with a promise. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

/** What a Standard Schema answers. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** One thing that a Standard Schema found. */
export interface SchemaIssue {
  /** It may quote data, so it is shown nowhere. */
  readonly message: string
  /** Where in data: this the error names. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/**
 * Everything that `session()` takes. All of it is optional; a wrong option throws a `TypeError` when `session()` is called.
 * `Data` is what the sessions hold.
 */
export interface SessionOptions<Data extends object = Record<string, unknown>> {
  /**
   * What signs the cookie: secrets, newest first (HMAC-SHA256), or a Keygrip. All verify, the first signs; a cookie signed
   * with an older one is issued anew. To rotate, put a new secret in front: an array that changes counts from the next
   * request on.
   *
   * @default `app.keys`, which must be set before the first request then
   */
  readonly keys?: KeygripLike | Secrets
  /**
   * Where sessions are kept. The default is for one process that may forget them when it restarts.
   *
   * @default new MemoryStore()
   */
  readonly store?: SessionStore
  /** Attributes of the cookie, or a function that gives them, called once for each request. */
  readonly cookie?: CookieOptions | ((ctx: Context) => CookieOptions)
  /**
   * 0: the cookie lives while the browser runs. Above: cookie and session live this long, from one second to 400 days, the
   * longest that browsers keep a cookie (RFC 6265bis, section 5.5).
   *
   * @default 0
   */
  readonly maxAge?: Duration
  /** With `maxAge`, and only with it: use renews it, and the cookie is issued again with each touch that is due. @default false */
  readonly rolling?: boolean
  /**
   * The session ends after this long without a request (OWASP's idle timeout). Use is noted in the store when a tenth of it
   * has passed since the last note, or an hour.
   *
   * @default '2h', or `maxAge` when that is set
   */
  readonly idleTimeout?: Duration
  /**
   * The session ends this long after it began, however active (OWASP's absolute timeout); `false` for never. `signIn`
   * begins it anew.
   *
   * @default '24h'; `maxAge` when that is set; 400 days when rolling
   */
  readonly absoluteTimeout?: Duration | false
  /** Where the manager stands on `ctx.state`: one name for each session middleware of an app. @default 'session' */
  readonly stateKey?: string
  /** `true`: no session for this request. `ctx.state` has no entry then, and `currentSession()` throws. */
  readonly skip?: (ctx: Context) => boolean
  /**
   * No session for requests with this header, or one of these. A client can send it too: not for routes that rely on the
   * session being there.
   */
  readonly skipHeader?: SkipHeader | readonly SkipHeader[]
  /**
   * No record and no cookie until there is something to keep: data, a flash message, `maxAge`, an `id` that was read,
   * `save()`, `signIn()`. `false`: every visitor gets a session at once.
   *
   * @default true
   */
  readonly lazy?: boolean
  /**
   * Two requests that overlap changed the same key of data: `'merge'`, the later commit wins and an event says so;
   * `'throw'`, it is refused with `ERR_SESSION_CONFLICT` (409). Changes of different keys are merged in either case.
   *
   * @default 'merge'
   */
  readonly onConflict?: 'merge' | 'throw'
  /** Deadline of one store call, at most 24 days. One that passes it is `ERR_SESSION_STORE` (503). @default '2s' */
  readonly storeTimeout?: Duration
  /** Largest serialised session, in bytes, before encryption. One above is `ERR_SESSION_TOO_LARGE`. @default 65536 */
  readonly maxBytes?: number
  /**
   * Secrets, newest first: data and flash messages are encrypted (AES-256-GCM) before they reach the store, bound to their
   * record and owner. The first encrypts, all decrypt; a record whose key is not listed is `ERR_SESSION_STORE` (503).
   * Sessions that were stored in the clear before end.
   *
   * @default none: data is stored in the clear
   */
  readonly encryptionKeys?: Secrets
  /**
   * How data becomes text and text data.
   *
   * ```ts
   * import * as devalue from 'devalue' // keeps Date, Map, Set and BigInt
   * session({ codec: devalue })
   * ```
   *
   * @default JSON
   */
  readonly codec?: SessionCodec
  /**
   * A Standard Schema that data satisfies. When a session is loaded, its output becomes data; at the commit data must
   * satisfy it, and its output is dropped, so it must accept what it makes. The empty data of a new session is checked at
   * the commit alone. What does not fit is `ERR_SESSION_SCHEMA`.
   *
   * ```ts
   * session({ schema: z.object({ cart: z.array(z.string()).default([]) }) })
   * ```
   */
  readonly schema?: StandardSchema<Data>
  /**
   * The owner as data tells it, looked at in each commit, for apps that sign in by other means than `signIn`, which is
   * refused then. `undefined`: nobody.
   *
   * ```ts
   * session({ koaSession: true, owner: (data) => data.passport?.user })
   * ```
   */
  readonly owner?: (data: Data) => string | undefined
  /**
   * Makes an id: 22 to 128 characters of the base64url alphabet that nobody can guess, 128 random bits at least.
   *
   * @default 192 random bits
   */
  readonly generateId?: () => string
  /**
   * Also offer koa-session's `ctx.session`, for packages written for it (koa-passport, koa-csrf, grant and others).
   *
   * @default false
   */
  readonly koaSession?: boolean
  /**
   * How often expired records are deleted in a store that needs it, give or take a fifth; at most 24 days. `false`: the app
   * calls `deleteExpired()`.
   *
   * @default '10m'
   */
  readonly sweepInterval?: Duration | false
  /**
   * Told what happens; never an id, a signature or data.
   *
   * @default none: safety notices go to `process.emitWarning`, each once
   */
  readonly logger?: SessionLogger
  /** The clock, in epoch milliseconds, for tests. It alone decides what has expired. @default Date.now */
  readonly now?: () => number
}

/** Options after validation, with every default in place. */
export interface Settings {
  /** `undefined`: those of the app, at each request. */
  readonly keys: LiveKeyring | undefined
  readonly hasShortSecret: boolean
  readonly store: SessionStore
  readonly cookie: CookieSettings | ((ctx: Context) => CookieSettings)
  readonly limits: Limits
  readonly stateKey: string
  readonly skips: ((ctx: Context) => boolean) | undefined
  readonly lazy: boolean
  readonly throwsOnConflict: boolean
  readonly storeTimeout: number
  readonly maxBytes: number
  readonly encryptionKeys: Secrets
  readonly codec: Codec
  readonly schema: StandardSchema | undefined
  readonly owner: ((data: Record<string, unknown>) => string | undefined) | undefined
  readonly generateId: () => string
  readonly koaSession: boolean
  /** 0 for never. */
  readonly sweepInterval: number
  readonly logger: SessionLogger | undefined
  readonly now: () => number
}

// The longest delay of a Node timer.
const LONGEST_TIMER = 2_147_483_647

/**
 * Checks options and puts the defaults in place.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`, naming the option and its rule.
 */
export function settingsOf(given: unknown): Settings {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw invalidType('options', 'an object', given)
  const unknown = Object.keys(given).find((name) => !KNOWN.has(name))
  if (unknown !== undefined) throw unknownOption(given, unknown)
  // Unchecked so far: every field is looked at below.
  const options = given as SessionOptions
  const flag = (name: 'rolling' | 'lazy' | 'koaSession', fallback: boolean): boolean =>
    boolean(set(options[name], fallback), name)
  const maxAge = options.maxAge === undefined ? 0 : lifetime(options.maxAge, 'options.maxAge')
  const rolling = flag('rolling', false)
  if (rolling && maxAge === 0)
    throw invalidMix(
      'options.rolling needs options.maxAge: without it the cookie lives while the browser runs, and there is nothing to renew',
    )
  const idle = options.idleTimeout === undefined ? undefined : duration(options.idleTimeout, 'options.idleTimeout')
  const absolute =
    options.absoluteTimeout === undefined || options.absoluteTimeout === false
      ? options.absoluteTimeout
      : duration(options.absoluteTimeout, 'options.absoluteTimeout')
  const maxBytes = set(options.maxBytes, 65_536)
  if (typeof maxBytes !== 'number')
    throw invalidType('options.maxBytes', 'a whole number of bytes, at least 2', maxBytes)
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 2)
    throw invalidValue('options.maxBytes', 'a whole number of bytes, at least 2', maxBytes)
  const stateKey = set(options.stateKey, 'session')
  if (typeof stateKey !== 'string') throw invalidType('options.stateKey', NAME, stateKey)
  if (stateKey === '' || stateKey === '__proto__') throw invalidValue('options.stateKey', NAME, stateKey)
  const onConflict: unknown = set(options.onConflict, 'merge')
  if (onConflict !== 'merge' && onConflict !== 'throw')
    throw invalidValue('options.onConflict', "'merge' or 'throw'", onConflict)
  return Object.freeze({
    keys: options.keys === undefined ? undefined : checkedKeys(options.keys),
    hasShortSecret: hasShortSecret(options.keys),
    store: options.store === undefined ? new MemoryStore() : checkedStore(options.store),
    cookie: checkedCookie(set(options.cookie, {})),
    limits: limitsOf(maxAge, rolling, idle, absolute),
    stateKey,
    skips: skipping(callable(options.skip, 'skip'), options.skipHeader),
    lazy: flag('lazy', true),
    throwsOnConflict: onConflict === 'throw',
    storeTimeout: options.storeTimeout === undefined ? 2000 : timer(options.storeTimeout, 'options.storeTimeout'),
    maxBytes,
    encryptionKeys: checkedSecrets(options.encryptionKeys),
    codec: options.codec === undefined ? jsonCodec(maxBytes) : customCodec(checkedCodec(options.codec)),
    schema: checkedSchema(options.schema),
    owner: callable(options.owner, 'owner'),
    generateId: callable(options.generateId, 'generateId') ?? newId,
    koaSession: flag('koaSession', false),
    sweepInterval:
      options.sweepInterval === false ? 0 : timer(set(options.sweepInterval, 600_000), 'options.sweepInterval'),
    logger: checkedLogger(options.logger),
    now: whole(callable(options.now, 'now')),
  })
}

/** The default takes the place of what was left out, and of nothing else: `null` is a mistake. */
function set<T>(value: T | undefined, fallback: T): T {
  return value === undefined ? fallback : value
}

const KNOWN = new Set([
  'keys',
  'store',
  'cookie',
  'maxAge',
  'rolling',
  'idleTimeout',
  'absoluteTimeout',
  'stateKey',
  'skip',
  'skipHeader',
  'lazy',
  'onConflict',
  'storeTimeout',
  'maxBytes',
  'encryptionKeys',
  'codec',
  'schema',
  'owner',
  'generateId',
  'koaSession',
  'sweepInterval',
  'logger',
  'now',
])

const NAME = 'a name that is neither empty nor __proto__'

// What koa-session, koa-generic-session and express-session call things.
const ELSEWHERE: Readonly<Record<string, string>> = {
  key: 'cookie: { name }',
  name: 'cookie: { name }',
  secret: 'keys: [secret]',
  renew: 'rolling: true',
  ttl: 'idleTimeout',
  genid: 'generateId',
  genId: 'generateId',
  encode: 'codec: { stringify, parse }',
  decode: 'codec: { stringify, parse }',
  prefix: 'the prefix of the store, new RedisStore(client, { prefix })',
  saveUninitialized: 'lazy, the other way round',
}

/** A name that is none: it may be another package's, or all of `options` another thing. */
function unknownOption(given: object, name: string): TypeError {
  if ('req' in given && 'res' in given)
    return invalidMix('session was mounted without being called: write app.use(session()), not app.use(session)')
  if ('middleware' in given && 'context' in given)
    return invalidMix('session() takes options, not the app: write app.use(session()), it finds app.keys by itself')
  const here =
    COOKIE_ATTRIBUTES.includes(name) && name !== 'name'
      ? `cookie: { ${name} }`
      : Object.hasOwn(ELSEWHERE, name)
        ? ELSEWHERE[name]
        : undefined
  return invalidMix(
    `options.${name} is no option${here === undefined ? '' : `, here it is ${here}`}: the options are ${[...KNOWN].join(', ')}`,
  )
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: DAY, w: 7 * DAY }

/**
 * A duration in milliseconds, above 0.
 *
 * @throws {TypeError} when it is none.
 */
export function duration(value: unknown, name: string): number {
  const rule = "a duration above 0: milliseconds, or a number with a unit such as '30m', '2h', '7d'"
  if (typeof value !== 'number' && typeof value !== 'string') throw invalidType(name, rule, value)
  const milliseconds = Math.round(typeof value === 'number' ? value : parsed(value))
  if (!Number.isSafeInteger(milliseconds) || milliseconds <= 0) throw invalidValue(name, rule, value)
  return milliseconds
}

/**
 * The lifetime of a cookie: 0, or one second to 400 days.
 *
 * @throws {TypeError} when it is out of range.
 */
export function lifetime(value: unknown, name: string): number {
  if (value === 0) return 0
  const milliseconds = duration(value, name)
  if (milliseconds < 1000 || milliseconds > LONGEST_COOKIE) {
    throw invalidValue(name, '0 or from one second to 400 days, the longest that browsers keep a cookie', value)
  }
  return milliseconds
}

function parsed(text: string): number {
  const [amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d|w)$/.exec(text.trim())?.slice(1) ?? []
  return Number(amount) * (UNITS[unit] ?? NaN)
}

function timer(value: unknown, name: string): number {
  const milliseconds = duration(value, name)
  if (milliseconds > LONGEST_TIMER) throw invalidValue(name, 'at most 24 days', value)
  return milliseconds
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw invalidType(`options.${name}`, 'true or false', value)
  return value
}

function callable<Fn>(value: Fn, name: string): Fn {
  if (value !== undefined && typeof value !== 'function') throw invalidType(`options.${name}`, 'a function', value)
  return value
}

function checkedKeys(keys: unknown): LiveKeyring {
  const live = keyring(keys, 'options.keys')
  live.current()
  return live
}

/** Databases keep instants as whole numbers; a clock may tell fractions. */
function whole(now: (() => number) | undefined): () => number {
  return now === undefined ? Date.now : () => Math.floor(now())
}

const VERBS = ['create', 'read', 'replace', 'touch', 'delete'] as const

function checkedStore(store: unknown): SessionStore {
  if (typeof store !== 'object' || store === null)
    throw invalidType('options.store', 'a session store', store, 'such as new MemoryStore()')
  const missing = VERBS.find((verb) => typeof (store as Record<string, unknown>)[verb] !== 'function')
  if (missing !== undefined) {
    throw invalidType(
      `options.store.${missing}`,
      'a function',
      (store as Record<string, unknown>)[missing],
      'a database client goes into a store, such as new RedisStore(client), and a store made for koa-session, express-session or Keyv through koa-fastsession/adapters',
    )
  }
  return store as SessionStore
}

function checkedCookie(cookie: unknown): Settings['cookie'] {
  if (typeof cookie !== 'function') return Object.freeze(cookieSettings(cookie, 'options.cookie'))
  const attributes = cookie as (ctx: Context) => CookieOptions
  return (ctx) => cookieSettings(attributes(ctx), 'options.cookie(ctx)')
}

function skipping(skip: SessionOptions['skip'], given: unknown): Settings['skips'] {
  if (given === undefined) return skip
  const headers = (Array.isArray(given) ? given : [given]).map((header: unknown, at) => {
    const { name, value } = (typeof header === 'object' && header !== null ? header : {}) as Partial<SkipHeader>
    if (typeof name !== 'string' || name === '' || typeof value !== 'string') {
      throw invalidType(
        `options.skipHeader${Array.isArray(given) ? `[${at}]` : ''}`,
        'an object { name, value } of strings',
        header,
      )
    }
    return { name: name.toLowerCase(), value }
  })
  return (ctx) =>
    headers.some(({ name, value }) => {
      const sent = ctx.req.headers[name]
      return sent !== undefined && (value === '*' || (Array.isArray(sent) ? sent.includes(value) : sent === value))
    }) ||
    (skip?.(ctx) ?? false)
}

function checkedSecrets(secrets: unknown): Secrets {
  if (secrets === undefined) return []
  const rule = 'a non-empty list of secrets, newest first'
  if (!Array.isArray(secrets))
    throw invalidType('options.encryptionKeys', rule, secrets, typeof secrets === 'string' ? LISTED : undefined)
  if (secrets.length === 0) throw invalidValue('options.encryptionKeys', rule, secrets)
  secrets.forEach((secret: unknown, at) => checkSecret(secret, `options.encryptionKeys[${at}]`))
  return [...(secrets as Secrets)]
}

function checkedCodec(codec: unknown): SessionCodec {
  const { stringify, parse } = (
    typeof codec === 'object' || typeof codec === 'function' ? (codec ?? {}) : {}
  ) as Partial<SessionCodec>
  if (typeof stringify !== 'function' || typeof parse !== 'function')
    throw invalidType('options.codec', 'an object with the functions stringify and parse', codec)
  return codec as SessionCodec
}

function checkedSchema(schema: unknown): StandardSchema | undefined {
  if (schema === undefined) return undefined
  // Some schemas (arktype's) are functions.
  const standard = (
    (typeof schema === 'object' || typeof schema === 'function') && schema !== null ? schema : {}
  ) as Partial<StandardSchema>
  if (typeof standard['~standard']?.validate !== 'function')
    throw invalidType('options.schema', 'a Standard Schema (zod, valibot, arktype ...)', schema)
  return standard as StandardSchema
}

function checkedLogger(logger: unknown): SessionLogger | undefined {
  if (logger === undefined) return undefined
  if (typeof logger !== 'object' || logger === null)
    throw invalidType('options.logger', 'an object with some of debug, info, warn and error', logger)
  for (const level of ['debug', 'info', 'warn', 'error']) {
    const log: unknown = (logger as Record<string, unknown>)[level]
    if (log !== undefined && typeof log !== 'function') throw invalidType(`options.logger.${level}`, 'a function', log)
  }
  return logger
}

/**
 * The owner of a session.
 *
 * @throws {TypeError} unless it has 1 to 255 characters.
 */
export function checkedOwner(owner: unknown, name: string): string {
  const rule = 'a string of 1 to 255 characters'
  if (typeof owner !== 'string') throw invalidType(name, rule, owner)
  if (owner === '' || owner.length > 255) throw invalidValue(name, rule, owner)
  return owner
}
