// Sessions of koa-session and express-session, as their own middleware reads and writes them.
import { createHmac, timingSafeEqual } from 'node:crypto'
import Keygrip from 'keygrip'
import type { Context } from 'koa'
import { cookieOf, isNotFound } from '../adapters/express.ts'
import { errorOf, MAX_TTL } from '../adapters/key-value-store.ts'
import { inTime } from '../deadlines.ts'
import { invalidType, storeFailure } from '../errors.ts'
import { assertNames } from '../option-functions.ts'

/** What an old session held. */
export type OldData = Record<string, unknown>

/** A session of another middleware. */
export interface OldSession {
  /** Its secret name in the old store; where the cookie itself holds the session, the cookie's value. */
  readonly name: string
  /** What the app kept in it. */
  readonly data: OldData
  /** When it expires, in epoch milliseconds; `Infinity` if unknown. */
  readonly expiresAt: number
  /** The whole lifetime of its cookie, in milliseconds; `undefined` for a session that ends with the browser. */
  readonly maxAge: number | undefined
}

/** Access to the old sessions of requests: the result of `fromKoaSession()` or `fromExpressSession()`. */
export interface OldSessions {
  /** The name of the old cookie, and of the cookie with its signature, if there is one. */
  readonly cookies: readonly string[]
  /** Whether a store holds the sessions. Otherwise the cookie itself does, and the server cannot end a session. */
  readonly isStored: boolean
  /** The session name in the request's cookie; `undefined` without a cookie with a valid signature. */
  nameIn(ctx: Context): string | undefined
  /** The session of that name, if there is one. @throws {SessionError} `ERR_SESSION_STORE` when the old store failed. */
  find(name: string, ctx: Context): Promise<OldSession | undefined>
  /** Makes it end `left` milliseconds after `now`, which is never later than before. @throws {SessionError} `ERR_SESSION_STORE`. */
  endIn(old: OldSession, left: number, now: number, ctx: Context): Promise<void>
}

/** Whether a request brings an old cookie, with or without a valid signature. */
export function hasOldCookie({ cookies }: OldSessions, ctx: Context): boolean {
  return cookies.some((name) => ctx.cookies.get(name, { signed: false }) !== undefined)
}

/** A store for koa-session: the methods that are used here. */
export interface OldKoaStore {
  get(key: string, maxAge: number, options: object): unknown
  set(key: string, session: object, maxAge: number, options: object): unknown
  destroy?(key: string, options: object): unknown
}

/** The app's own Keygrip. Declared by its shape, so that users of this package do not depend on Keygrip's types. */
export interface OldKeygrip {
  /** Whether one of its secrets made the signature. */
  verify(data: string, digest: string): boolean
}

/** The options that `koa-session` had. */
export interface KoaSessionOptions {
  /** @default 'koa.sess' */
  readonly key?: string | undefined
  /** Left out where the cookie itself holds the data. */
  readonly store?: OldKoaStore | undefined
  /** The old secrets. Needed unless they are among `app.keys`. @default app.keys */
  readonly keys?: readonly string[] | OldKeygrip | undefined
}

// A store that never answers must not block a request. Milliseconds.
const TIMEOUT = 5000

/**
 * The sessions of koa-session. `key` and `store` are koa-session's options of the same names, `keys` the secrets that it signed
 * with.
 *
 * Without a store the cookie itself holds the data, and the server cannot end the session: as with koa-session, a copy of the
 * cookie is valid until it expires, and at most until `until`.
 *
 * @throws {TypeError} for unknown options and for values of a wrong type.
 */
export function fromKoaSession(options: KoaSessionOptions = {}): OldSessions {
  assertNames(options, 'fromKoaSession()', ['key', 'store', 'keys'])
  const { key = 'koa.sess', store, keys } = options
  if (typeof key !== 'string' || key === '') throw invalidType('options.key', 'the name of the old cookie', key)
  if (store !== undefined) checkStore(store, 'a store for koa-session')
  const keygrip = keys === undefined ? undefined : keygripOf(keys)
  return {
    cookies: [key, `${key}.sig`],
    isStored: store !== undefined,
    nameIn(ctx) {
      const value = ctx.cookies.get(key, { signed: false })
      const signature = ctx.cookies.get(`${key}.sig`, { signed: false })
      if (value === undefined || signature === undefined) return undefined
      // The name of a session in a store that was forgotten here, or written by an app with its own `encode`.
      if (store === undefined && !isObject(decoded(value))) return undefined
      // Verified here: the cookies module would re-sign the cookie with the newest key, which old processes may not know.
      return (keygrip ?? keygripOf(ctx.app.keys)).verify(`${key}=${value}`, signature) ? value : undefined
    },
    async find(name, ctx) {
      // Some stores set a session's lifetime to this when they read it, so it must be the longest.
      const held =
        store === undefined ? decoded(name) : await answered(() => store.get(name, MAX_TTL, { ctx, rolling: false }))
      if (!isObject(held)) return undefined
      const { _expire, _maxAge, _session } = held
      return {
        name,
        // Properties that begin with `_` are koa-session's own.
        data: Object.fromEntries(Object.entries(held).filter(([property]) => !property.startsWith('_'))),
        expiresAt: instantOf(typeof _expire === 'number' ? _expire : NaN),
        maxAge: typeof _maxAge === 'number' && _session !== true ? _maxAge : undefined,
      }
    },
    async endIn({ name, data }, left, now, ctx) {
      if (store === undefined) return
      const ending = { ...data, _expire: now + left, _maxAge: left }
      if (left <= 0 && typeof store.destroy === 'function') await answered(() => store.destroy?.(name, { ctx }))
      else await answered(() => store.set(name, ending, Math.max(left, 1), { ctx, rolling: false, changed: true }))
    },
  }
}

/** As its own middleware takes it: a session whose end is no instant has none. */
function instantOf(end: number): number {
  return Number.isNaN(end) ? Infinity : end
}

function keygripOf(keys: unknown): OldKeygrip {
  if (keys instanceof Keygrip) return keys
  // A Keygrip of another copy of the package is recognised by its shape.
  if (typeof (keys as Partial<OldKeygrip> | undefined)?.verify === 'function') return keys as OldKeygrip
  if (Array.isArray(keys) && keys.length > 0 && keys.every((key) => typeof key === 'string' && key.trim() !== ''))
    return new Keygrip(keys as string[])
  throw invalidType(
    'keys of fromKoaSession(), or else app.keys,',
    'a Keygrip or a non-empty list of the secrets that koa-session signed with',
    keys,
  )
}

function decoded(value: string): unknown {
  try {
    return JSON.parse(Buffer.from(value, 'base64').toString())
  } catch {
    return undefined
  }
}

/** A store for express-session: the methods that are used here. */
export interface OldExpressStore {
  get(sid: string, callback: (error: unknown, session?: unknown) => void): unknown
  // `never`: stores write any session as it is, but their types require express-session's own class.
  set(sid: string, session: never, callback: (error?: unknown) => void): unknown
  destroy?(sid: string, callback: (error?: unknown) => void): unknown
}

/** The options that `express-session` had. */
export interface ExpressSessionOptions {
  /** @default 'connect.sid' */
  readonly name?: string | undefined
  /** The old secrets, newest first. */
  readonly secret: string | readonly string[]
  /** The old store. */
  readonly store: OldExpressStore
}

/**
 * The sessions of express-session. `name`, `secret` and `store` are express-session's options of the same names.
 *
 * @throws {TypeError} for unknown options and for values of a wrong type.
 */
export function fromExpressSession(options: ExpressSessionOptions): OldSessions {
  assertNames(options, 'fromExpressSession()', ['name', 'secret', 'store'])
  const { name: cookieName = 'connect.sid', secret, store } = options
  if (typeof cookieName !== 'string' || cookieName === '')
    throw invalidType('options.name', 'the name of the old cookie', cookieName)
  const secrets: unknown[] = [secret].flat()
  if (secrets.length === 0 || !secrets.every((one) => typeof one === 'string' && one.trim() !== ''))
    throw invalidType('options.secret', 'a secret or a list of them', secret)
  checkStore(store, 'a store for express-session')
  return {
    cookies: [cookieName],
    isStored: true,
    nameIn: (ctx) => unsigned(ctx.cookies.get(cookieName, { signed: false }), secrets as string[]),
    async find(name) {
      const held = await called((callback) => store.get(name, callback))
      if (!isObject(held)) return undefined
      const { cookie, ...data } = held
      const { expires, originalMaxAge } = isObject(cookie) ? cookie : {}
      return {
        name,
        data,
        expiresAt: instantOf(
          typeof expires === 'string' || expires instanceof Date ? new Date(expires).valueOf() : NaN,
        ),
        maxAge: typeof originalMaxAge === 'number' && originalMaxAge > 0 ? originalMaxAge : undefined,
      }
    },
    async endIn({ name, data }, left, now) {
      const ending = { ...data, cookie: cookieOf(left, now) }
      if (left <= 0 && typeof store.destroy === 'function') await called((callback) => store.destroy?.(name, callback))
      else await called((callback) => store.set(name, ending as never, callback))
    },
  }
}

/** The id in `s:<id>.<signature>`, if one of the secrets signed it. */
function unsigned(value = '', secrets: readonly string[]): string | undefined {
  const text = value.replace(/%[\da-f]{2}/gi, (hex) => String.fromCharCode(parseInt(hex.slice(1), 16)))
  const [, sid, signature] = /^s:(.+)\.([\w+/]{43})$/.exec(text) ?? []
  if (sid === undefined || signature === undefined) return undefined
  const isSigned = secrets.some((secret) => {
    const right = createHmac('sha256', secret).update(sid).digest('base64').slice(0, 43)
    return timingSafeEqual(Buffer.from(signature), Buffer.from(right))
  })
  return isSigned ? sid : undefined
}

function called(call: (callback: (error: unknown, value?: unknown) => void) => unknown): Promise<unknown> {
  const calledBack = new Promise((resolve, reject) => {
    const refuse = (error: unknown): void => reject(errorOf(error))
    const answer = call((error, value) => {
      if (isNotFound(error)) resolve(undefined)
      else if (error) refuse(error)
      else resolve(value)
    })
    if (answer instanceof Promise) answer.catch(refuse)
  })
  return answered(() => calledBack)
}

async function answered(call: () => unknown): Promise<unknown> {
  try {
    return await inTime(TIMEOUT, call(), () => {
      throw new Error(`no answer within ${TIMEOUT} ms`)
    })
  } catch (cause) {
    throw storeFailure('the store of the old sessions failed: error.cause says why', { cause })
  }
}

function checkStore(store: unknown, rule: string): void {
  const { get, set } = (store ?? {}) as { get?: unknown; set?: unknown }
  if (typeof get !== 'function' || typeof set !== 'function')
    throw invalidType('options.store', `${rule}, with get and set`, store)
}

function isObject(value: unknown): value is OldData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether the value, or one inside it, is that text, or that number. */
export function names(value: unknown, owner: string): boolean {
  const found: unknown[] = [value]
  // Not by recursion: a value of a visitor may be nested deeper than the stack.
  for (const one of found) {
    if (typeof one === 'object' && one !== null) found.push(...(Object.values(one) as unknown[]))
    else if (String(one) === owner) return true
  }
  return false
}
