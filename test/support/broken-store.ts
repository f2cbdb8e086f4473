// A store with one fault, and the checks that must notice it. Every fault was seen in, or is one slip away from, a real store.
import type { SessionStore } from '../../src/store.ts'

export interface BrokenStore {
  readonly fault: string
  /** Titles of checks that must fail; others may fail as well. */
  readonly caughtBy: readonly string[]
  readonly open: () => SessionStore
}

export function broken(fault: string, Store: new () => SessionStore, ...caughtBy: readonly string[]): BrokenStore {
  return { fault, caughtBy, open: () => new Store() }
}
