// A store with one fault, and the checks that must notice it. Every fault was seen in a real store or is one slip away from one.
import type { StoreSource } from '../../src/conformance.ts'
import type { SessionRecord, SessionStore } from '../../src/store.ts'
import { PlainStore } from './plain-store.ts'

export interface BrokenStore {
  readonly fault: string
  /** Titles of checks that must fail; others may fail as well. */
  readonly caughtBy: readonly string[]
  readonly source: () => StoreSource
}

export function broken(fault: string, Store: new () => SessionStore, ...caughtBy: readonly string[]): BrokenStore {
  return { fault, caughtBy, source: () => new Store() }
}

/** A fault that shows only with two stores over the same data. */
export function brokenBeside(
  fault: string,
  Store: new (records: Map<string, SessionRecord>) => SessionStore,
  ...titles: readonly string[]
): BrokenStore {
  return {
    fault,
    caughtBy: titles.map((title) => `where a function opens the store, ${title}`),
    source: () => {
      const records = new Map<string, SessionRecord>()
      return () => new Store(records)
    },
  }
}

/** A fault in how a record is stored. */
export function keeping(change: (record: SessionRecord) => SessionRecord): new () => SessionStore {
  return class extends PlainStore {
    protected override put(record: SessionRecord): void {
      super.put(change(record))
    }
  }
}

export const isText = (payload: string | Uint8Array): payload is string => typeof payload === 'string'
