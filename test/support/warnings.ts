// The session warnings of this process, from process.emitWarning or from a logger.
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

/** Resolves when the warnings so far have been emitted. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

export interface Notices {
  /** The warnings so far. */
  readonly lines: readonly string[]
  /** Resolves with the first warning. */
  readonly first: Promise<void>
  readonly logger: { readonly warn: (line: string) => void }
}

/** The warnings of a logger that contain these words. */
export function noticesOf(words: string): Notices {
  const lines: string[] = []
  let hear!: () => void
  const first = new Promise<void>((resolve) => (hear = resolve))
  const warn = (line: string): void => {
    if (!line.includes(words)) return
    lines.push(line)
    hear()
  }
  return { lines, first, logger: { warn } }
}
