// The session warnings of this process, as process.emitWarning gives them.
import type { ExecutionContext } from 'ava'

export interface Warning extends Error {
  readonly code?: string
}

/** Collects them until the test ends: only for serial tests. */
export function warnings(t: ExecutionContext): Warning[] {
  const seen: Warning[] = []
  const take = (warning: Warning): void => {
    if (warning.name === 'SessionWarning') seen.push(warning)
  }
  process.on('warning', take)
  t.teardown(() => process.off('warning', take))
  return seen
}

/** Resolves when the warnings so far have been given. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
