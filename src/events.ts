// How sessions report what happens: one diagnostics channel per event, the app's logger, and safety notices.
// Messages carry public ids, owners and key names, never an id, a signature or a value.
import { channel, type Channel } from 'node:diagnostics_channel'
import { keyNames, printable } from './errors.ts'
import type { SessionRecord } from './store.ts'

/** Every event, and the level at which it is logged. */
const LEVELS = {
  create: 'debug',
  resume: 'debug',
  reject: 'info',
  commit: 'debug',
  merge: 'debug',
  conflict: 'warn',
  gone: 'info',
  'sign-in': 'info',
  regenerate: 'info',
  destroy: 'info',
  bind: 'info',
  'store-error': 'error',
} as const

/** The name of an event; its channel is `koa-fastsession:` and the name. */
export type EventName = keyof typeof LEVELS

/**
 * Why a cookie did not lead to its session, or why a request was refused.
 *
 * - `'malformed'`: the cookie has the wrong shape.
 * - `'signature'`: none of our keys signed it.
 * - `'ended'`: its session has ended: signed out, ended from elsewhere, or expired.
 * - `'replaced'`: its session got a new id within the last minute.
 * - `'idle'`, `'absolute'`: its session exceeds a limit that is shorter here than where the session was stored.
 * - `'corrupt'`: its record cannot be read, or its data does not fit the schema.
 * - `'duplicate'`: there were several cookies of our name, and another one leads to a session.
 * - `'unbound'`: the session is bound to a device, and the request gave no fresh proof of it.
 * - `'cross-site'`: the request came from a page of another site.
 * - `'key'`: the session is encrypted under a key that is not listed, with `onUnknownKey: 'end'`. By default that is a 503 and
 *   no event.
 */
export type RejectReason =
  | 'malformed'
  | 'signature'
  | 'ended'
  | 'idle'
  | 'absolute'
  | 'replaced'
  | 'corrupt'
  | 'duplicate'
  | 'unbound'
  | 'cross-site'
  | 'key'

/**
 * How a session ended: by its own request (`'sign-out'`), by `destroy` or `destroyAll` of the middleware (`'elsewhere'`), by
 * `destroyEverything` (`'everything'`), by `maxPerOwner` (`'limit'`), or because a bounded store made room (`'evicted'`).
 */
export type DestroyReason = 'sign-out' | 'elsewhere' | 'everything' | 'limit' | 'evicted'

/**
 * What the channels of `node:diagnostics_channel` publish: `koa-fastsession:create`, `:resume`, `:reject`, `:commit`,
 * `:merge`, `:conflict`, `:gone`, `:sign-in`, `:regenerate`, `:destroy`, `:bind` and `:store-error`. Never an id, a signature
 * or data.
 *
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel'
 * import type { EventMessage } from 'koa-fastsession'
 *
 * subscribe('koa-fastsession:reject', (message) => {
 *   const { reason, publicId } = message as EventMessage
 *   console.warn('a session cookie was refused', reason, publicId)
 * })
 * ```
 */
export interface EventMessage {
  /** The public id of the session; absent where it is not known, as for a cookie without a valid signature. */
  readonly publicId?: string | undefined
  /** `regenerate`, `sign-in`: the session's public id until now. */
  readonly previousPublicId?: string | undefined
  /** The account that the session belongs to; absent where there is none. */
  readonly owner?: string | undefined
  /** `reject` and `destroy`: why. */
  readonly reason?: RejectReason | DestroyReason | undefined
  /** `merge`: the keys of data that another request had changed meanwhile; `conflict`: those that both changed. */
  readonly keys?: readonly string[] | undefined
  /** `store-error`: the verb of the store that failed. */
  readonly operation?: string | undefined
  /** `store-error`: what kind of failure it was, such as `'ECONNREFUSED'`, `'READONLY'` or `'timeout'`. */
  readonly kind?: string | undefined
  /**
   * `store-error`: the error that was thrown, without its `cause`: the error of a store may quote what was sent to the store,
   * which may be data.
   */
  readonly error?: unknown
}

/**
 * The logger of a middleware: pino, console, or any object with some of these methods. Messages of a level that is missing are
 * dropped, and so is what a method throws or rejects with. Each message is one line: control characters in names of keys are
 * escaped.
 */
export interface SessionLogger {
  /** `create`, `resume`, `commit`, `merge`: normal operation. */
  debug?(message: string): void
  /** `reject`, `gone`, `sign-in`, `regenerate`, `destroy`, `bind`. */
  info?(message: string): void
  /** `conflict`, and safety notices. */
  warn?(message: string): void
  /** `store-error`. */
  error?(message: string): void
}

type Heard = Readonly<Record<EventName, Pick<Channel, 'hasSubscribers'>>>

const channels = byName((name) => channel(`koa-fastsession:${name}`))

/** With a logger, every event has a listener. */
const LOGGED: Heard = byName(() => ({ hasSubscribers: true }))

function byName<Value>(valueOf: (name: EventName) => Value): Record<EventName, Value> {
  const names = Object.keys(LEVELS) as EventName[]
  return Object.fromEntries(names.map((name) => [name, valueOf(name)])) as Record<EventName, Value>
}

/** The events of one middleware. */
export class Events {
  /** Whether an event has a listener: code on the path of every request asks before it makes a message. */
  readonly channels: Heard
  readonly #logger: SessionLogger | undefined
  readonly #noticed = new Set<string>()

  constructor(logger: SessionLogger | undefined) {
    this.channels = logger === undefined ? channels : LOGGED
    this.#logger = logger
  }

  emit(name: EventName, message: EventMessage): void {
    if (channels[name].hasSubscribers) {
      // Without its `undefined` fields.
      channels[name].publish(Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)))
    }
    if (this.#logger !== undefined) this.#log(LEVELS[name], format(name, message))
  }

  /** Emits an event of a record's session. */
  tell(name: EventName, { key: publicId, owner }: Pick<SessionRecord, 'key' | 'owner'>, more?: EventMessage): void {
    this.emit(name, { publicId, owner, ...more })
  }

  /** Emits a developer warning, once per topic. */
  notice(topic: string, message: string): void {
    if (this.#noticed.has(topic)) return
    this.#noticed.add(topic)
    const code = `KOA_FASTSESSION_${topic}`
    if (this.#logger === undefined) process.emitWarning(message, { type: 'SessionWarning', code })
    else this.#log('warn', `${message} (${code})`)
  }

  #log(level: keyof SessionLogger, text: string): void {
    try {
      const written: unknown = this.#logger?.[level]?.(printable(`koa-fastsession: ${text}`))
      if (written !== undefined) Promise.resolve(written).catch(() => undefined)
    } catch {
      // A logger that throws or rejects must not fail the request; there is no other place to report that.
    }
  }
}

function format(name: EventName, message: EventMessage): string {
  let text: string = name
  if (message.publicId !== undefined) text += ` ${message.publicId}`
  if (message.previousPublicId !== undefined) text += ` (was ${message.previousPublicId})`
  if (message.reason !== undefined) text += `, ${message.reason}`
  if (message.keys !== undefined) text += `, keys ${keyNames(message.keys)}`
  if (message.operation !== undefined) text += `, ${message.operation} failed`
  if (message.kind !== undefined) text += `: ${message.kind}`
  return text
}
