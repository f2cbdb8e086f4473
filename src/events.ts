// What a session tells the outside: one diagnostics channel per event, the app's logger, and safety notices.
// Messages carry public ids and key names, never an id, a signature or a value.
import { channel, type Channel } from 'node:diagnostics_channel'

const NAMES = [
  'create',
  'resume',
  'reject',
  'commit',
  'conflict',
  'gone',
  'regenerate',
  'destroy',
  'store-error',
] as const

/** The name of an event; its channel is `koa-fastsession:` and the name. */
export type EventName = (typeof NAMES)[number]

/**
 * Why a cookie did not lead to its session: it had the wrong shape; no key of ours signed it; its session has ended; its
 * record cannot be read; or there were several cookies of our name, and the first one that leads to a session was taken.
 */
export type RejectReason = 'malformed' | 'signature' | 'ended' | 'corrupt' | 'duplicate'

/**
 * What the channels of `node:diagnostics_channel` publish: `koa-fastsession:create`, `:resume`, `:reject`, `:commit`,
 * `:conflict`, `:gone`, `:regenerate`, `:destroy` and `:store-error`. Never an id, a signature or data.
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
  /** Names the session; absent where no signature was good. */
  readonly publicId?: string | undefined
  /** `regenerate`: the session's public id until now. */
  readonly previousPublicId?: string | undefined
  /** `reject`: why. */
  readonly reason?: RejectReason
  /** `conflict`: the keys of data that two requests changed. */
  readonly keys?: readonly string[]
  /** `store-error`: the verb of the store that failed. */
  readonly operation?: string
  /** `store-error`: what the store threw, or that it did not answer in time. */
  readonly error?: unknown
}

/**
 * Where a middleware writes what happens: pino, console, or anything with some of these methods. A level that is missing
 * is not written, and what a method throws is dropped.
 */
export interface SessionLogger {
  /** `create`, `resume`, `commit`: the course of things. */
  debug?(message: string): void
  /** `reject`, `gone`, `regenerate`, `destroy`. */
  info?(message: string): void
  /** `conflict`, and safety notices. */
  warn?(message: string): void
  /** `store-error`. */
  error?(message: string): void
}

const LEVEL: Record<EventName, keyof SessionLogger> = {
  create: 'debug',
  resume: 'debug',
  reject: 'info',
  commit: 'debug',
  conflict: 'warn',
  gone: 'info',
  regenerate: 'info',
  destroy: 'info',
  'store-error': 'error',
}

const channels = Object.fromEntries(NAMES.map((name) => [name, channel(`koa-fastsession:${name}`)])) as Record<
  EventName,
  Channel
>

/** The events of one middleware. */
export class Events {
  readonly #logger: SessionLogger | undefined
  readonly #noticed = new Set<string>()

  constructor(logger: SessionLogger | undefined) {
    this.#logger = logger
  }

  /** Whether anybody listens: a caller on the way of every request asks before it makes a message. */
  heard(name: EventName): boolean {
    return channels[name].hasSubscribers || this.#logger !== undefined
  }

  emit(name: EventName, message: EventMessage): void {
    if (channels[name].hasSubscribers) channels[name].publish(message)
    if (this.#logger !== undefined) this.#log(LEVEL[name], worded(name, message))
  }

  /** Says a thing that the app's developer should know: once, and where it is seen. */
  notice(topic: string, message: string): void {
    if (this.#noticed.has(topic)) return
    this.#noticed.add(topic)
    if (this.#logger === undefined)
      process.emitWarning(message, { type: 'SessionWarning', code: `KOA_FASTSESSION_${topic}` })
    else this.#log('warn', message)
  }

  #log(level: keyof SessionLogger, text: string): void {
    try {
      this.#logger?.[level]?.(`koa-fastsession: ${text}`)
    } catch {
      // A logger that fails must not fail the request; there is nowhere left to say so.
    }
  }
}

function worded(name: EventName, message: EventMessage): string {
  let text: string = name
  if (message.publicId !== undefined) text += ` ${message.publicId}`
  if (message.previousPublicId !== undefined) text += ` (was ${message.previousPublicId})`
  if (message.reason !== undefined) text += `, ${message.reason}`
  if (message.keys !== undefined) text += `, keys ${message.keys.join(', ')}`
  if (message.operation !== undefined) text += `, ${message.operation} failed`
  if (message.error instanceof Error) text += `: ${message.error.message}`
  return text
}
