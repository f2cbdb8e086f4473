// The conflicts that the core tells of while a model plays.
import { subscribe } from 'node:diagnostics_channel'

let hear: (key: string) => unknown = () => undefined
subscribe('koa-fastsession:conflict', (message) => {
  const { keys } = message as { keys: readonly string[] }
  for (const key of keys) hear(key)
})

/** Calls `listener` with each key in conflict from now on, and no other listener any more: one world plays at a time. */
export function hearConflicts(listener: (key: string) => unknown): void {
  hear = listener
}
