/**
 * The promises of a `SessionStore` as runnable checks, for a store of your own.
 *
 * @module koa-fastsession/conformance
 */

// The promises of store.ts as runnable checks, for the stores of this package and for anybody else's. It knows no test
// runner and no database: a check gets a store, makes its own random keys and owners, and asks.
//
//   import { storeChecks } from 'koa-fastsession/conformance'
//   for (const { title, run } of storeChecks) {
//     test(`MyStore: ${title}`, (t) => t.notThrowsAsync(run(openStore())))     // AVA
//     test(`MyStore: ${title}`, () => run(openStore()))                        // node:test, Vitest
//   }
//
// `openStore` may give a fresh store for each check or always the same one. Checks of one process run one after another,
// in the order of their calls; nothing sleeps, for instants are arguments. Only the last one closes its store.
import { closeChecks, sweepChecks } from './conformance/housekeeping.ts'
import { isolationChecks } from './conformance/isolation.ts'
import { listChecks } from './conformance/owners.ts'
import { readChecks } from './conformance/records.ts'
import { raceChecks } from './conformance/races.ts'
import type { StoreCheck } from './conformance/scene.ts'
import { writeChecks } from './conformance/writes.ts'

export type { StoreCheck } from './conformance/scene.ts'

/**
 * Every promise of `SessionStore` as one check, each with a title of its own.
 *
 * A check of a verb that the store does not have (`list`, `deleteExpired`, `close`) passes, and its title says so. The
 * last one closes the store. They run one after another, in the order of their calls, on a fresh store each or on one.
 *
 * ```ts
 * for (const { title, run } of storeChecks) {
 *   test(`MyStore: ${title}`, () => run(new MyStore()))
 * }
 * ```
 */
export const storeChecks: readonly StoreCheck[] = Object.freeze([
  ...readChecks,
  ...isolationChecks,
  ...writeChecks,
  ...raceChecks,
  ...listChecks,
  ...sweepChecks,
  ...closeChecks,
])
