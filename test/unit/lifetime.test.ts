import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import {
  cookieMaxAge,
  effectiveEnd,
  DAY,
  expiry,
  idleTimeout,
  isTouchDue,
  lifetimePolicy,
  MAX_COOKIE_AGE,
  type LifetimePolicy,
  withMaxAge,
  type SessionLifetime,
} from '../../src/record/lifetime.ts'
import { counterexample } from '../support/holds.ts'

const absoluteEnd = (policy: LifetimePolicy, span: SessionLifetime): number => expiry(policy, span, Infinity)

const HOUR = 3_600_000
const NOW = 1_800_000_000_000

const length = fc.integer({ min: 1000, max: MAX_COOKIE_AGE })
const limits = fc
  .record({
    maxAge: fc.oneof(fc.constant(0), length),
    rolling: fc.boolean(),
    idle: fc.option(length, { nil: undefined }),
    absolute: fc.option(fc.oneof(length, fc.constant(false as const)), { nil: undefined }),
  })
  .map(({ maxAge, rolling, idle, absolute }) => lifetimePolicy(maxAge, rolling && maxAge > 0, idle, absolute))
const span: fc.Arbitrary<SessionLifetime> = fc.record({
  startedAt: fc.integer({ min: NOW, max: NOW + DAY }),
  maxAge: fc.oneof(fc.constant(0), length),
  maxAgeSince: fc.integer({ min: NOW, max: NOW + DAY }),
})
const later = fc.integer({ min: NOW + DAY, max: NOW + 800 * DAY })

function holdsForAll(
  t: ExecutionContext,
  claim: (limits: LifetimePolicy, span: SessionLifetime, now: number) => boolean,
): void {
  t.is(counterexample(fc.property(limits, span, later, claim)), undefined)
}

const fresh = (startedAt = NOW): SessionLifetime => ({ startedAt, maxAge: 0, maxAgeSince: 0 })

test('without options a session ends after two hours without a request and after a day however active', (t) => {
  const defaults = lifetimePolicy(0, false, undefined, undefined)

  t.is(expiry(defaults, fresh(), NOW), NOW + 2 * HOUR)
  t.is(expiry(defaults, fresh(), NOW + 23 * HOUR), NOW + DAY)
  t.is(cookieMaxAge(defaults, fresh(), NOW, NOW), undefined)
})

test('maxAge alone is the idle and the absolute timeout too', (t) => {
  const week = lifetimePolicy(7 * DAY, false, undefined, undefined)

  t.is(expiry(week, fresh(), NOW), NOW + 7 * DAY)
  t.is(absoluteEnd(week, fresh()), NOW + 7 * DAY)
  t.is(cookieMaxAge(week, fresh(), NOW, NOW), 7 * 86_400)
})

test('rolling has an absolute end after 400 days where none is asked for', (t) => {
  t.is(absoluteEnd(lifetimePolicy(DAY, true, undefined, undefined), fresh()), NOW + 400 * DAY)
})

test('absoluteTimeout false has no absolute end', (t) => {
  t.is(absoluteEnd(lifetimePolicy(0, false, undefined, false), fresh()), Infinity)
  t.is(absoluteEnd(lifetimePolicy(DAY, true, undefined, false), fresh()), Infinity)
})

test('the server keeps no session longer than its cookie promises', (t) => {
  t.is(expiry(lifetimePolicy(HOUR, false, DAY, 2 * DAY), fresh(), NOW), NOW + HOUR)
})

test("a session's own maxAge takes the place of the options, and only an explicit absolute timeout caps it", (t) => {
  const own: SessionLifetime = { startedAt: NOW, maxAge: 30 * DAY, maxAgeSince: NOW + HOUR }

  t.is(idleTimeout(lifetimePolicy(0, false, undefined, undefined), own), 30 * DAY)
  t.is(absoluteEnd(lifetimePolicy(0, false, undefined, undefined), own), NOW + HOUR + 30 * DAY)
  t.is(absoluteEnd(lifetimePolicy(0, false, undefined, 10 * DAY), own), NOW + 10 * DAY)
  t.is(absoluteEnd(lifetimePolicy(HOUR, true, undefined, undefined), own), NOW + HOUR + 400 * DAY)
})

test('no activity carries a session past its absolute end', (t) => {
  holdsForAll(t, (limits, span, seenAt) => expiry(limits, span, seenAt) <= absoluteEnd(limits, span))
})

test('no session lives longer than its idle timeout after it was seen', (t) => {
  holdsForAll(t, (limits, span, seenAt) => expiry(limits, span, seenAt) - seenAt <= idleTimeout(limits, span))
})

test('a later use never brings the end nearer', (t) => {
  const isNoNearer = (limits: LifetimePolicy, span: SessionLifetime, one: number, other: number): boolean =>
    expiry(limits, span, Math.max(one, other)) >= expiry(limits, span, Math.min(one, other))

  t.is(counterexample(fc.property(limits, span, later, later, isNoNearer)), undefined)
})

test('a Max-Age is a whole number of at least one second', (t) => {
  const isWhole = (limits: LifetimePolicy, span: SessionLifetime, seenAt: number, now: number): boolean => {
    const maxAge = cookieMaxAge(limits, span, seenAt, now)
    return maxAge === undefined || (Number.isInteger(maxAge) && maxAge >= 1)
  }

  t.is(counterexample(fc.property(limits, span, later, later, isWhole)), undefined)
})

test('a cookie has no Max-Age exactly where neither the options nor the session have a maxAge', (t) => {
  holdsForAll(
    t,
    (limits, span, now) =>
      (cookieMaxAge(limits, span, now, now) === undefined) === (limits.maxAge === 0 && span.maxAge === 0),
  )
})

test('no cookie of a live session outlives the absolute end', (t) => {
  const isWithin = (limits: LifetimePolicy, span: SessionLifetime, now: number): boolean => {
    const end = absoluteEnd(limits, span)
    return end < now + 1000 || now + (cookieMaxAge(limits, span, now, now) ?? 0) * 1000 <= end
  }

  holdsForAll(t, isWithin)
})

test('no cookie is longer than its maxAge', (t) => {
  const isShort = (limits: LifetimePolicy, span: SessionLifetime, now: number): boolean =>
    (cookieMaxAge(limits, span, now, now) ?? 0) * 1000 <= Math.max(1000, span.maxAge > 0 ? span.maxAge : limits.maxAge)

  holdsForAll(t, isShort)
})

test('a renewed rolling cookie has the full maxAge, one that does not roll what is left', (t) => {
  const passed = NOW + 6 * HOUR

  t.is(cookieMaxAge(lifetimePolicy(DAY, true, undefined, undefined), fresh(), passed, passed), 86_400)
  t.is(cookieMaxAge(lifetimePolicy(DAY, false, undefined, undefined), fresh(), passed, passed), 18 * 3600)
})

test('a renewed cookie of a session with its own maxAge counts from when that was set, or rolls with it', (t) => {
  const own: SessionLifetime = { startedAt: NOW, maxAge: 2 * DAY, maxAgeSince: NOW + HOUR }
  const passed = NOW + 2 * HOUR

  t.is(cookieMaxAge(lifetimePolicy(0, false, undefined, undefined), own, passed, passed), 47 * 3600)
  t.is(cookieMaxAge(lifetimePolicy(DAY, true, undefined, undefined), own, passed, passed), 48 * 3600)
})

test('a touch is due after a tenth of the idle timeout, and not a millisecond before', (t) => {
  const limits = lifetimePolicy(0, false, HOUR, undefined)

  t.false(isTouchDue(limits, fresh(), NOW, NOW + HOUR / 10 - 1))
  t.true(isTouchDue(limits, fresh(), NOW, NOW + HOUR / 10))
})

test('a touch is due after an hour however long the idle timeout is', (t) => {
  const limits = lifetimePolicy(0, false, 30 * DAY, undefined)

  t.false(isTouchDue(limits, fresh(), NOW, NOW + HOUR - 1))
  t.true(isTouchDue(limits, fresh(), NOW, NOW + HOUR))
})

test("a touch follows the session's own maxAge", (t) => {
  const own: SessionLifetime = { startedAt: NOW, maxAge: 10_000, maxAgeSince: NOW }

  t.true(isTouchDue(lifetimePolicy(0, false, undefined, undefined), own, NOW, NOW + 1000))
})

test('no touch is due when the clock has stepped back', (t) => {
  const isNotDue = (limits: LifetimePolicy, span: SessionLifetime, now: number, back: number): boolean =>
    !isTouchDue(limits, span, now, now - back)

  t.is(counterexample(fc.property(limits, span, later, fc.nat(1000 * DAY), isNotDue)), undefined)
})

test('a touch that is due moves the expiry, unless the absolute end stands in the way', (t) => {
  const moves = (limits: LifetimePolicy, span: SessionLifetime, seenAt: number, wait: number): boolean => {
    const now = seenAt + wait
    return (
      !isTouchDue(limits, span, seenAt, now) ||
      expiry(limits, span, now) > expiry(limits, span, seenAt) ||
      expiry(limits, span, now) === absoluteEnd(limits, span)
    )
  }

  t.is(counterexample(fc.property(limits, span, later, fc.nat(DAY), moves)), undefined)
})

// ---- limits of now and limits of then

const START = { startedAt: NOW, maxAge: 0, maxAgeSince: 0 }

test('a limit that is shortened holds at once for what was stored before, one that is lengthened does not', (t) => {
  const stored = lifetimePolicy(0, false, 30 * DAY, 60 * DAY)
  const short = lifetimePolicy(0, false, HOUR / 2, 8 * HOUR)
  const seenAt = NOW + 10 * HOUR
  const record = { lastSeenAt: seenAt, expiresAt: expiry(stored, START, seenAt) }

  t.is(effectiveEnd(stored, START, record), record.expiresAt)
  t.is(effectiveEnd(short, START, { ...record, lastSeenAt: NOW }), NOW + HOUR / 2)
  t.is(effectiveEnd(short, START, record), NOW + 8 * HOUR)
  t.is(effectiveEnd(stored, START, { lastSeenAt: NOW, expiresAt: NOW + 1000 }), NOW + 1000)
})

test("a session's own maxAge goes before shortened limits, but for an explicit absolute timeout", (t) => {
  const own = { startedAt: NOW, maxAge: 30 * DAY, maxAgeSince: NOW }
  const record = { lastSeenAt: NOW, expiresAt: NOW + 30 * DAY }

  t.is(effectiveEnd(lifetimePolicy(0, false, HOUR, undefined), own, record), NOW + 30 * DAY)
  t.is(effectiveEnd(lifetimePolicy(0, false, HOUR, 8 * HOUR), own, record), NOW + 8 * HOUR)
})

test('a use that a faster clock noted makes no touch due', (t) => {
  t.false(isTouchDue(lifetimePolicy(0, false, HOUR, false), START, NOW + DAY, NOW))
})

test('a clock that was set back never makes a cookie longer than its lifetime', (t) => {
  const policy = lifetimePolicy(400 * DAY, true, undefined, undefined)

  t.is(cookieMaxAge(policy, { ...START, startedAt: NOW + DAY }, NOW + DAY, NOW), (400 * DAY) / 1000)
})

test("maxAge above 0 counts from now, and 0 gives the options' limits from now", (t) => {
  const policy = lifetimePolicy(0, false, HOUR, 8 * HOUR)
  const later = NOW + 7 * HOUR
  const own = withMaxAge(START, 30 * DAY, later)
  t.deepEqual(own, { startedAt: NOW, maxAge: 30 * DAY, maxAgeSince: later })
  const back = withMaxAge(own, 0, later + HOUR)

  t.is(absoluteEnd(policy, back), later + 9 * HOUR)
  t.is(expiry(policy, back, later + HOUR), later + 2 * HOUR)
})

test('an explicit idle timeout above the absolute one is told, a default is not', (t) => {
  t.true(lifetimePolicy(0, false, 2 * DAY, undefined).hasIdleAboveAbsolute)
  t.true(lifetimePolicy(0, false, 2 * HOUR, HOUR).hasIdleAboveAbsolute)
  t.true(lifetimePolicy(HOUR, false, 2 * HOUR, undefined).hasIdleAboveAbsolute)
  t.false(lifetimePolicy(0, false, HOUR, HOUR).hasIdleAboveAbsolute)
  t.false(lifetimePolicy(0, false, undefined, HOUR).hasIdleAboveAbsolute)
  t.false(lifetimePolicy(0, false, 400 * DAY, false).hasIdleAboveAbsolute)
})

test('an idle timeout for ever gives an instant that is a Date and a whole number', (t) => {
  const policy = lifetimePolicy(0, false, Number.MAX_SAFE_INTEGER, false)

  const end = expiry(policy, { startedAt: NOW, maxAge: 0, maxAgeSince: 0 }, NOW)

  t.true(Number.isSafeInteger(end), `${end}`)
  t.true(Number.isFinite(new Date(end).valueOf()))
  t.true(end > NOW + 100_000 * 365 * DAY)
})
