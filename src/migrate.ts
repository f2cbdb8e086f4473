/**
 * Sessions go on: those of koa-session or express-session in this package, and those of one store in another.
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
  type OldKoaStore,
  type OldSession,
  type OldSessions,
} from './migrate/old-sessions.ts'
export { takeOver, type TakeOverOptions } from './migrate/take-over.ts'
