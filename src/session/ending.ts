// `session.signal`: one request waits for the end of its session.
import { AsyncResource } from 'node:async_hooks'
import { goneError } from '../errors.ts'
import type { SessionRecord } from '../store.ts'
import type { RequestSession } from './request-session.ts'
import type { Watcher } from './watches.ts'

export class Ending implements Watcher {
  key?: string
  readonly #session: RequestSession
  readonly #controller = new AbortController()
  /** Aborts the signal in the async context of the code that read it first. */
  readonly end: (reason: unknown) => void = AsyncResource.bind((reason: unknown) => this.#controller.abort(reason))

  /** Watches the session until the response is over, or outside the chain until the connection closes. */
  constructor(session: RequestSession) {
    this.#session = session
    const { status, info, core } = session
    if (status === 'gone' || status === 'destroyed') this.#controller.abort(goneError())
    else if (!this.isOver) {
      this.watch()
      const { ctx, request } = info
      // A response that an app made by hand for a socket (an upgrade within Koa's chain) has no connection, and never closes. Node
      // tells whether a request was handed to the listeners of its server's 'upgrade'; its types do not.
      const response = (ctx?.res.socket ?? !('upgrade' in request && request.upgrade)) ? ctx?.res : undefined
      core.watches.removeOnClose(this, response ?? request.socket)
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get record(): SessionRecord | undefined {
    return this.#session.record
  }

  /** Watches the session again, under its current record. */
  watch(): void {
    if (!this.isOver && !this.#session.isMoving) this.#session.core.watches.add(this)
  }

  unwatch(): void {
    this.#session.core.watches.remove(this)
  }

  /** A response that waits behind another one, or is a stream of HTTP/2, may never say that its connection has closed. */
  get isOver(): boolean {
    const { ctx, request } = this.#session.info
    return request.socket.destroyed || (ctx !== undefined && (ctx.res.destroyed || ctx.res.writableFinished))
  }
}
