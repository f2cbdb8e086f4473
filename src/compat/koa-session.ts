// What packages written for koa-session expect, and through koa-passport those written for express-session: `ctx.session`, and
// a `ctx.state.session` that is a bag of data as well. Both are facades of the manager and store nothing themselves.
import { inspect, isDeepStrictEqual } from 'node:util'
import type { Context } from 'koa'
import { invalidMix, invalidType, SessionError } from '../errors.ts'
import { isPlainObject } from '../record/json-value.ts'
import { objectsOf } from '../record/objects.ts'
import type { Duration } from '../duration.ts'
import type { End, Facade } from '../session/core.ts'
import { destroy } from '../session/destroy.ts'
import { runExclusive } from '../session/exclusive.ts'
import { requestSessionOf, type SessionManager } from '../session/manager.ts'
import { regenerate } from '../session/regenerate.ts'
import type { RequestSession } from '../session/request-session.ts'
import { exposerOf } from '../session/state.ts'
import type { MaybePromise } from '../store.ts'
import { copyOf, DataFacade, type Bag, type BagSource } from './data-facade.ts'

type Manager = SessionManager<Bag>

/** A callback in the style of Node's own functions. */
export type Callback = (error?: unknown) => void

/** What a replaced session object shows: copies, which packages may change and put into the new session. */
interface Past {
  readonly shown: Bag
  readonly original: Bag
}

/** What an event tells as well. */
const TOLD = /_(?:GONE|CONFLICT|STORE|SITE|UNBOUND)$/

/** The facades of one session in one request. */
export class KoaSessionFacade implements Facade {
  readonly manager: Manager
  readonly #ctx: Context
  readonly #request: RequestSession
  readonly outer: Facade | undefined
  /** Puts `ctx.session` of a chain around this one, with a session of its own, back in its place. */
  readonly giveBack: (() => unknown) | undefined
  /** One for each session object that was replaced. */
  readonly #past: Past[] = []
  #end: End = 'no'
  /** The number of sign-ins when `ctx.session` was set to null: a later sign-in is not undone. */
  #endAfter = 0
  #session: object = {}
  /** Callbacks that are still to be called. */
  #calls: Promise<unknown> | undefined
  /** While a callback runs: the end that had been asked for when the callback was given. */
  #asked: End | undefined

  /** Puts both facades in place: `ctx.session` and `ctx.state[stateKey]`. */
  constructor(ctx: Context, manager: SessionManager) {
    this.manager = manager as Manager
    this.#ctx = ctx
    this.#request = requestSessionOf(manager)
    this.outer = this.#request.facade
    this.#request.facade = this
    this.#show()
    const around = Object.getOwnPropertyDescriptor(ctx, 'session')
    this.giveBack = around && ((): unknown => Object.defineProperty(ctx, 'session', around))
    Object.defineProperty(ctx, 'session', {
      configurable: true,
      get: () => (this.pendingEnd === 'ended' || this.#request.status === 'destroyed' ? null : this.#session),
      set: (value: unknown) => this.#assign(value),
    })
  }

  get pendingEnd(): End {
    const { cookie, status } = this.#request
    return cookie.signIns === this.#endAfter && status !== 'destroyed' ? this.#end : 'no'
  }

  get isReplacing(): boolean {
    return this.#end === 'replaced' || this.outer?.isReplacing === true
  }

  /** Waits until every callback has been called, which no handler can await: a logout of passport saves, and then regenerates. */
  async called(hasFailed: boolean): Promise<void> {
    // Of what failed handlers left pending, callbacks save nothing.
    if (hasFailed && this.#calls !== undefined) this.#request.drop()
    for (let calls: unknown; calls !== this.#calls;) await (calls = this.#calls)
  }

  /** Called when the handlers have returned: carries out what they asked for by assigning to `ctx.session`. */
  async finish(): Promise<void> {
    await this.called(false)
    this.#noticeLostWrites()
    if (this.pendingEnd === 'replaced') await this.beginReplacing()
    if (this.pendingEnd === 'ended') await this.manager.destroy()
    // The session that regenerate(callback) promised: refused unless an owner begins it.
    if (this.#past.length > 0 && this.#request.status === 'unbound') await this.manager.save()
  }

  beginReplacing(): MaybePromise<void> {
    if (this.pendingEnd !== 'replaced') return this.outer?.beginReplacing()
    return runExclusive(this.#request, async (session) => {
      // A save() that nobody awaited may have been first.
      if (this.pendingEnd !== 'replaced') return
      try {
        await regenerate(session, 'seen', undefined)
      } catch (error) {
        session.facade?.settled('ended')
        // Null is a logout, which holds all the same where no cookie has told the browser of the session's new id, or the browser has
        // left.
        if ((session.hasNewId && !session.cookie.canSend) || session.cookie.isDeserted) await destroy(session)
        throw error
      }
    })
  }

  settled(end: 'ended' | 'done'): void {
    // The handlers may have set it to null meanwhile.
    if (this.#end === 'replaced') this.#end = end
    this.outer?.settled(end)
  }

  async finishAll(): Promise<void> {
    await this.outer?.finishAll()
    await this.finish()
  }

  /** Code for koa-session may not await it: a logout beside it, an outage, or a client that leaves must not end the process then. */
  #heard(work: Promise<void>): Promise<void> {
    const heeded: Promise<void> = work.catch((error: unknown) => {
      if (error instanceof SessionError && (TOLD.test(error.code) || this.#ctx.req.socket.destroyed))
        heeded.catch(() => undefined)
      throw error
    })
    return heeded
  }

  /** Calls the callback where there is one, else gives the promise. */
  settle(work: Promise<void>, callback: unknown): Promise<void> | undefined {
    if (typeof callback !== 'function') return this.#heard(work)
    const asked = this.#asked ?? this.#end
    // On a tick of its own: what a callback throws must not become a rejection of ours, and the ticks after it come all the same.
    const call = (error: unknown): Promise<void> =>
      new Promise((resolve) => {
        process.nextTick(() => (this.#asked = asked))
        process.nextTick(callback, error)
        process.nextTick(() => (this.#asked = undefined))
        process.nextTick(resolve)
      })
    const before = this.#calls
    this.#calls = work.then(() => call(null), call).then(() => before)
  }

  regenerate(argument: unknown): Promise<void> | undefined {
    if (typeof argument === 'function') return this.settle(this.#startOver(), argument)
    // As in koa-session, null counts as no callback.
    const options = argument ?? undefined
    const replacing = options === undefined ? this.beginReplacing() : undefined
    return this.#heard(replacing ?? this.manager.regenerate(options))
  }

  /** With a callback, the new session is empty and has a new object, and the old object goes on showing the old data (passport). */
  async #startOver(): Promise<void> {
    // Copies: objects that `data` handed out are read-only from now on, and passport writes to those that it takes from the old object.
    const copy = (): Bag => copyOf({ ...this.manager.data }) as Bag // a copy has the type of the value
    const past: Past = { shown: copy(), original: copy() }
    // A lifetime that was set before is meant for the new session, as in koa-session ("remember me" of a login).
    const { maxAge } = this.#request.pending
    const end = this.#asked ?? this.#end
    // Before the browser has proved itself there is nothing to keep, and only a sign-in, which may follow, begins a session.
    if (this.#request.status === 'unbound') this.manager.clear()
    else await this.manager.regenerate({ keep: false })
    // The handlers may have set it to null meanwhile.
    if (this.#end === end) this.#end = 'no'
    if (maxAge !== undefined) this.manager.maxAge = maxAge
    this.#past.push(past)
    this.#show()
  }

  #show(): void {
    // The index of the copies that this object shows once it has been replaced.
    const at = this.#past.length
    const past = (): Bag | undefined => this.#past[at]?.shown
    const bag: BagSource = {
      read: () => past() ?? this.manager.data,
      write: () => {
        if (past() === undefined) return this.manager.data
        throw invalidMix(
          'this session object was replaced by regenerate(callback) and is read-only: write to ctx.session',
        )
      },
      past,
      wasShown: (key, value) => {
        const shown = this.#past.at(-1)?.shown
        return shown !== undefined && Object.hasOwn(shown, key) && Reflect.get(shown, key) === value
      },
    }
    this.#session = new Proxy(new KoaSession(this, bag), new DataFacade(bag, {}, Object.prototype))
    const own = {
      save: (callback?: unknown) => this.settle(this.manager.save(), callback),
      regenerate: (argument?: unknown) => this.regenerate(argument),
    }
    const prototype = Object.getPrototypeOf(this.manager) as object
    // A frozen object that the app put in the place of `ctx.state` takes no property: the session has its new id nevertheless.
    if (this.#past.length > 0 && Object.isFrozen(this.#ctx.state)) return
    const expose = exposerOf(this.#request.core.settings.stateKey)
    expose(this.#ctx, new Proxy(this.manager, new DataFacade(bag, own, prototype)))
  }

  #assign(value: unknown): void {
    const { manager } = this
    if (value === null || value === undefined || value === false) {
      if (this.#request.status !== 'destroyed') manager.clear()
      this.#end = 'ended'
      this.#endAfter = this.#request.cookie.signIns
      return
    }
    if (typeof value !== 'object' || Array.isArray(value))
      throw invalidType('ctx.session', 'an object, or null to end the session', value)
    manager.data = isPlainObject(value) ? (value as Bag) : { ...value }
    // An object after null is a new session: the id of the old one must not open it.
    if (this.pendingEnd === 'ended') this.#end = this.#request.record === undefined ? 'no' : 'replaced'
  }

  /** Warns of a copy that was taken from a replaced object, changed, and not put into the new session: its change is lost. */
  #noticeLostWrites(): void {
    // Nothing of a destroyed session is kept, and its data cannot be read.
    if (this.#request.status === 'destroyed') return
    let kept: ReadonlySet<object> | undefined
    for (const { shown, original } of this.#past) {
      for (const [key, value] of Object.entries(shown)) {
        if (typeof value !== 'object' || value === null || isDeepStrictEqual(value, original[key])) continue
        kept ??= this.pendingEnd === 'ended' ? new Set() : objectsOf(Object.values(this.manager.data))
        if (kept.has(value)) continue
        this.#request.core.events.notice(
          'REPLACED_SESSION_WRITTEN',
          'a session object that regenerate(callback) had replaced was written to, which is not stored: write to ctx.session',
        )
        return
      }
    }
  }
}

/** The names of koa-session's object; all other names are data. */
class KoaSession {
  readonly #facade: KoaSessionFacade
  readonly #bag: BagSource

  constructor(facade: KoaSessionFacade, bag: BagSource) {
    this.#facade = facade
    this.#bag = bag
  }

  get isNew(): boolean {
    return this.#facade.manager.isNew
  }

  /** The number of keys. */
  get length(): number {
    return Object.keys(this.#bag.read()).length
  }

  get populated(): boolean {
    return this.length > 0
  }

  /** The secret id: reading it keeps a new session. */
  get externalKey(): string {
    return this.#facade.manager.id
  }

  /** Milliseconds, or `'session'` for as long as the browser runs. */
  get maxAge(): number | string {
    const { manager } = this.#facade
    return manager.maxAge || requestSessionOf(manager).core.settings.lifetime.maxAge || 'session'
  }

  set maxAge(value: number | string | null | undefined) {
    this.#facade.manager.maxAge = (value ?? 'session') === 'session' ? 0 : (value as Duration)
  }

  save(callback?: Callback): Promise<void> | undefined {
    return this.#facade.settle(this.#facade.manager.save(), callback)
  }

  regenerate(callback?: Callback): Promise<void> | undefined {
    return this.#facade.regenerate(callback)
  }

  /** Unlike `save`, it does not keep a new session without data. */
  manuallyCommit(): Promise<void> | undefined {
    return this.isNew && !this.populated ? Promise.resolve() : this.save()
  }

  toJSON(): Bag {
    return { ...this.#bag.read() }
  }

  // Print-outs show the data, as koa-session's do. Node takes this from the proxy's target and calls it on the proxy.
  [inspect.custom](): Bag {
    return this.toJSON()
  }
}
