/**
 * The promises of a `SessionStore` as runnable checks, for a store of your own.
 *
 * @module koa-fastsession/conformance
 */

// The promises of store.ts as runnable checks, for the stores of this package and for those of others. It knows no test
// runner and no database: a check gets a store, makes its own random keys and owners, asks, and deletes what it made.
//
//   import { storeChecks } from 'koa-fastsession/conformance'
//   for (const { title, run } of storeChecks) {
//     test(`MyStore: ${title}`, (t) => t.notThrowsAsync(run(openStore)))     // AVA
//     test(`MyStore: ${title}`, () => run(openStore))                        // node:test, Vitest
//   }
//
// `openStore` opens a store of its own with each call, over data that all of them share, as two processes would. A store, or
// a promise of one, does as well, a fresh one for each check or always the same: then the checks of two stores are passed
// over. Checks of one process run one after another, in the order of their calls; most instants are arguments. Only the
// last one closes a store that was given to it.
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
 * A check of a verb that the store does not have (`list`, `scan`, `subscribe`, `close` ...) passes, and its title says so; so
 * does one of two stores over the same data, unless `run` gets a function that opens them. Each has 20 seconds, deletes the
 * records that it made, and closes what it opened; the last one also closes a store that was given to it. They run one after
 * another, in the order of their calls.
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
