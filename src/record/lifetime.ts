// Pure functions: how long a session lives, when its expiry should be moved, and how long its cookie lives.
// Durations and instants are milliseconds.

export const DAY = 86_400_000

/** The longest lifetime of a cookie that browsers accept (RFC 6265bis, section 5.5). */
export const MAX_COOKIE_AGE: number = 400 * DAY

/** A use moves the expiry after this long, however long the idle timeout is. */
export const MAX_TOUCH_INTERVAL = 3_600_000

/** The cap of an idle timeout that means "for ever": an instant that far away is a valid Date, and a whole number in any database. */
const MAX_IDLE = 2 ** 52

/** The lifetimes that a middleware was given. */
export interface LifetimePolicy {
  /** 0: the cookie lives while the browser runs. */
  readonly maxAge: number
  readonly rolling: boolean
  readonly idleTimeout: number
  /** `Infinity` for none. */
  readonly absoluteTimeout: number
  /** The absolute timeout that the app set explicitly; `Infinity` without one. */
  readonly absoluteCap: number
  /** An explicit idle timeout is longer than the absolute one, so it can never take effect. */
  readonly hasIdleAboveAbsolute: boolean
}

/** The part of a session that decides how long it lives. */
export interface SessionLifetime {
  /** The absolute timeout counts from here: creation, or the last sign-in. */
  readonly startedAt: number
  /** The session's own lifetime; 0 where the options' limits hold. */
  readonly maxAge: number
  /** The session's own lifetime counts from here. */
  readonly maxAgeSince: number
}

/** The policy of the options that were set; `undefined` where one was left out. */
export function lifetimePolicy(
  maxAge: number,
  rolling: boolean,
  idle: number | undefined,
  absolute: number | false | undefined,
): LifetimePolicy {
  const wantedIdle = Math.min(idle ?? (maxAge || DAY / 12), MAX_IDLE)
  const wantedAbsolute =
    absolute === false ? Infinity : (absolute ?? (maxAge === 0 ? DAY : rolling ? MAX_COOKIE_AGE : maxAge))
  // The server keeps a session at most as long as its cookie promises.
  const absoluteTimeout = maxAge > 0 && !rolling ? Math.min(wantedAbsolute, maxAge) : wantedAbsolute
  return {
    maxAge,
    rolling,
    idleTimeout: maxAge > 0 ? Math.min(wantedIdle, maxAge) : wantedIdle,
    absoluteTimeout,
    absoluteCap: typeof absolute === 'number' ? absolute : Infinity,
    hasIdleAboveAbsolute: idle !== undefined && idle > absoluteTimeout,
  }
}

/** How long the session lives without a request. */
export function idleTimeout(policy: LifetimePolicy, lifetime: SessionLifetime): number {
  return lifetime.maxAge || policy.idleTimeout
}

/** The instant at which a session that was seen at `seenAt` ends. */
export function expiry(policy: LifetimePolicy, lifetime: SessionLifetime, seenAt: number): number {
  const { startedAt, maxAge, maxAgeSince } = lifetime
  if (maxAge === 0) return Math.min(seenAt + policy.idleTimeout, startedAt + policy.absoluteTimeout)
  const ownEnd = maxAgeSince + (policy.rolling ? MAX_COOKIE_AGE : maxAge)
  return Math.min(seenAt + maxAge, ownEnd, startedAt + policy.absoluteCap)
}

/**
 * The instant at which a stored session ends: the earlier of its stored expiry and what the current policy allows.
 *
 * So a shortened limit applies at once to sessions that were stored before.
 */
export function effectiveEnd(
  policy: LifetimePolicy,
  lifetime: SessionLifetime,
  record: { readonly lastSeenAt: number; readonly expiresAt: number },
): number {
  return Math.min(record.expiresAt, expiry(policy, lifetime, record.lastSeenAt))
}

/** The lifetime after `maxAge` was set: that long from now, or with 0 the options' limits from now. */
export function withMaxAge(lifetime: SessionLifetime, maxAge: number, now: number): SessionLifetime {
  return maxAge > 0
    ? { startedAt: lifetime.startedAt, maxAge, maxAgeSince: now }
    : { startedAt: now, maxAge: 0, maxAgeSince: 0 }
}

/**
 * Whether a use should move the expiry: the first one after a tenth of the idle timeout, or after an hour if that is shorter.
 *
 * So a session may end that much early, never late, and a busy one costs the store ten writes per idle timeout, or one an hour
 * if that is more. A clock that was set back makes no touch due.
 */
export function isTouchDue(
  policy: LifetimePolicy,
  lifetime: SessionLifetime,
  lastSeenAt: number,
  now: number,
): boolean {
  return now - lastSeenAt >= Math.min(idleTimeout(policy, lifetime) / 10, MAX_TOUCH_INTERVAL)
}

/**
 * The `Max-Age` of a cookie sent at `now`, in whole seconds; `undefined` for one that lives while the browser runs.
 *
 * `lastSeenAt` is the use that the stored expiry counts from. A rolling cookie counts from there, any other from the session's
 * start or from when its own `maxAge` was set, but never from after `now` (the clock was set back). The cookie never outlives
 * the absolute end, and its `Max-Age` is never 0, which would delete it.
 */
export function cookieMaxAge(
  policy: LifetimePolicy,
  lifetime: SessionLifetime,
  lastSeenAt: number,
  now: number,
): number | undefined {
  const length = lifetime.maxAge || policy.maxAge
  if (length === 0) return
  const since = policy.rolling ? lastSeenAt : lifetime.maxAge > 0 ? lifetime.maxAgeSince : lifetime.startedAt
  // `Infinity`: the end that no activity can move.
  const end = Math.min(Math.min(since, now) + length, expiry(policy, lifetime, Infinity))
  return Math.max(1, Math.floor((end - now) / 1000))
}
