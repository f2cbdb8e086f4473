/**
 * Server-side sessions for Koa: {@link session} makes the middleware, a handler gets a {@link SessionManager}, and
 * {@link currentSession} finds it without `ctx`.
 *
 * @module koa-fastsession
 */
export { bindSession } from './context.ts'
export { currentSession, tryCurrentSession } from './current-session.ts'
export { SessionError } from './errors.ts'
export { session } from './middleware.ts'
export { MemoryStore } from './stores/memory.ts'
export type { Duration } from './duration.ts'
export type { SessionCodec } from './record/codec.ts'
export type { CookieOptions } from './cookie/cookie.ts'
export type { KeygripLike, Secrets } from './cookie/keyring.ts'
export type { SessionErrorCode } from './errors.ts'
export type { DestroyReason, EventMessage, RejectReason, SessionLogger } from './events.ts'
export type { KeepOptions, SessionData, SessionManager } from './session/manager.ts'
export type { SessionMiddleware, SessionState } from './session-middleware.ts'
export type { SessionInfo } from './session/info.ts'
export type { SchemaIssue, SchemaResult, StandardSchema } from './record/schema.ts'
export type {
  ClearSiteData,
  CrossSiteOptions,
  DeviceBoundOptions,
  EncryptionOptions,
  SessionOptions,
  SkipHeader,
} from './options.ts'
export type { KeyPage, PromiseOfText, RecordPage, Replaced, SessionRecord, SessionStore } from './store.ts'
export type { MemoryStoreOptions } from './stores/memory.ts'
export type { DeviceFacts } from './record/payload.ts'
export type { Origin } from './session/request-session.ts'
