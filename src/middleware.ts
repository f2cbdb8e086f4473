// session(options): the journey of one request, and what the middleware does outside of requests. Alone in knowing Koa.
import { ServerResponse, type IncomingMessage } from 'node:http'
import type Koa from 'koa'
import type { Context, Next } from 'koa'
import { arrived, awaitRequests } from './mount-check.ts'
import { finish } from './session/commit.ts'
import { Frame, frames } from './context.ts'
import { hasShortSecret, keyring, type Keyring, type LiveKeyring } from './cookie/cookie.ts'
import { invalidMix, invalidType, SessionError } from './errors.ts'
import { Events } from './events.ts'
import { Guard } from './checked-store.ts'
import { KoaSessionFaces, watchForKoaSession } from './compat/koa-session.ts'
import { Line } from './session/write-lock.ts'
import { Loader } from './session/load.ts'
import { SessionManager, type SessionData } from './session/manager.ts'
import { checkedOwner, settingsOf, type SessionOptions } from './options.ts'
import { Payload } from './record/payload.ts'
import { CorruptRecord, type SessionRecord } from './store.ts'
import { isPromise, take } from './session/steps.ts'
import { end, living } from './session/regenerate.ts'
import { Sweeper } from './sweeper.ts'
import type { Exchange, Services } from './session/request-session.ts'

/** What `ctx.state` holds below the middleware, for `new Koa<SessionState>()` and `new Router<SessionState>()`. */
export interface SessionState<Data extends object = SessionData> {
  /** The session of this request, under the default `stateKey`. */
  session: SessionManager<Data>
}

declare module 'koa' {
  // Seen by plain Koa and by koa-router's handlers alike, both of which take their state from here.
  interface DefaultState {
    session: SessionManager
  }
}

/** A session as `list` shows it. Instants are epoch milliseconds. */
export interface SessionInfo<Data extends object = SessionData> {
  /** Names the session for `destroy` and `except`; no cookie, so it is safe to show. */
  readonly publicId: string
  /** The account that the session belongs to. */
  readonly owner: string
  /** When it began. */
  readonly createdAt: number
  /** The last use that was noted: it may lag by a tenth of the idle timeout, or an hour. */
  readonly lastSeenAt: number
  /** When it ends if it is not used again. */
  readonly expiresAt: number
  /** A copy of what it holds; empty where that cannot be read. */
  readonly data: Data
}

/** The middleware that `session()` gives, and what it does outside Koa's chain. */
export interface SessionMiddleware<Data extends object = SessionData> extends Koa.Middleware<SessionState<Data>> {
  /**
   * Serves a request that does not run through Koa's chain (a WebSocket upgrade, raw `http`): loads its session, runs
   * `fn` with `currentSession()` bound, commits, and resolves to what `fn` returned.
   *
   * No cookie can be sent there. Before the first Koa request `options.keys` is needed. When `fn` throws, nothing is
   * committed, unless its error has a status from 400 to 499.
   *
   * ```ts
   * server.on('upgrade', (request, socket, head) => {
   *   void sessions.run(request, ({ owner }) => {
   *     if (owner === undefined) return socket.destroy()
   *     sockets.handleUpgrade(request, socket, head, (client) => greet(client, owner))
   *   })
   * })
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_HEADERS_SENT` when a session that is not stored is changed, or one regenerated;
   * `ERR_SESSION_STORE` before `fn` is called; and what a commit throws.
   */
  run<Result>(
    request: IncomingMessage,
    fn: (session: SessionManager<Data>) => Result | Promise<Result>,
  ): Promise<Result>

  /**
   * The live sessions of an owner, in no particular order; none for an owner whom nobody knows.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner; `ERR_SESSION_STORE`.
   */
  list(owner: string): Promise<SessionInfo<Data>[]>

  /**
   * Ends one session from elsewhere; with an owner, only if it is his. Requests that are under way in it cannot store
   * anything any more.
   *
   * @returns whether it did: `false` for one that has ended already, or is somebody else's.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when an owner is given and the store has no index by owner;
   * `ERR_SESSION_STORE`.
   */
  destroy(publicId: string, options?: { readonly owner?: string }): Promise<boolean>

  /**
   * Logs an owner out everywhere, `except` in the session of that public id: every session that was acknowledged before
   * the call is ended. One that is created meanwhile is ended or still listed.
   *
   * @returns how many were.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner; `ERR_SESSION_STORE`.
   */
  destroyAll(owner: string, options?: { readonly except?: string }): Promise<number>

  /**
   * Deletes expired records now, for apps with `sweepInterval: false`.
   *
   * @returns how many: 0 for a store that does so itself.
   * @throws {SessionError} `ERR_SESSION_STORE`.
   */
  deleteExpired(): Promise<number>

  /**
   * Waits for running commits, stops timers, closes what the store opened itself, never a client of the caller's. A second
   * call does nothing; a later request with a session is `ERR_SESSION_STORE` (503).
   */
  close(): Promise<void>
}

/**
 * Makes the middleware that gives each request its session, at `ctx.state.session` and {@link currentSession}. Mount it once,
 * before the routes.
 *
 * ```ts
 * app.use(session({ keys: ['newest secret', 'older secret'] }))
 * app.use((ctx) => {
 *   const { data } = ctx.state.session
 *   data.views = (data.views ?? 0) + 1
 *   ctx.body = `views: ${data.views}`
 * })
 * ```
 *
 * What the handlers changed is committed when they have returned, before the response leaves. An error with a status from
 * 400 to 499 is an answer too; after any other nothing is committed.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options, as far as they can be known here:
 * `app.keys` are looked at in the first request.
 */
export function session<Data extends object = SessionData>(
  options: SessionOptions<Data> = {},
): SessionMiddleware<Data> {
  const house = new House(settingsOf(options))
  const serve = (ctx: Context, next: Next): Promise<unknown> => house.serve(ctx, next)
  const methods: Omit<SessionMiddleware<Data>, keyof Koa.Middleware> = {
    // The manager's type of data is the app's word.
    run: (request, fn) => house.run(request, fn as (session: SessionManager) => ReturnType<typeof fn>),
    list: (owner) => house.list(owner) as Promise<SessionInfo<Data>[]>,
    destroy: async (publicId, options = {}) => house.destroy(publicId, given(options, 'destroy()').owner),
    destroyAll: async (owner, options = {}) => house.destroyAll(owner, given(options, 'destroyAll()').except),
    deleteExpired: () => house.sweeper.sweep(),
    close: () => house.close(),
  }
  const middleware = Object.assign(serve as Koa.Middleware<SessionState<Data>>, methods)
  houses.set(middleware, house)
  awaitRequests(house.services.events)
  return middleware
}

/** How long one request waits for another that writes the same session, in milliseconds: more than a store needs, less than is felt. */
const LONGEST_WAIT = 50

const houses = new WeakMap<object, House>()

/** @internal What is behind a middleware. @throws {TypeError} when it was not made by `session()`. */
export function houseOf(middleware: object): House {
  const house = houses.get(middleware)
  if (house === undefined) throw invalidType('the middleware', 'one that session() made', middleware)
  return house
}

/** @internal One mounted middleware. */
export class House {
  readonly services: Services
  readonly sweeper: Sweeper
  readonly #settings: Services['settings']
  readonly #store: Guard
  readonly #loader: Loader
  #app: Koa | undefined = undefined
  #appKeys: unknown = undefined
  #appKeyring: LiveKeyring | undefined = undefined

  constructor(settings: Services['settings']) {
    const events = new Events(settings.logger)
    const store = new Guard(settings.store, settings.storeTimeout, events)
    this.services = {
      settings,
      store,
      events,
      payload: new Payload(settings.codec, settings.maxBytes, settings.encryptionKeys),
      writes: new Line(LONGEST_WAIT),
      updates: new Line(LONGEST_WAIT),
    }
    this.sweeper = new Sweeper(store, settings.sweepInterval, settings.now)
    this.#settings = settings
    this.#store = store
    this.#loader = new Loader(this.services)
    if (settings.hasShortSecret) this.#warnOfShortSecret()
    if (settings.store.limits !== undefined) events.notice('STORE_LIMITS', settings.store.limits)
  }

  /** One request through Koa's chain. */
  serve(ctx: Context, next: Next): Promise<unknown> {
    const { skips } = this.#settings
    if (!skips?.(ctx)) return this.#journey(ctx, next)
    arrived()
    return next()
  }

  async #journey(ctx: Context, next: Next): Promise<void> {
    const { stateKey, cookie } = this.#settings
    if (this.#app !== ctx.app) this.#meet(ctx.app)
    const exchange: Exchange = {
      request: ctx.req,
      cookie: typeof cookie === 'function' ? cookie(ctx) : cookie,
      keyring: this.#keyring(ctx.app),
      ctx,
    }
    const outer = this.#outer(exchange)
    this.sweeper.start()
    const found = this.#loader.load(exchange)
    const visit = isPromise(found) ? await found : found
    const manager = new SessionManager(visit)
    // Koa's state is an open bag.
    const state = ctx.state as Record<string, unknown>
    state[stateKey] = manager
    const faces = this.#settings.koaSession
      ? new KoaSessionFaces(
          ctx,
          stateKey,
          manager as SessionManager<Record<string, unknown>>,
          this.#settings.limits.maxAge,
        )
      : undefined
    try {
      await frames.run(new Frame(manager, stateKey, exchange.cookie.name, outer, ctx.req), next)
    } catch (error) {
      if (!isAnswer(error)) {
        visit.close(false)
        throw error
      }
      await conclude(faces)
      await finish(visit)
      throw error
    }
    if (faces !== undefined) await conclude(faces)
    const committing = finish(visit)
    if (isPromise(committing)) await committing
  }

  /** A request outside the chain: its cookie can be read, and none be sent. */
  exchangeOf(request: IncomingMessage): Exchange {
    const { cookie } = this.#settings
    return {
      request,
      cookie: typeof cookie === 'function' ? cookie(this.#contextOf(request)) : cookie,
      keyring: this.#keyring(this.#app),
      ctx: undefined,
    }
  }

  /** One request outside the chain. */
  async run<Result>(
    request: IncomingMessage,
    fn: (session: SessionManager) => Result | Promise<Result>,
  ): Promise<Result> {
    if (typeof fn !== 'function') throw invalidType('the second argument of run()', 'a function', fn)
    arrived()
    const { stateKey } = this.#settings
    const exchange = this.exchangeOf(request)
    const outer = this.#outer(exchange)
    this.sweeper.start()
    const visit = await this.#loader.load(exchange)
    const manager = new SessionManager(visit)
    let result: Result
    try {
      result = await frames.run(new Frame(manager, stateKey, exchange.cookie.name, outer, request), () => fn(manager))
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
    const found = await this.#store.read(publicId, this.#settings.now())
    const record = found === undefined ? undefined : await take(living(this.services, found))
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

  // ---- what belongs to the app

  #infoOf(record: SessionRecord): SessionInfo | undefined {
    const { key, owner, createdAt, lastSeenAt, expiresAt } = record
    if (owner === undefined) return undefined
    let data: object = {}
    try {
      data = this.services.payload.codec.lend(this.services.payload.open(record).data, []) as object
    } catch (error) {
      // It is shown all the same: whoever looks at the list may want to end it.
      if (!(error instanceof CorruptRecord)) throw error
      this.#loader.reject('corrupt', key)
    }
    return { publicId: key, owner, createdAt, lastSeenAt, expiresAt, data }
  }

  #meet(app: Koa): void {
    arrived()
    this.#app = app
    if (!this.#settings.koaSession) watchForKoaSession(app.context, this.services.events)
  }

  #keyring(app: Koa | undefined): Keyring {
    if (this.#settings.keys !== undefined) return this.#settings.keys.current()
    if (app === undefined)
      throw invalidMix(
        'options.keys must be given to session() when run() or sessionCookie() is used before the first request: app.keys is not known yet',
      )
    // Koa leaves it undefined until the app sets it.
    const keys: unknown = app.keys
    if (this.#appKeyring === undefined || keys !== this.#appKeys) {
      if (keys === undefined)
        throw invalidType(
          'options.keys or app.keys',
          'a Keygrip or a non-empty list of secrets, newest first',
          keys,
          'give keys to session(), or set app.keys before the first request',
        )
      this.#appKeyring = keyring(keys, 'app.keys')
      this.#appKeys = keys
      if (hasShortSecret(keys)) this.#warnOfShortSecret()
    }
    return this.#appKeyring.current()
  }

  #warnOfShortSecret(): void {
    this.services.events.notice(
      'SHORT_SECRET',
      'a secret of keys has fewer than 16 characters and could be guessed: make one with `node -p "crypto.randomBytes(32).toString(\'base64url\')"`',
    )
  }

  #contextOf(request: IncomingMessage): Context {
    if (this.#app === undefined)
      throw invalidMix('options.cookie is a function of ctx: run() needs a Koa request before, or cookie as an object')
    return this.#app.createContext(request, new ServerResponse(request))
  }

  /** The frame around this one, if it is of the same request; a second session of one name is refused. */
  #outer({ request, cookie }: Exchange): Frame | undefined {
    const around = frames.getStore()
    if (around === undefined) return undefined
    const { stateKey } = this.#settings
    // An async context may outlive its request: only the frames of this one count.
    if (!around.isOf(request)) return undefined
    for (let frame: Frame | undefined = around; frame !== undefined; frame = frame.outer) {
      if (frame.stateKey === stateKey || frame.cookieName === cookie.name) {
        throw new SessionError(
          'ERR_SESSION_ALREADY_MOUNTED',
          `session() is mounted twice in one request with the same ${frame.stateKey === stateKey ? `stateKey ${JSON.stringify(stateKey)}` : `cookie name ${JSON.stringify(cookie.name)}`}: remove one, or give it another stateKey and another cookie.name`,
        )
      }
    }
    return around
  }
}

function given<Options extends object>(options: Options, name: string): Options {
  const value: unknown = options
  if (typeof value !== 'object' || value === null) throw invalidType(`the options of ${name}`, 'an object', value)
  return options
}

/** Carries out what was said by assigning to `ctx.session`. */
async function conclude(faces: KoaSessionFaces | undefined): Promise<void> {
  if (faces?.dismissal === 'ended') await faces.manager.destroy()
  // Another object after null is another session: the id that the old one had must not open it.
  if (faces?.dismissal === 'replaced' && !faces.manager.isNew) await faces.manager.regenerate()
}

/** Whether a thrown error is the handler's answer: a status from 400 to 499, and not one of our own errors. */
function isAnswer(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { name, status, statusCode } = error as { name?: unknown; status?: unknown; statusCode?: unknown }
  // By name: it may be of another copy of this package.
  if (name === 'SessionError') return false
  const answer = status ?? statusCode
  return typeof answer === 'number' && answer >= 400 && answer < 500
}
