// Reads the prefix of a store's keys from options of any type.
import { invalidType, invalidValue } from '../../errors.ts'

const NAMES = ['prefix', 'subscriber']

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong or unknown options. */
export function prefixOf(options: { readonly prefix?: string | undefined }): string {
  const given: unknown = options
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw invalidType('options', 'an object, such as { prefix }', given)
  const unknown = Object.keys(given).find((name) => !NAMES.includes(name))
  if (unknown !== undefined)
    throw invalidValue(
      `options.${printable(unknown)}`,
      `left out: RedisStore knows ${NAMES.join(' and ')}`,
      options[unknown as 'prefix'],
    )
  const { prefix = 'session:' } = options
  if (typeof prefix !== 'string') throw invalidType('options.prefix', 'a string', prefix)
  // Braces would put every key into one slot of a Cluster.
  if (!/^[^\p{C}\p{Z}{}*?[\]\\]{1,64}$/u.test(prefix)) {
    throw invalidValue(
      'options.prefix',
      '1 to 64 characters without braces, glob characters, blanks and control characters',
      prefix,
    )
  }
  return prefix
}

function printable(name: string): string {
  return name.replace(/[^\w$-]/gu, '?').slice(0, 40)
}
