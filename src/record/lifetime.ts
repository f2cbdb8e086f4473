// Pure: how long a session lives, when its expiry should be moved, and how long its cookie does.
// Durations and instants are milliseconds.

export const DAY = 86_400_000

/** The longest lifetime of a cookie that browsers accept (RFC 6265bis, section 5.5). */
export const LONGEST_COOKIE: number = 400 * DAY

const LONGEST_TOUCH_INTERVAL = 3_600_000

/** The lifetimes that a middleware was given. */
export interface Limits {
  /** 0: the cookie lives while the browser runs. */
  readonly maxAge: number
  readonly rolling: boolean
  readonly idleTimeout: number
  /** `Infinity` for none. */
  readonly absoluteTimeout: number
  /** The absolute timeout that the app asked for in so many words; `Infinity` where it did not. */
  readonly absoluteCap: number
}

/** What of one session decides how long it lives. */
export interface Span {
  /** The absolute timeout counts from here: creation, or the last sign-in. */
  readonly startedAt: number
  /** The session's own lifetime; 0 where the middleware's limits hold. */
  readonly maxAge: number
  /** The session's own lifetime counts from here. */
  readonly maxAgeSince: number
}

/** Limits from the options that were set; `undefined` where one was left out. */
export function limitsOf(
  maxAge: number,
  rolling: boolean,
  idle: number | undefined,
  absolute: number | false | undefined,
): Limits {
  const wantedIdle = idle ?? (maxAge > 0 ? maxAge : DAY / 12)
  const wantedAbsolute =
    absolute === false ? Infinity : (absolute ?? (maxAge === 0 ? DAY : rolling ? LONGEST_COOKIE : maxAge))
  return {
    maxAge,
    rolling,
    // What the cookie promises at most, the server keeps at most.
    idleTimeout: maxAge > 0 ? Math.min(wantedIdle, maxAge) : wantedIdle,
    absoluteTimeout: maxAge > 0 && !rolling ? Math.min(wantedAbsolute, maxAge) : wantedAbsolute,
    absoluteCap: typeof absolute === 'number' ? absolute : Infinity,
  }
}

/** How long the session lives without a request. */
export function idleTimeout(limits: Limits, span: Span): number {
  return span.maxAge > 0 ? span.maxAge : limits.idleTimeout
}

/** The instant that no activity carries the session past; `Infinity` for none. */
export function absoluteEnd(limits: Limits, span: Span): number {
  if (span.maxAge === 0) return span.startedAt + limits.absoluteTimeout
  const own = span.maxAgeSince + (limits.rolling ? LONGEST_COOKIE : span.maxAge)
  return Math.min(own, span.startedAt + limits.absoluteCap)
}

/** The instant at which a session that was seen at `seenAt` ends. */
export function expiry(limits: Limits, span: Span, seenAt: number): number {
  return Math.min(seenAt + idleTimeout(limits, span), absoluteEnd(limits, span))
}

/**
 * Whether a use should move the expiry: not each one does, only the first after a tenth of the idle timeout or an hour.
 *
 * So a session may end that much early, never late, and a busy one costs the store ten writes a lifetime.
 * A clock that stepped back makes nothing due.
 */
export function isTouchDue(limits: Limits, span: Span, lastSeenAt: number, now: number): boolean {
  return now - lastSeenAt >= Math.min(idleTimeout(limits, span) / 10, LONGEST_TOUCH_INTERVAL)
}

/**
 * The `Max-Age` of a cookie sent at `now`, in whole seconds; `undefined` for one that lives while the browser runs.
 *
 * `lastSeenAt` is the use that the stored expiry counts from: a rolling cookie counts from there, another one from the
 * session's start. Never past the absolute end, and never 0, which would delete the cookie.
 */
export function cookieMaxAge(limits: Limits, span: Span, lastSeenAt: number, now: number): number | undefined {
  const length = span.maxAge > 0 ? span.maxAge : limits.maxAge
  if (length === 0) return undefined
  const since = limits.rolling ? lastSeenAt : span.maxAge > 0 ? span.maxAgeSince : span.startedAt
  const end = Math.min(since + length, absoluteEnd(limits, span))
  return Math.max(1, Math.floor((end - now) / 1000))
}
