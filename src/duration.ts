// Durations as a user writes them. Everything behind the options counts in milliseconds.
import { invalidType, invalidValue } from './errors.ts'
import { DAY, MAX_COOKIE_AGE } from './record/lifetime.ts'

/** A unit of time: milliseconds, seconds, minutes, hours, days, weeks. */
type Unit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w'

/** Milliseconds, or a number with a unit: `'500ms'`, `'30s'`, `'30m'`, `'2h'`, `'7d'`, `'2w'`. */
export type Duration = number | `${number}${'' | ' '}${Unit}`

/** The longest delay of a Node timer, in milliseconds: a longer one fires at once. */
export const MAX_TIMER = 2_147_483_647

const UNITS: Readonly<Record<Unit, number>> & Readonly<Record<string, number | undefined>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: DAY,
  w: 7 * DAY,
}

const WRITTEN = "milliseconds, or a number with a unit such as '30m', '2h', '7d'"

/** The rule of an option that is a duration, or `false` to switch it off. */
export const DURATION_OR_FALSE: `a duration above 0, or false: ${string}` = `a duration above 0, or false: ${WRITTEN}`

/**
 * A duration in milliseconds, above 0.
 *
 * @throws {TypeError} when it is not a duration.
 */
export function duration(value: unknown, name: string, rule = `a duration above 0: ${WRITTEN}`): number {
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
  if (value === 'session')
    throw invalidValue(name, '0 or a duration', value, "what koa-session calls 'session' is 0 here, and the default")
  const milliseconds = duration(value, name, `0 or a duration: ${WRITTEN}`)
  if (milliseconds < 1000 || milliseconds > MAX_COOKIE_AGE) {
    throw invalidValue(name, '0 or from one second to 400 days, the longest that browsers keep a cookie', value)
  }
  return milliseconds
}

/**
 * A duration that a Node timer can wait.
 *
 * @throws {TypeError} when it is longer.
 */
export function timerDuration(value: unknown, name: string, rule?: string): number {
  const milliseconds = duration(value, name, rule)
  if (milliseconds > MAX_TIMER) throw invalidValue(name, 'at most 24 days', value)
  return milliseconds
}

function parsed(text: string): number {
  const [amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d|w)$/.exec(text.trim())?.slice(1) ?? []
  return Number(amount) * (UNITS[unit] ?? NaN)
}
