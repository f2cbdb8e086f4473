// Checks that several modules share. Each error names the option and its rule.
import { invalidMix, invalidType, invalidValue, keyNames } from './errors.ts'

/** @throws {TypeError} unless it is `true` or `false`. */
export function checkFlag(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'true or false', value)
}

/** @throws {TypeError} unless it is a function. */
export function checkFunction(value: unknown, name: string): asserts value is (...args: never[]) => unknown {
  if (typeof value !== 'function') throw invalidType(name, 'a function', value)
}

/**
 * `remedy` says what to do when the value is not a string.
 *
 * @throws {TypeError} unless it is a string that matches the pattern.
 */
export function checkText(
  value: unknown,
  name: string,
  pattern: RegExp,
  rule: string,
  remedy?: string,
): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, rule, value, remedy)
  if (!pattern.test(value)) throw invalidValue(name, rule, value)
}

/** @throws {TypeError} unless it is a whole number of at least `least`; `unit` says so in words. */
export function checkWholeNumber(value: unknown, name: string, unit: string, least: number): asserts value is number {
  const rule = `a whole number ${unit}`
  if (typeof value !== 'number') throw invalidType(name, rule, value)
  if (!Number.isSafeInteger(value) || value < least) throw invalidValue(name, rule, value)
}

/** @throws {TypeError} `ERR_INVALID_ARG_VALUE` for an unknown name within the object of an option; `hint` says where it belongs. */
export function checkInnerNames(given: object, at: string, names: readonly string[], hint = ''): void {
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined)
    throw invalidMix(`${at}.${keyNames([unknown])} is no option: ${at} takes ${names.join(', ')}${hint}`)
}

/** @throws {TypeError} unless it is an object with these names only. For the options of a store: a misspelt one would be ignored. */
export function checkOptions(options: unknown, names: readonly string[]): asserts options is object {
  // By its tag: a Map, or a promise of options, would pass for none.
  if (!/Object|Module/.test(Object.prototype.toString.call(options)))
    throw invalidType('options', `an object with ${names.join(', ')}`, options)
  checkInnerNames(options as object, 'options', names)
}

/** @throws {TypeError} unless it is one of these. */
export function checkOneOf<Word extends string | boolean>(
  value: unknown,
  name: string,
  allowed: readonly Word[],
): asserts value is Word {
  if (allowed.some((word) => word === value)) return
  const words = allowed.map((word) => (typeof word === 'string' ? `'${word}'` : String(word)))
  throw invalidValue(name, words.join(' or '), value)
}
