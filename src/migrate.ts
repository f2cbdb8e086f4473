/**
 * Sessions go on: those of koa-session or express-session in this package, and those of one store in another.
 *
 * @module koa-fastsession/migrate
 */

export { moveSessions, type MoveOptions } from './migrate/move.ts'
