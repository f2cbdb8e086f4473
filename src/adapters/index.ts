/**
 * Stores of other ecosystems as stores for `session()`. Each says once what it cannot promise.
 *
 * @module koa-fastsession/adapters
 */

// Adapts foreign stores to the contract in store.ts.
export { fromExpressStore, type ExpressSession, type ExpressStore } from './express.ts'
export { fromKeyv, type KeyvLike } from './keyv.ts'
export { fromKoaStore, type KoaStore, type KoaStoredSession } from './koa.ts'
