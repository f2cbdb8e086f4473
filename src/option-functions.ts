// Functions among the options: each answers at once, and what it answers is checked at each use. A promise taken for a value
// would mean `true`, or nothing at all.
import type { Context } from 'koa'
import { invalidMix, invalidType, keyNames } from './errors.ts'
import { isPromise } from './store.ts'

/** An object of named values: no list, Map, Date, promise or function, all of which would pass for an empty one. */
export function isNamed(value: unknown): value is Record<string, unknown> {
  // By its tag: a plain object of another realm has another prototype.
  return NAMED.has(Object.prototype.toString.call(value)) && !isPromise(value)
}

const NAMED: ReadonlySet<string> = new Set(['[object Object]', '[object Module]'])

/** @throws {TypeError} unless it is a function or `undefined`. */
export function callable<Fn>(value: Fn, name: string): Fn {
  if (value !== undefined && typeof value !== 'function') throw invalidType(name, 'a function', value)
  return value
}

/** What to do about a promise where a value is due. It is refused: what it rejects with later must not end the process. */
export function remedyFor(value: unknown): string | undefined {
  if (!isPromise(value)) return undefined
  Promise.resolve(value).catch(() => undefined)
  return 'it must answer at once, so it cannot be async'
}

/** A predicate of ctx, taken by its truth as JavaScript's are; a promise, which is always true, is refused. */
export function predicate(
  fn: ((ctx: Context) => boolean) | undefined,
  name: string,
): ((ctx: Context) => boolean) | undefined {
  const asked = callable(fn, name)
  if (asked === undefined) return undefined
  return (ctx) => {
    const answer: unknown = asked(ctx)
    if (isPromise(answer)) throw invalidType(`the result of ${name}`, 'true or false', answer, remedyFor(answer))
    return Boolean(answer)
  }
}

/** @throws {TypeError} unless it is an object of named values. */
export function plainAnswer(value: unknown, name: string, rule: string): object {
  if (isNamed(value)) return value
  throw invalidType(name, rule, value, remedyFor(value))
}

/** The clock. Databases keep instants as whole numbers; a clock may give fractions. */
export function clockOf(now: (() => number) | undefined): () => number {
  const asked = callable(now, 'options.now')
  // Looked up at each call: a fake clock may be installed, or taken away, later.
  if (asked === undefined) return () => Date.now()
  return () => {
    const answer: unknown = asked()
    if (typeof answer === 'number' && Number.isFinite(answer)) return Math.floor(answer)
    throw invalidType('the result of options.now', 'a finite number, epoch milliseconds', answer, remedyFor(answer))
  }
}

/**
 * The options of a method: an object of these names alone, and none of them set to `undefined`, which would let through
 * what the caller meant to hold back.
 *
 * @throws {TypeError}
 */
export function methodOptions<Name extends string>(
  given: unknown,
  caller: string,
  names: readonly Name[],
): Partial<Record<Name, unknown>> {
  if (given === undefined) return {}
  assertNames(given, caller, names)
  for (const [name, value] of Object.entries(given))
    if (value === undefined) throw invalidType(`${name} of ${caller}`, 'a string, or left out', value)
  return given
}

/** @throws {TypeError} unless it is an object of these names alone. */
export function assertNames(given: unknown, caller: string, names: readonly string[]): asserts given is object {
  if (!isNamed(given)) throw invalidType(`the options of ${caller}`, 'a plain object', given)
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw invalidMix(`${keyNames([unknown])} is no option of ${caller}: it takes ${names.join(', ')}`)
}
