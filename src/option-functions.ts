// Options that are functions. Each must answer synchronously, and its result is checked at each call: a promise used as a value
// would mean `true`, or nothing at all.
import type { Context } from 'koa'
import { invalidMix, invalidType, keyNames } from './errors.ts'
import { isPromise } from './store.ts'

/** Whether a value is an object of named values. A list, Map, Date, promise or function is not: it would pass for an empty one. */
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

/** The remedy for a promise in the place of a value. The promise is refused, so its rejection must not end the process. */
export function remedyFor(value: unknown): string | undefined {
  if (!isPromise(value)) return
  Promise.resolve(value).catch(() => undefined)
  return 'it must answer at once, so it cannot be async'
}

export type Predicate = (ctx: Context) => boolean

/** A predicate of ctx. Its result counts as truthy or falsy, as in JavaScript; a promise, which is always truthy, is refused. */
export function predicate(fn: Predicate | undefined, name: string): Predicate | undefined {
  const asked = callable(fn, name)
  if (asked === undefined) return
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

/** The clock, rounded down: databases keep instants as whole numbers, and a clock may give fractions. */
export function clockOf(now: (() => number) | undefined): () => number {
  const asked = callable(now, 'options.now')
  // Looked up at each call: a fake clock may be installed or removed later.
  if (asked === undefined) return () => Date.now()
  return () => {
    const answer: unknown = asked()
    if (Number.isFinite(answer)) return Math.floor(answer as number)
    throw invalidType('the result of options.now', 'a finite number, epoch milliseconds', answer, remedyFor(answer))
  }
}

/**
 * The options of a method: an object with these names only. None of them may be `undefined`, because the method would then apply
 * to sessions that the caller meant to exclude.
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
  const found: Partial<Record<Name, unknown>> = given
  // Inherited ones as well: they are read all the same.
  for (const name of names)
    if (name in given && found[name] === undefined)
      throw invalidType(`${name} of ${caller}`, 'a string, or left out', undefined)
  return found
}

/** @throws {TypeError} unless it is an object with these names only. */
export function assertNames(given: unknown, caller: string, names: readonly string[]): asserts given is object {
  if (!isNamed(given)) throw invalidType(`the options of ${caller}`, 'a plain object', given)
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw invalidMix(`${keyNames([unknown])} is no option of ${caller}: it takes ${names.join(', ')}`)
}
