// Names that stand in the statements of the SQL stores.
import { checkText } from '../checks.ts'
import { invalidValue } from '../errors.ts'

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
