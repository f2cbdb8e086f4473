// The catalogue of what can go wrong: every code, its status, and how a refused option is worded.

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
  ERR_SESSION_UNSUPPORTED: 501,
  ERR_SESSION_STORE: 503,
} as const

/** Every `code` that a {@link SessionError} can have. A code never changes; a message may. */
export type SessionErrorCode = keyof typeof STATUS

/**
 * What goes wrong while a request runs. The message says what happened and what to do, and names neither ids nor data.
 *
 * Koa answers with `status` and writes the error to its log. Of another copy of this package it is another class: compare
 * `code`, rather than asking for `instanceof`.
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
  /** What happened, for `switch`. The README has a heading for each code. */
  readonly code: SessionErrorCode
  /** The HTTP status that Koa answers with: 409, 500, 501 or 503. */
  readonly status: number
  /** `false`: the message is for the log, and Koa shows the client none of it. */
  readonly expose = false

  /** @internal Made by this package alone. */
  constructor(code: SessionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.status = STATUS[code]
  }

  /** `'SessionError'`. */
  override get name(): string {
    return 'SessionError'
  }
}

/** Says of a refused value what it is, without printing a string: it may be a secret. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number')
    return String(value)
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/**
 * A value of the wrong type: `options.keys must be a non-empty list of secrets, got a string of 6 characters`, and where the
 * rule alone does not help, what to do.
 */
export function invalidType(name: string, rule: string, value: unknown, remedy?: string): TypeError {
  return coded('ERR_INVALID_ARG_TYPE', refusal(name, rule, value, remedy))
}

/** A value of the right type that breaks a rule. */
export function invalidValue(name: string, rule: string, value: unknown, remedy?: string): TypeError {
  return coded('ERR_INVALID_ARG_VALUE', refusal(name, rule, value, remedy))
}

/** Options that are each right but refuse one another: the sentence says what to change. */
export function invalidMix(message: string): TypeError {
  return coded('ERR_INVALID_ARG_VALUE', message)
}

function refusal(name: string, rule: string, value: unknown, remedy: string | undefined): string {
  return `${name} must be ${rule}, got ${describe(value)}${remedy === undefined ? '' : `: ${remedy}`}`
}

function coded(code: string, message: string): TypeError {
  return Object.assign(new TypeError(message), { code })
}
