// What packages written for koa-session, and through koa-passport those for express-session, expect: `ctx.session`, and
// a `ctx.state.session` that is a bag of data as well. Both are faces of the manager and keep nothing themselves.
import { inspect } from 'node:util'
import type { Context } from 'koa'
import { invalidType } from '../errors.ts'
import type { Events } from '../events.ts'
import type { SessionManager } from '../session/manager.ts'

type Bag = Record<string, unknown>
type Manager = SessionManager<Bag>

/** A callback as Node's own functions take it. */
export type Callback = (error?: unknown) => void

/** How the handlers want the session to end, said by assigning to `ctx.session`. */
export type Dismissal = 'no' | 'ended' | 'replaced'

/** The faces of one session in one request. */
export class KoaSessionFaces {
  /** `'ended'` after `ctx.session = null`, `'replaced'` by an object after that. */
  dismissal: Dismissal = 'no'
  readonly manager: Manager
  /** The middleware's own lifetime, for `ctx.session.maxAge`. */
  readonly maxAge: number
  readonly #state: Bag
  readonly #stateKey: string
  #data: { current: Bag | undefined } = { current: undefined }
  #session: object = {}

  /** Puts both faces in place: `ctx.session` and `ctx.state[stateKey]`. */
  constructor(ctx: Context, stateKey: string, manager: Manager, maxAge: number) {
    this.manager = manager
    this.maxAge = maxAge
    this.#state = ctx.state
    this.#stateKey = stateKey
    this.#show()
    Object.defineProperty(ctx, 'session', {
      configurable: true,
      get: () => (this.dismissal === 'ended' ? null : this.#session),
      set: (value: unknown) => this.#assign(value),
    })
  }

  /** Node's callback where there is one, else a promise. */
  settle(work: Promise<void>, callback: unknown): Promise<void> | undefined {
    if (typeof callback !== 'function') return work
    // On a tick of its own: what a callback throws is its caller's, not a rejection of ours.
    const call = (error: unknown): void => process.nextTick(callback, error)
    work.then(() => call(null), call)
    return undefined
  }

  /** With a callback the new session is empty and another object, and the old one shows what it showed (passport). */
  async startOver(): Promise<void> {
    const past = { ...this.manager.data }
    await this.manager.regenerate({ keep: false })
    this.#data.current = past
    this.#show()
  }

  #show(): void {
    const data: { current: Bag | undefined } = { current: undefined }
    this.#data = data
    const bag = (): Bag => data.current ?? this.manager.data
    this.#session = new Proxy(new KoaSession(this, bag), new Face(bag, {}, Object.prototype))
    const own = {
      save: (callback?: unknown) => this.settle(this.manager.save(), callback),
      regenerate: (argument?: unknown) => this.regenerate(argument),
    }
    this.#state[this.#stateKey] = new Proxy(
      this.manager,
      new Face(bag, own, Object.getPrototypeOf(this.manager) as object),
    )
  }

  regenerate(argument: unknown): Promise<void> | undefined {
    if (typeof argument === 'function') return this.settle(this.startOver(), argument)
    return this.manager.regenerate(argument as { keep?: boolean } | undefined)
  }

  #assign(value: unknown): void {
    if (value === null || value === undefined || value === false) {
      this.manager.clear()
      this.dismissal = 'ended'
      return
    }
    if (typeof value !== 'object' || Array.isArray(value))
      throw invalidType('ctx.session', 'an object, or null to end the session', value)
    this.manager.data = value as Bag
    if (this.dismissal === 'ended') this.dismissal = 'replaced'
  }
}

/** The names of koa-session's object; all other names are data. */
class KoaSession {
  readonly #faces: KoaSessionFaces
  readonly #bag: () => Bag

  constructor(faces: KoaSessionFaces, bag: () => Bag) {
    this.#faces = faces
    this.#bag = bag
  }

  get isNew(): boolean {
    return this.#faces.manager.isNew
  }

  /** The number of keys. */
  get length(): number {
    return Object.keys(this.#bag()).length
  }

  get populated(): boolean {
    return this.length > 0
  }

  /** The secret id: reading it keeps a new session. */
  get externalKey(): string {
    return this.#faces.manager.id
  }

  /** Milliseconds, or `'session'` for as long as the browser runs. */
  get maxAge(): number | string {
    const { manager, maxAge } = this.#faces
    return manager.maxAge || maxAge || 'session'
  }

  set maxAge(value: number | string) {
    this.#faces.manager.maxAge = value === 'session' ? 0 : value
  }

  save(callback?: Callback): Promise<void> | undefined {
    return this.#faces.settle(this.#faces.manager.save(), callback)
  }

  regenerate(callback?: Callback): Promise<void> | undefined {
    return this.#faces.regenerate(callback)
  }

  /** Unlike `save` it keeps nothing where there is nothing to keep. */
  manuallyCommit(): Promise<void> {
    return this.isNew && !this.populated ? Promise.resolve() : this.#faces.manager.save()
  }

  toJSON(): Bag {
    return { ...this.#bag() }
  }
}

// Print-outs show the data, as koa-session's do. Node takes this from the proxy's target and calls it on the proxy.
Object.defineProperty(KoaSession.prototype, inspect.custom, {
  value(this: KoaSession): unknown {
    return this.toJSON()
  },
})

/** Data as own enumerable properties over an object whose names come first. */
class Face implements ProxyHandler<object> {
  readonly #bag: () => Bag
  readonly #own: Bag
  readonly #prototype: object

  constructor(bag: () => Bag, own: Bag, prototype: object) {
    this.#bag = bag
    this.#own = own
    this.#prototype = prototype
  }

  get(target: object, key: string | symbol): unknown {
    if (typeof key === 'string' && Object.hasOwn(this.#own, key)) return this.#own[key]
    if (!isNamed(target, key)) return Reflect.get(this.#bag(), key)
    const value: unknown = Reflect.get(target, key)
    // A method of the manager finds its private state only in the manager itself.
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
  }

  set(target: object, key: string | symbol, value: unknown): boolean {
    return isNamed(target, key) ? Reflect.set(target, key, value) : Reflect.set(this.#bag(), key, value)
  }

  has(target: object, key: string | symbol): boolean {
    return isNamed(target, key) || Reflect.has(this.#bag(), key)
  }

  deleteProperty(_target: object, key: string | symbol): boolean {
    return Reflect.deleteProperty(this.#bag(), key)
  }

  ownKeys(): string[] {
    return Object.keys(this.#bag())
  }

  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    return Reflect.getOwnPropertyDescriptor(this.#bag(), key)
  }

  defineProperty(_target: object, key: string | symbol, property: PropertyDescriptor): boolean {
    return Reflect.defineProperty(this.#bag(), key, property)
  }

  getPrototypeOf(): object {
    return this.#prototype
  }
}

/** Whether the object itself has that name; what every object has may be data, too. */
function isNamed(target: object, key: string | symbol): boolean {
  return key in target && (typeof key === 'symbol' || !(key in Object.prototype))
}

/**
 * Says once that a package looks for `ctx.session`, where there is none: koa-csrf, for one, protects nothing then.
 *
 * On the prototype of all contexts of the app, so it costs a request nothing; whoever sets `ctx.session` gets his own.
 */
export function watchForKoaSession(prototype: object, events: Events): void {
  if ('session' in prototype) return
  Object.defineProperty(prototype, 'session', {
    configurable: true,
    get() {
      events.notice(
        'NO_CTX_SESSION',
        'ctx.session was read, but the session is at ctx.state: a package such as koa-csrf or koa-passport needs session({ koaSession: true }) and does nothing, or fails, without it',
      )
      return undefined
    },
    set(this: object, value: unknown) {
      Object.defineProperty(this, 'session', { configurable: true, enumerable: true, writable: true, value })
    },
  })
}
