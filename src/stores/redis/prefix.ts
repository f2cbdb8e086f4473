// Reads the prefix of a store's keys from options of any type.
import { invalidType, invalidValue } from '../../errors.ts'
import { checkOptions } from '../identifier.ts'

/** @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong or unknown options. */
export function prefixOf(options: { readonly prefix?: string | undefined }): string {
  checkOptions(options, ['prefix', 'subscriber'])
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
