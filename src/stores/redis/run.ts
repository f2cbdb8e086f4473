import type { Connection } from './client.ts'
import type { Script } from './scripts.ts'

/**
 * Runs a script by its hash; sends its text if the server does not know it (new, flushed or failed over).
 *
 * @param keys several only if they are on one server.
 */
export function runScript<T>(
  { ask }: Connection,
  { sha, text }: Script,
  keys: string | readonly string[],
  args: readonly string[],
  then: (answer: unknown) => T | Promise<T>,
): Promise<T> {
  const rest = typeof keys === 'string' ? ['1', keys, ...args] : [`${keys.length}`, ...keys, ...args]
  const key = typeof keys === 'string' ? keys : (keys[0] ?? '')
  return ask(['EVALSHA', sha, ...rest], key, then, (error) => {
    if (!(error instanceof Error && /NOSCRIPT|NoScript/.test(error.message))) throw error
    return ask(['EVAL', text, ...rest], key, then)
  })
}
