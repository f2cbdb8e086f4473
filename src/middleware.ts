// session(options): the journey of one request, and what the middleware does outside of requests. Alone in knowing Koa.
import { ServerResponse, type IncomingMessage } from 'node:http'
import type Koa from 'koa'
import type { Context, Next } from 'koa'
import { finish, view } from './commit.ts'
import { frames, type Frame } from './context.ts'
import { hasShortSecret, keyring, presented, type Keyring, type LiveKeyring } from './cookie.ts'
import { invalidMix, invalidType, SessionError } from './errors.ts'
import { Events, type RejectReason } from './events.ts'
import { Guard } from './guard.ts'
import { publicIdOf } from './identity.ts'
import { SessionManager, type SessionData } from './manager.ts'
import { checkedOwner, settingsOf, type SessionOptions } from './options.ts'
import { Payload } from './payload.ts'
import { CorruptRecord, type SessionRecord } from './store.ts'
import { isPromise, take, type Maybe } from './steps.ts'
import { end } from './succession.ts'
import { Sweeper } from './sweeper.ts'
import { isTombstone, isUnderWay } from './tombstone.ts'
import { Visit, type Exchange, type Services } from './visit.ts'

/** What `ctx.state` holds below the middleware, for `new Koa<SessionState>()` and `new Router<SessionState>()`. */
export interface SessionState<Data extends object = SessionData> {
  session: SessionManager<Data>
}

declare module 'koa' {
  // Seen by plain Koa and by koa-router's handlers alike, both of which take their state from here.
  interface DefaultState {
    session: SessionManager
  }
}

/** A session as `list` shows it. */
export interface SessionInfo<Data extends object = SessionData> {
  readonly publicId: string
  readonly owner: string
  readonly createdAt: number
  readonly lastSeenAt: number
  readonly expiresAt: number
  readonly data: Data
}

/** The middleware, and what it does outside Koa's chain. */
export interface SessionMiddleware<Data extends object = SessionData> extends Koa.Middleware<SessionState<Data>> {
  /**
   * Serves a request that does not run through Koa's chain (a WebSocket upgrade, raw `http`): loads its session, runs
   * `fn` with `currentSession()` bound, commits, and resolves to what `fn` returned.
   *
   * No cookie can be sent there. Before the first Koa request `options.keys` is needed.
   *
   * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when a session that is not stored is changed, or one regenerated.
   */
  run<Result>(request: IncomingMessage, fn: (session: SessionManager<Data>) => Result | Promise<Result>): Promise<Result>

  /**
   * The live sessions of an owner.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  list(owner: string): Promise<SessionInfo<Data>[]>

  /**
   * Ends one session from elsewhere; with an owner, only if it is his.
   *
   * @returns whether it did.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when an owner is given and the store has no index by owner.
   */
  destroy(publicId: string, options?: { readonly owner?: string }): Promise<boolean>

  /**
   * Logs an owner out everywhere, `except` in the session of that public id: every session that was acknowledged before
   * the call is ended.
   *
   * @returns how many were.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  destroyAll(owner: string, options?: { readonly except?: string }): Promise<number>

  /** Deletes expired records now; how many. 0 for a store that does so itself. */
  deleteExpired(): Promise<number>

  /** Waits for running commits, stops timers, closes what the store opened itself. A second call does nothing. */
  close(): Promise<void>
}

/**
 * Sessions for a Koa app: `app.use(session({ keys: ['newest secret', 'older secret'] }))`.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options.
 */
export function session<Data extends object = SessionData>(options: SessionOptions<Data> = {}): SessionMiddleware<Data> {
  const house = new House(settingsOf(options))
  const serve = (ctx: Context, next: Next): Promise<unknown> => house.serve(ctx, next)
  const methods: Omit<SessionMiddleware<Data>, keyof Koa.Middleware> = {
    run: (request, fn) => house.run(request, (manager) => fn(manager as SessionManager<Data>)),
    list: (owner) => house.list(owner) as Promise<SessionInfo<Data>[]>,
    destroy: (publicId, { owner } = {}) => house.destroy(publicId, owner),
    destroyAll: (owner, { except } = {}) => house.destroyAll(owner, except),
    deleteExpired: () => house.sweeper.sweep(),
    close: () => house.close(),
  }
  return Object.assign(serve as Koa.Middleware<SessionState<Data>>, methods)
}

/** One mounted middleware. */
class House {
  readonly services: Services
  readonly sweeper: Sweeper
  readonly #settings: Services['settings']
  readonly #store: Guard
  #app: Koa | undefined = undefined
  #appKeys: unknown = undefined
  #appKeyring: LiveKeyring | undefined = undefined

  constructor(settings: Services['settings']) {
    const events = new Events(settings.logger)
    const store = new Guard(settings.store, settings.storeTimeout, events)
    this.services = { settings, store, events, payload: new Payload(settings.codec, settings.maxBytes, settings.encryptionKeys) }
    this.sweeper = new Sweeper(store, settings.sweepInterval, settings.now)
    this.#settings = settings
    this.#store = store
    if (settings.hasShortSecret) this.#warnOfShortSecret()
  }

  /** One request through Koa's chain. */
  serve(ctx: Context, next: Next): Promise<unknown> {
    const { skips } = this.#settings
    return skips?.(ctx) === true ? next() : this.#journey(ctx, next)
  }

  async #journey(ctx: Context, next: Next): Promise<void> {
    const { stateKey, cookie } = this.#settings
    this.#app = ctx.app
    const exchange: Exchange = {
      request: ctx.req,
      cookie: typeof cookie === 'function' ? cookie(ctx) : cookie,
      keyring: this.#keyring(ctx.app),
      ctx,
    }
    const outer = this.#outer(exchange)
    const found = this.#load(exchange)
    const visit = isPromise(found) ? await found : found
    const manager = new SessionManager(visit)
    // Koa's state is an open bag.
    const state = ctx.state as Record<string, unknown>
    state[stateKey] = manager
    try {
      await frames.run({ session: manager, stateKey, outer }, next)
    } catch (error) {
      // Koa drops all headers when it answers an error: ours are written at the last moment.
      if (visit.isConsulted) visit.arm()
      if (!isAnswer(error)) {
        visit.close(false)
        throw error
      }
      await finish(visit)
      throw error
    }
    const committing = finish(visit)
    if (committing !== undefined) await committing
  }

  /** One request outside the chain. */
  async run<Result>(request: IncomingMessage, fn: (session: SessionManager) => Result | Promise<Result>): Promise<Result> {
    if (typeof fn !== 'function') throw invalidType('the second argument of run()', 'a function', fn)
    const { stateKey, cookie } = this.#settings
    const exchange: Exchange = {
      request,
      cookie: typeof cookie === 'function' ? cookie(this.#contextOf(request)) : cookie,
      keyring: this.#keyring(this.#app),
      ctx: undefined,
    }
    const outer = this.#outer(exchange)
    const visit = await this.#load(exchange)
    const manager = new SessionManager(visit)
    let result: Result
    try {
      result = await frames.run({ session: manager, stateKey, outer }, () => fn(manager))
    } catch (error) {
      if (isAnswer(error)) await finish(visit)
      else visit.close(false)
      throw error
    }
    await finish(visit)
    return result
  }

  async list(owner: string): Promise<SessionInfo[]> {
    checkedOwner(owner, 'the owner of list()')
    const records = await this.#store.list(owner, this.#settings.now())
    return records.flatMap((record) => {
      const info = this.#infoOf(record)
      return info === undefined ? [] : [info]
    })
  }

  async destroy(publicId: string, owner: string | undefined): Promise<boolean> {
    if (typeof publicId !== 'string') throw invalidType('the argument of destroy()', 'a public id', publicId)
    if (owner !== undefined) this.#store.assertIndex()
    const record = await this.#store.read(publicId, this.#settings.now())
    if (record === undefined || (owner !== undefined && record.owner !== owner)) return false
    return take(end(this.services, record))
  }

  async destroyAll(owner: string, except: string | undefined): Promise<number> {
    checkedOwner(owner, 'the owner of destroyAll()')
    const records = await this.#store.list(owner, this.#settings.now())
    const others = records.filter(({ key }) => key !== except)
    const outcomes = await Promise.all(others.map(async (record) => take(end(this.services, record))))
    return outcomes.filter(Boolean).length
  }

  async close(): Promise<void> {
    this.sweeper.stop()
    await this.#store.close()
  }

  // ---- loading

  /** The session that the request's cookie names, or a fresh one. */
  #load(exchange: Exchange): Maybe<Visit> {
    const { services } = this
    const now = this.#settings.now()
    this.sweeper.start()
    const header = exchange.request.headers.cookie
    if (header === undefined) return new Visit(services, exchange, now, 'new')
    const { cookie, keyring } = exchange
    const { values, malformed } = presented(header, cookie.name, keyring.length)
    if (malformed) this.#reject('malformed')
    if (values.length === 0) return new Visit(services, exchange, now, malformed ? 'invalid' : 'new')
    this.#store.assertOpen()
    const [only] = values
    // Nearly every request: one cookie, and nothing to choose from.
    if (only !== undefined && values.length === 1) {
      const signed = this.#verified(exchange, only)
      return signed === undefined ? new Visit(services, exchange, now, 'invalid') : this.#resume(new Visit(services, exchange, now, 'expired'), signed)
    }
    const ids: Signed[] = []
    for (const value of values) {
      const signed = this.#verified(exchange, value)
      if (signed !== undefined && !ids.some(({ id }) => id === signed.id)) ids.push(signed)
    }
    return this.#resumeFirst(new Visit(services, exchange, now, ids.length === 0 ? 'invalid' : 'expired'), ids)
  }

  #verified({ cookie, keyring }: Exchange, value: string): Signed | undefined {
    const id = value.slice(0, value.length - keyring.length - 1)
    const key = keyring.index(`${cookie.name}=${id}`, value.slice(id.length + 1))
    if (key !== -1) return { id, isOldKey: key > 0 }
    this.#reject('signature')
    return undefined
  }

  /** Of several sessions the first that lives, in the order of the header. */
  async #resumeFirst(visit: Visit, ids: readonly Signed[]): Promise<Visit> {
    for (const [at, signed] of ids.entries()) {
      await this.#resume(visit, signed)
      if (visit.record === undefined) continue
      for (const { id } of ids.slice(at + 1)) this.#reject('duplicate', publicIdOf(id))
      // Another one of them may have been replaced a moment ago: this one was not.
      visit.isLate = false
      break
    }
    return visit
  }

  #resume(visit: Visit, signed: Signed): Maybe<Visit> {
    const found = this.#store.read(publicIdOf(signed.id), visit.now)
    return isPromise(found) ? found.then((record) => this.#take(visit, signed, record)) : this.#take(visit, signed, found)
  }

  #take(visit: Visit, { id, isOldKey }: Signed, record: SessionRecord | undefined): Maybe<Visit> {
    const { events, payload, settings } = this.services
    if (record === undefined || isTombstone(record)) {
      if (record !== undefined && isUnderWay(record, visit.now)) visit.isLate = true
      if (events.heard('reject')) this.#reject('ended', publicIdOf(id))
      return visit
    }
    if (payload.isLocked(record)) throw payload.locked()
    try {
      visit.resume(id, record)
    } catch (error) {
      if (!(error instanceof CorruptRecord)) throw error
      this.#reject('corrupt', record.key)
      return visit
    }
    visit.isOldKey = isOldKey
    if (settings.schema !== undefined) return this.#parse(visit, record)
    if (events.heard('resume')) events.emit('resume', { publicId: record.key })
    return visit
  }

  /** With a schema data is parsed before the handlers run: it may take its time, and refuse. */
  async #parse(visit: Visit, record: SessionRecord): Promise<Visit> {
    visit.open()
    if (visit.record === undefined) return visit
    visit.know(record, await view(this.services, visit, record))
    if (this.services.events.heard('resume')) this.services.events.emit('resume', { publicId: record.key })
    return visit
  }

  #reject(reason: RejectReason, publicId?: string): void {
    const { events } = this.services
    if (events.heard('reject')) events.emit('reject', { publicId, reason })
  }

  #infoOf(record: SessionRecord): SessionInfo | undefined {
    const { key, owner, createdAt, lastSeenAt, expiresAt } = record
    if (owner === undefined) return undefined
    let data: object = {}
    try {
      data = this.services.payload.codec.lend(this.services.payload.open(record).data, []) as object
    } catch (error) {
      // It is shown all the same: whoever looks at the list may want to end it.
      if (!(error instanceof CorruptRecord)) throw error
      this.#reject('corrupt', key)
    }
    return { publicId: key, owner, createdAt, lastSeenAt, expiresAt, data }
  }

  // ---- what belongs to the app

  #keyring(app: Koa | undefined): Keyring {
    if (this.#settings.keys !== undefined) return this.#settings.keys.current()
    if (app === undefined) throw invalidMix('options.keys must be given to session() when run() or sessionCookie() is used before the first request: app.keys is not known yet')
    // Koa leaves it undefined until the app sets it.
    const keys: unknown = app.keys
    if (this.#appKeyring === undefined || keys !== this.#appKeys) {
      if (keys === undefined) throw invalidType('options.keys or app.keys', 'a Keygrip or a non-empty list of secrets, newest first', keys)
      this.#appKeyring = keyring(keys, 'app.keys')
      this.#appKeys = keys
      if (hasShortSecret(keys)) this.#warnOfShortSecret()
    }
    return this.#appKeyring.current()
  }

  #warnOfShortSecret(): void {
    this.services.events.notice('SHORT_SECRET', 'a secret of keys has fewer than 16 characters and could be guessed: make one with `node -p "crypto.randomBytes(32).toString(\'base64url\')"`')
  }

  #contextOf(request: IncomingMessage): Context {
    if (this.#app === undefined) throw invalidMix('options.cookie is a function of ctx: run() needs a Koa request before, or cookie as an object')
    return this.#app.createContext(request, new ServerResponse(request))
  }

  /** The frame around this one, if it is of the same request; a second session of one name is refused. */
  #outer({ request, cookie }: Exchange): Frame | undefined {
    const around = frames.getStore()
    if (around === undefined) return undefined
    const { stateKey } = this.#settings
    let isSame = false
    for (let frame: Frame | undefined = around; frame !== undefined; frame = frame.outer) {
      const visit = SessionManager.visitOf(frame.session)
      if (visit?.exchange.request !== request) continue
      isSame = true
      if (frame.stateKey === stateKey || visit.exchange.cookie.name === cookie.name) {
        throw new SessionError('ERR_SESSION_ALREADY_MOUNTED', `session() is mounted twice in one request with the same ${frame.stateKey === stateKey ? `stateKey ${JSON.stringify(stateKey)}` : `cookie name ${JSON.stringify(cookie.name)}`}: remove one, or give it another stateKey and another cookie.name`)
      }
    }
    return isSame ? around : undefined
  }
}

interface Signed {
  readonly id: string
  readonly isOldKey: boolean
}

/** Whether a thrown error is the handler's answer: a status from 400 to 499, and not one of our own errors. */
function isAnswer(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || error instanceof SessionError) return false
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  const answer = status ?? statusCode
  return typeof answer === 'number' && answer >= 400 && answer < 500
}
