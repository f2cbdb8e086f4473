// What the sessions of one middleware share, and the request that a session is held for.
import type { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import type { CheckedStore } from '../checked-store.ts'
import type { CookieSettings } from '../cookie/cookie.ts'
import type { Keyring } from '../cookie/keyring.ts'
import type { Events } from '../events.ts'
import type { PendingChanges } from '../record/changes.ts'
import type { Payload } from '../record/payload.ts'
import type { Binding } from '../record/record.ts'
import type { Settings } from '../settings.ts'
import type { Turns, WriteQueue } from './queues.ts'
import type { RequestSession } from './request-session.ts'
import type { Touches } from './touches.ts'
import type { Watches } from './watches.ts'

/** What the sessions of one middleware share. */
export interface Core {
  readonly settings: Settings
  readonly store: CheckedStore
  readonly payload: Payload
  readonly events: Events
  readonly writes: WriteQueue<WaitingChange>
  /** Whose turn it is to compute an update of which session. */
  readonly updates: Turns
  readonly touches: Touches
  /** Sessions whose end a signal waits for. */
  readonly watches: Watches
  /** The binding of sessions to a key of their browser's own; `undefined` without `options.deviceBound`. */
  readonly binding: BindingCheck | undefined
  readonly requests: OutsideRequests
  /** The headers of a response have left before its chain returned. */
  readonly onEarlyHeaders: (session: RequestSession) => void
  /** How many functions of `update`, or schemas, run now: where none does, no verb has to ask whether it is inside one. */
  running: number
}

/** What one request changed, while another write of its record is under way. */
export interface WaitingChange {
  readonly session: RequestSession
  readonly pending: PendingChanges
  /** The async context of its request: another one's ends the write that it met. */
  readonly context: AsyncResource
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Whether the browser of a bound session has proved itself lately. */
export interface BindingCheck {
  isProven(info: RequestInfo, binding: Binding, now: number): boolean
  /** Whether the browser says that it skipped its refresh: it keeps its cookies, and proves itself later. */
  hasSkippedRefresh(info: RequestInfo): boolean
  /** The header by which the response of a sign-in offers that registration. */
  offer(info: RequestInfo, registration: string, now: number): readonly [name: string, value: string]
}

/** What is to be known of a request outside Koa's chain that only a context tells: for functions of the app's, and its host. */
export interface OutsideRequests {
  contextOf(request: IncomingMessage): Context
  hostOf(request: IncomingMessage): string
}

/** The request that a session is held for. */
export interface RequestInfo {
  readonly request: IncomingMessage
  readonly cookie: CookieSettings
  readonly keyring: Keyring
  /** Absent outside Koa's chain, where no cookie can be sent. */
  readonly ctx: Context | undefined
  /** Whether the request is no activity of its user. */
  readonly isPassive: boolean
}
