/**
 * The promises of a `SessionStore` as runnable checks, for a store of your own.
 *
 * @module koa-fastsession/conformance
 */

// The checks depend on no test runner and no database: each gets a store, makes its own random keys and owners, calls the store,
// and deletes its records. Most instants are arguments.
import { endChecks } from './conformance/ends.ts'
import { closeChecks, sweepChecks } from './conformance/housekeeping.ts'
import { isolationChecks } from './conformance/isolation.ts'
import { neighbourChecks } from './conformance/neighbours.ts'
import { listChecks } from './conformance/owners.ts'
import { portionChecks } from './conformance/portions.ts'
import { raceChecks } from './conformance/races.ts'
import { readChecks } from './conformance/records.ts'
import type { StoreCheck } from './conformance/run.ts'
import { writeChecks } from './conformance/writes.ts'

export type { StoreCheck, StoreSource } from './conformance/run.ts'

/**
 * Every promise of `SessionStore` as one check, each with a title of its own.
 *
 * A check of a verb that the store does not have (`list`, `scan`, `subscribe`, `close` ...) passes, and its title says so. A
 * check of two stores over the same data passes too, unless `run` gets a function that opens them. Each check has 20 seconds,
 * deletes the records that it made, and closes the stores that it opened; the last one also closes a store that was passed in.
 * The checks run one after another, in the order of their calls.
 *
 * ```ts
 * for (const { title, run } of storeChecks) {
 *   test(`MyStore: ${title}`, () => run(() => new MyStore(database)))
 * }
 * ```
 */
export const storeChecks: readonly StoreCheck[] = Object.freeze([
  ...readChecks,
  ...isolationChecks,
  ...writeChecks,
  ...raceChecks,
  ...neighbourChecks,
  ...listChecks,
  ...portionChecks,
  ...endChecks,
  ...sweepChecks,
  ...closeChecks,
])
