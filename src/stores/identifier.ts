// Argument checks that the SQL stores share: names that stand in statements, and names of options.
import { checkText } from '../checks.ts'
import { describe, invalidMix, invalidType, invalidValue } from '../errors.ts'

const IDENTIFIER = /^[A-Z_][A-Z0-9_]*$/i

/**
 * Refuses a name that cannot stand in a statement as it is. Only ASCII letters, digits and underscores are allowed, so that a
 * name has as many bytes as characters and no server's quoting rules matter.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
 */
export function checkIdentifier(option: string, name: unknown, longest: number): asserts name is string {
  const rule = `a plain identifier of at most ${longest} characters (a letter or underscore, then letters, digits and underscores)`
  checkText(name, option, IDENTIFIER, rule)
  if (name.length > longest) throw invalidValue(option, rule, name)
}

/**
 * Refuses a value that is no object of options, and options that the store does not know: a misspelt one would be ignored.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
 */
export function checkOptions(options: unknown, known: readonly string[]): asserts options is object {
  const list = known.join(', ')
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidType('options', `an object with ${list}`, options)
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const shown = IDENTIFIER.test(name) && name.length <= 40 ? `options.${name}` : `an option (${describe(name)})`
    throw invalidMix(`${shown} is not known to this store, which takes ${list}`)
  }
}

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` unless it is a boolean. */
export function checkCreateTable(createTable: unknown): asserts createTable is boolean {
  if (typeof createTable !== 'boolean') throw invalidType('options.createTable', 'true or false', createTable)
}
