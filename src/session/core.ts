// What the sessions of one middleware share, and what they know about a request.
import type { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import type { CheckedStore } from '../checked-store.ts'
import type { CookieSettings } from '../cookie/cookie.ts'
import type { Keyring } from '../cookie/keyring.ts'
import type { CookieVerifier } from '../cookie/request-cookie.ts'
import type { Events } from '../events.ts'
import type { PendingChanges } from '../record/changes.ts'
import type { Payload } from '../record/payload.ts'
import type { Binding } from '../record/record.ts'
import type { Settings } from '../settings.ts'
import type { MaybePromise } from '../store.ts'
import type { Turns, WriteQueue } from './queues.ts'
import type { RequestSession } from './request-session.ts'
import type { Requests } from './requests.ts'
import type { Touches } from './touches.ts'
import type { Watches } from './watches.ts'

/** What the sessions of one middleware share. */
export interface Core {
  readonly settings: Settings
  readonly store: CheckedStore
  readonly payload: Payload
  readonly events: Events
  readonly verifier: CookieVerifier
  readonly writes: WriteQueue<WaitingChange>
  /** Gives the updates of a session their turns. */
  readonly updates: Turns
  readonly touches: Touches
  /** The sessions whose end a signal waits for. */
  readonly watches: Watches
  /** Checks and offers the binding of sessions to a device; `undefined` without `options.deviceBound`. */
  readonly binding: BindingCheck | undefined
  readonly requests: Requests
  /** Called when the headers of a response leave before its chain has returned. */
  readonly onEarlyHeaders: (session: RequestSession) => void
  /** How many `update` functions and schemas are running. At 0, no method has to check whether it is called inside one. */
  running: number
}

/** The changes of one request that wait for another write of the same record. */
export interface WaitingChange {
  readonly session: RequestSession
  readonly pending: PendingChanges
  /** The async context of its request: the write that it waits for ends in the context of another request. */
  readonly context: AsyncResource
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * How the handlers want the session to end: `'ended'` after `ctx.session = null`, `'replaced'` by an object after that, `'done'`
 * once the session of that object has begun.
 */
export type End = 'no' | 'ended' | 'replaced' | 'done'

/** What the handlers asked for by assigning to `ctx.session`. */
export interface Facade {
  readonly pendingEnd: End
  /** The facade of the chain that forwarded the request to this one. */
  readonly outer: Facade | undefined
  /** Whether an object after null is pending, in this chain or one around it. */
  readonly isReplacing: boolean
  /** Waits until every callback has been called; `hasFailed`: what the handlers left pending is dropped before. */
  called(hasFailed: boolean): Promise<void>
  /** Carries it out for this chain and the chains around it, before the commit of a chain that may never return. */
  finishAll(): Promise<void>
  /** Begins the session that the handlers put in the place of the old one, before anything of it is stored, if they did. */
  beginReplacing(): MaybePromise<void>
  /**
   * An object after null is pending no longer, in this chain and those around it: `'done'` once its session has begun, `'ended'` if
   * it was dropped. Then the session ends, and does not come back in its place.
   */
  settled(end: 'ended' | 'done'): void
}

/** Checks whether the browser of a bound session has proved itself recently, and offers a registration. */
export interface BindingCheck {
  isProven(info: RequestInfo, binding: Binding, now: number): boolean
  /** Whether the browser says that it skipped its refresh: it keeps its cookies, and proves itself later. */
  hasSkippedRefresh(info: RequestInfo): boolean
  /** The header with which the response of a sign-in offers that registration. */
  offer(info: RequestInfo, registration: string, now: number): readonly [name: string, value: string]
}

/** What the session code needs to know about its request. */
export interface RequestInfo {
  readonly request: IncomingMessage
  readonly cookie: CookieSettings
  readonly keyring: Keyring
  /** Absent outside Koa's chain, where no cookie can be sent. */
  readonly ctx: Context | undefined
  /** Whether the request does not count as activity of its user. */
  readonly isPassive: boolean
}
