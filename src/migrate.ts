/**
 * Keeps sessions through a migration: from koa-session or express-session to this package, or from one store to another.
 *
 * @module koa-fastsession/migrate
 */

export { moveSessions, type MoveOptions } from './migrate/move.ts'
export {
  fromExpressSession,
  fromKoaSession,
  type ExpressSessionOptions,
  type KoaSessionOptions,
  type OldData,
  type OldExpressStore,
  type OldKeygrip,
  type OldKoaStore,
  type OldSession,
  type OldSessions,
} from './migrate/old-sessions.ts'
export { takeOver, type TakeOverOptions } from './migrate/take-over.ts'
