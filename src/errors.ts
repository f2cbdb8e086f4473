// The catalogue of errors: every code and its status, the messages that several modules share, and the wording for refused
// options. These functions only make errors: state and events are left to the caller.
import { markClass } from './copies.ts'
import { isPromise } from './store.ts'

const STATUS = {
  ERR_SESSION_NO_CONTEXT: 500,
  ERR_SESSION_ALREADY_MOUNTED: 500,
  ERR_SESSION_CONFLICT: 409,
  ERR_SESSION_GONE: 409,
  ERR_SESSION_DESTROYED: 500,
  ERR_SESSION_CLOSED: 500,
  ERR_SESSION_HEADERS_SENT: 500,
  ERR_SESSION_VALUE: 500,
  ERR_SESSION_TOO_LARGE: 500,
  ERR_SESSION_SCHEMA: 500,
  ERR_SESSION_CROSS_SITE: 403,
  ERR_SESSION_UNBOUND: 401,
  ERR_SESSION_IN_UPDATE: 500,
  ERR_SESSION_UNSUPPORTED: 501,
  ERR_SESSION_STORE: 503,
} as const

// A program may have two copies of this package, one by import and one by require: they recognise each other's errors by this mark.
const MARK = Symbol.for('koa-fastsession.error')

/** Every `code` that a {@link SessionError} can have. A code never changes; a message may. */
export type SessionErrorCode = keyof typeof STATUS

/**
 * An error at run time. The message says what happened and what to do, and names neither ids nor data.
 *
 * Koa answers with `status` and writes the error to its log. Two copies of this package have two classes, and `instanceof`
 * holds for the errors of both.
 *
 * ```ts
 * app.use(async (ctx, next) => {
 *   try {
 *     await next()
 *   } catch (error) {
 *     if ((error as SessionError).code !== 'ERR_SESSION_GONE') throw error
 *     ctx.status = 409
 *     ctx.body = 'You were signed out meanwhile'
 *   }
 * })
 * app.use(session()) // below it, so that the errors of a commit pass there as well
 * ```
 */
export class SessionError extends Error {
  /** What happened, for `switch`. docs/errors.md has a heading for each code. */
  readonly code: SessionErrorCode
  /** The HTTP status that Koa answers with: 401, 403, 409, 500, 501 or 503. */
  readonly status: number
  /** `false`: the message is for the log, and Koa does not show it to the client. */
  readonly expose = false

  /** @internal Only this package makes these errors. */
  constructor(code: SessionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.status = STATUS[code]
  }

  /** `'SessionError'`. */
  override get name(): string {
    return 'SessionError'
  }

  static {
    markClass(this, MARK)
  }
}

/** A function that makes an error with a fixed message. */
function saying(code: SessionErrorCode, message: string): () => SessionError {
  return () => new SessionError(code, message)
}

export const destroyedError: () => SessionError = saying(
  'ERR_SESSION_DESTROYED',
  'the session was used after destroy(): return from the handler, or begin a new one with regenerate({ keep: false }) instead of destroy()',
)

export const closedError: () => SessionError = saying(
  'ERR_SESSION_CLOSED',
  'session data was written after the commit: await everything before the handler returns, or store it with session.update()',
)

export const goneError: () => SessionError = saying(
  'ERR_SESSION_GONE',
  'the session was destroyed, replaced or expired while this request changed it, so nothing was stored: answer 409 and let the user begin again',
)

/** A payload names an encryption key that is not configured. */
export const unknownEncryptionKeyError: () => SessionError = saying(
  'ERR_SESSION_STORE',
  'a stored session is encrypted with a key that options.encryptionKeys does not list: add that key behind the newest one',
)

/** `ERR_SESSION_HEADERS_SENT`; `what` happened, such as "the session was regenerated". */
export function headersSentError(what: string): SessionError {
  return new SessionError(
    'ERR_SESSION_HEADERS_SENT',
    `${what} when its cookie could no longer be sent: await it before the first byte of the response, neither in a WebSocket nor after the commit`,
  )
}

/** `ERR_SESSION_IN_UPDATE`; `verb` is what was used, such as "session.save()". */
export function inUpdateError(verb: string): SessionError {
  return new SessionError(
    'ERR_SESSION_IN_UPDATE',
    `${verb} was used inside the function of update() or in a schema that checks this session: there only data may change, and only update() may be called`,
  )
}

/** `ERR_SESSION_STORE` after `close()`. */
export const storeClosedError: () => SessionError = saying(
  'ERR_SESSION_STORE',
  'the session middleware is closed: stop the server first, for no request with a session is served after close()',
)

export function storeFailure(message: string, options?: ErrorOptions): SessionError {
  return new SessionError('ERR_SESSION_STORE', message, options)
}

/** The store cannot do what these methods need. */
export function unsupportedError(lack: string, verbs: string): SessionError {
  return new SessionError(
    'ERR_SESSION_UNSUPPORTED',
    `this store ${lack}: use MemoryStore, SqliteStore, RedisStore, PostgresStore or MysqlStore for ${verbs}`,
  )
}

export const unboundError: () => SessionError = saying(
  'ERR_SESSION_UNBOUND',
  'the session is bound to a device, and this request came without fresh proof of it: the browser goes on by itself at its next refresh, or the user signs in again',
)

/** `ERR_SESSION_NO_CONTEXT`; `caller` is the function that was called, such as "currentSession()". */
export function noContext(caller: string, stateKey?: string): SessionError {
  return new SessionError(
    'ERR_SESSION_NO_CONTEXT',
    stateKey === undefined
      ? `${caller} was called outside a request: mount session() before the middleware that calls it, or bind the callback with bindSession()`
      : `${caller} found no session with stateKey ${typeof stateKey === 'string' ? keyNames([stateKey], true) : describe(stateKey)} here: mount session({ stateKey }) before the middleware that calls it`,
  )
}

const MAX_NAMED = 10
const MAX_KEY_NAME = 64

/** Names for a message: the first ten, and how many more there are. */
export function firstOf(names: readonly string[], shown: (name: string) => string): string {
  const others = names.length - MAX_NAMED
  return `${names.slice(0, MAX_NAMED).map(shown).join(', ')}${others > 0 ? ` and ${others} more` : ''}`
}

/**
 * Names of keys for a message or a log line. A visitor may have chosen them: names that are not plain are quoted, long ones are
 * cut, control characters are escaped.
 */
export function keyNames(keys: readonly string[], isQuoted = false): string {
  return firstOf(keys, (key) => {
    const cut = key.length > MAX_KEY_NAME ? `${key.slice(0, MAX_KEY_NAME)}...` : key
    return !isQuoted && /^[\w$.-]+$/.test(cut) ? cut : printable(JSON.stringify(cut))
  })
}

/** The text on one line: control characters, line ends and marks that change the direction of text are escaped. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

// eslint-disable-next-line no-control-regex -- these are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Describes a refused value without printing a string: it may be a secret. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number')
    return String(value)
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`
  if (isPromise(value)) return 'a promise'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/**
 * An error for a value of the wrong type: `options.keys must be a non-empty list of secrets, got a string of 6 characters`.
 * `remedy` says what to do where the rule alone does not help.
 */
export function invalidType(name: string, rule: string, value: unknown, remedy?: string): TypeError {
  // Where no number belongs, it may be an owner, data, or a secret that lost its quotes.
  const got = Number.isFinite(value) ? 'a number' : describe(value)
  return coded('ERR_INVALID_ARG_TYPE', refusal(name, rule, got, remedy))
}

/** An error for a value of the right type that breaks a rule. */
export function invalidValue(name: string, rule: string, value: unknown, remedy?: string): TypeError {
  return coded('ERR_INVALID_ARG_VALUE', refusal(name, rule, describe(value), remedy))
}

/** An error whose message says what to change, such as for options that are valid but exclude each other. */
export function invalidMix(message: string): TypeError {
  return coded('ERR_INVALID_ARG_VALUE', message)
}

function refusal(name: string, rule: string, got: string, remedy: string | undefined): string {
  return `${name} must be ${rule}, got ${got}${remedy === undefined ? '' : `: ${remedy}`}`
}

function coded(code: string, message: string): TypeError {
  return Object.assign(new TypeError(message), { code })
}

/** Whether a thrown error is the handler's answer: it has a status from 400 to 499, and is not one of our own errors. */
export function isAnswer(error: unknown): boolean {
  try {
    // Anything may be thrown; its fields are checked before they are used.
    const { name, code, status, statusCode } = error as Partial<Record<keyof SessionError | 'statusCode', unknown>>
    // eslint-disable-next-line @typescript-eslint/prefer-nullish-coalescing -- as Koa: a status of 0 is none
    const answer = status || statusCode
    // By name and code: the error may come from another copy or version, and the app may have a SessionError of its own.
    const isOurs = name === 'SessionError' && String(code).startsWith('ERR_SESSION_')
    return !isOurs && typeof answer === 'number' && answer >= 400 && answer < 500
  } catch {
    return false // null, or a getter that throws
  }
}
