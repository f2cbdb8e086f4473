/**
 * Stores of other ecosystems as stores for `session()`, each with what it cannot promise said once.
 *
 * @module koa-fastsession/adapters
 */

// Foreign stores behind the contract of store.ts.
export { fromExpressStore, type ExpressSession, type ExpressStore } from './express.ts'
export { fromKeyv, type KeyvLike } from './keyv.ts'
export { fromKoaStore, type KoaStore, type KoaStoredSession } from './koa.ts'
