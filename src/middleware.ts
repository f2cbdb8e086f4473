// session(options): the way of one request, top to bottom. `run()` and the test helpers share it.
import { ServerResponse, type IncomingMessage } from 'node:http'
// By name: a default import of what is CommonJS needs esModuleInterop in the programs that read our declarations.
import type { Context, Next, ParameterizedContext } from 'koa'
import { CheckedStore } from './checked-store.ts'
import { KoaSessionFacade } from './compat/koa-session.ts'
import { ContextScope, sessionContext } from './context.ts'
import { hasShortSecret, keyring, type Keyring, type LiveKeyring } from './cookie/keyring.ts'
import { invalidMix, invalidType, SessionError, unboundError } from './errors.ts'
import { Events, isTraced, trace } from './events.ts'
import { markReached, warnIfNeverReached } from './mount-check.ts'
import { DeviceBinding } from './device-bound/policy.ts'
import { DeviceRoutes, type Route, type RouteInfo } from './device-bound/routes.ts'
import { warnOfSettings, warnOfShortSecret, watchForKoaSession } from './notices.ts'
import type { SessionOptions } from './options.ts'
import { Payload } from './record/payload.ts'
import { commit, commitEarly, commitPending } from './session/commit.ts'
import type { Core, RequestInfo } from './session/core.ts'
import { assertAdmitted } from './session/cross-site.ts'
import { Loader } from './session/load.ts'
import { requestSessionOf, SessionManager, type SessionData } from './session/manager.ts'
import { Turns, WriteQueue } from './session/queues.ts'
import { writeTogether, type Change } from './session/replace.ts'
import type { RequestSession } from './session/request-session.ts'
import { exposeOnState } from './session/state.ts'
import { Watches } from './session/watches.ts'
import { methodOptions, Sessions, type SessionInfo } from './sessions.ts'
import { settingsOf, type Settings } from './settings.ts'
import { isPromise } from './store.ts'
import { Sweeper } from './sweeper.ts'

export type { SessionInfo } from './sessions.ts'

type App = Context['app']

/**
 * What `ctx.state` holds below the middleware, for `new Koa<SessionState>()` and `new Router<SessionState>()`: the session of
 * the request under its `stateKey`. Where that is not known to the compiler, nothing.
 */
export type SessionState<Data extends object = SessionData, StateKey extends string = 'session'> = {
  -readonly [Key in StateKey as string extends Key ? never : Key]: SessionManager<Data>
}

declare module 'koa' {
  // Seen by plain Koa and by koa-router's handlers alike, both of which take their state from here.
  interface DefaultState {
    session: SessionManager
  }
}

/** The middleware that `session()` gives, and what it does outside Koa's chain. */
export interface SessionMiddleware<Data extends object = SessionData, StateKey extends string = 'session'> {
  /** It asks nothing of the state that it is given: any app and any router takes it. */
  (ctx: ParameterizedContext<object>, next: Next): Promise<unknown>
  /** What `app.use(session()).use(…)` knows: the last signature is the one that types are inferred from. */
  // eslint-disable-next-line @typescript-eslint/unified-signatures -- two, so that the first asks nothing of an app's state
  (ctx: ParameterizedContext<SessionState<Data, StateKey>>, next: Next): Promise<unknown>

  /**
   * Serves a request that does not run through Koa's chain (a WebSocket upgrade, raw `http`): loads its session, runs
   * `fn` with `currentSession()` bound, commits, and resolves to what `fn` returned.
   *
   * No cookie can be sent there. Before the first Koa request `options.keys` is needed. When `fn` throws, nothing is
   * committed, unless its error has a status from 400 to 499.
   *
   * ```ts
   * server.on('upgrade', (request, socket, head) => {
   *   socket.on('error', () => socket.destroy())
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
   * The live sessions of an owner, in no particular order; none for an unknown owner.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner; `ERR_SESSION_STORE`.
   */
  list(owner: string): Promise<SessionInfo<Data>[]>

  /**
   * One session by its public id; `undefined` where there is none, or it is another owner's than the one given. A public id
   * that was replaced finds nothing.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when an owner is given and the store has no index by owner;
   * `ERR_SESSION_STORE`.
   */
  get(publicId: string, options?: { readonly owner?: string }): Promise<SessionInfo<Data> | undefined>

  /**
   * Changes the data of a session from outside a request, as `session.update` does: atomic among requests and processes.
   * Moves no timeout.
   *
   * @returns what `fn` returned.
   * @throws {SessionError} `ERR_SESSION_GONE` where there is none, or it is another owner's; `ERR_SESSION_HEADERS_SENT` where
   * an owner appears or changes in it; what a commit throws; `ERR_SESSION_UNSUPPORTED` as `get`.
   */
  update<Result>(
    publicId: string,
    fn: (data: Data) => Result | Promise<Result>,
    options?: { readonly owner?: string },
  ): Promise<Result>

  /**
   * The same in each live session of an owner, one after another. One that ends meanwhile is passed over, one that gets a
   * new id is followed; what `fn` throws ends the call. `fn` may run again, as in `update`.
   *
   * @returns how many sessions were updated.
   * @throws {SessionError} as `update`, and `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  updateAll(owner: string, fn: (data: Data, publicId: string) => unknown): Promise<number>

  /**
   * All live sessions, anonymous ones too, in constant memory. One that lives from beginning to end comes at least once:
   * exactly once from memory and SQL, in Redis now and then twice; one that gets a new id meanwhile comes under either.
   *
   * ```ts
   * for await (const { owner, lastSeenAt } of sessions.scan()) report(owner, lastSeenAt)
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no `scan`; `ERR_SESSION_STORE`.
   */
  scan(): AsyncIterableIterator<SessionInfo<Data>>

  /**
   * Ends one session from elsewhere; with an owner, only if it is theirs. Requests that are under way in it cannot store
   * anything any more. Of a public id that was replaced, what took its place ends.
   *
   * @returns whether it did: `false` for one that has ended already, or is another owner's.
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
   * Ends every session of everybody that was acknowledged before the call. One that is created meanwhile may end, too.
   *
   * @returns how many were.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no `scan`; `ERR_SESSION_STORE`.
   */
  destroyEverything(): Promise<number>

  /**
   * Deletes expired records now, for apps with `sweepInterval: false`.
   *
   * @returns how many: 0 for a store that does so itself.
   * @throws {SessionError} `ERR_SESSION_STORE`.
   */
  deleteExpired(): Promise<number>

  /**
   * Waits for running commits (15 s at most), stops timers, closes what the store opened itself, never a client of the caller's. A second
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
export function session<Data extends object = SessionData, const StateKey extends string = 'session'>(
  options?: SessionOptions<Data> & { readonly stateKey?: StateKey | undefined },
): SessionMiddleware<Data, StateKey>
/** Where the compiler does not know the `stateKey`, `session<Data, 'admin'>()` or the app says what `ctx.state` holds. */
export function session<Data extends object>(options: SessionOptions<Data>): SessionMiddleware<Data, string>
export function session<Data extends object>(options: SessionOptions<Data> = {}): SessionMiddleware<Data, string> {
  const mounted = new MountedSession(settingsOf(options))
  const { sessions, sweeper } = mounted
  const handle = (ctx: Context, next: Next): Promise<unknown> => mounted.handle(ctx, next)
  const ownerOf = (given: unknown, caller: string): string | undefined =>
    methodOptions(given, caller, ['owner']).owner as string | undefined
  const methods: Pick<SessionMiddleware<Data>, keyof SessionMiddleware> = {
    // Here and below: the type of data is the app's word.
    run: (request, fn) => mounted.run(request, fn as (session: SessionManager) => ReturnType<typeof fn>),
    list: (owner) => sessions.list(owner) as Promise<SessionInfo<Data>[]>,
    get: async (publicId, given) =>
      sessions.get(publicId, ownerOf(given, 'get()')) as Promise<SessionInfo<Data> | undefined>,
    update: async (publicId, fn, given) =>
      sessions.update(publicId, fn as (data: object) => ReturnType<typeof fn>, ownerOf(given, 'update()')),
    updateAll: (owner, fn) => sessions.updateAll(owner, fn as (data: object, publicId: string) => unknown),
    scan: () => sessions.scan() as AsyncGenerator<SessionInfo<Data>, void, undefined>,
    destroy: async (publicId, given) => sessions.destroy(publicId, ownerOf(given, 'destroy()')),
    destroyAll: async (owner, given) =>
      sessions.destroyAll(owner, methodOptions(given, 'destroyAll()', ['except']).except as string | undefined),
    destroyEverything: () => sessions.destroyEverything(),
    deleteExpired: () => sweeper.sweep(),
    close: () => mounted.close(),
  }
  // It looks at nothing of the state but what it puts there.
  const middleware = Object.assign(
    handle as (ctx: ParameterizedContext<object>, next: Next) => Promise<unknown>,
    methods,
  )
  mountedBy.set(middleware, mounted)
  warnIfNeverReached(mounted.core.events)
  return middleware
}

// Shared by all copies of this package in the process: the one of a test may ask for a middleware of the app's.
const MOUNTED = Symbol.for('koa-fastsession.middlewares')
const holder = globalThis as { [MOUNTED]?: WeakMap<object, MountedSession> }
const mountedBy: WeakMap<object, MountedSession> = sharedMap()

function sharedMap(): WeakMap<object, MountedSession> {
  const existing = holder[MOUNTED]
  if (existing !== undefined) return existing
  return (holder[MOUNTED] = new WeakMap())
}

/** @internal What is behind a middleware. @throws {TypeError} when it was not made by `session()`. */
export function mountedSession(middleware: object): MountedSession {
  const mounted = mountedBy.get(middleware)
  if (mounted === undefined) throw invalidType('the middleware', 'one that session() made', middleware)
  return mounted
}

/** @internal One mounted middleware. */
export class MountedSession {
  readonly core: Core
  readonly sessions: Sessions
  readonly sweeper: Sweeper
  readonly #settings: Settings
  readonly #loader: Loader
  readonly #device: DeviceRoutes | undefined
  #app: App | undefined = undefined
  #appKeys: unknown = undefined
  #appKeyring: LiveKeyring | undefined = undefined

  constructor(settings: Settings) {
    const events = new Events(settings.logger)
    const store = new CheckedStore(settings.store, settings.storeTimeout, events)
    const payload = new Payload(settings.codec, settings.maxBytes, settings.encryption)
    this.core = {
      settings,
      store,
      events,
      payload,
      writes: new WriteQueue<Change>(writeTogether) as Core['writes'],
      updates: new Turns(),
      watches: new Watches(store, payload, settings),
      binding: settings.deviceBound === undefined ? undefined : new DeviceBinding(settings.deviceBound),
      contextOf: (request) => this.#contextOf(request),
      hostOf: (request) => (this.#app === undefined ? (request.headers.host ?? '') : this.#contextOf(request).host),
      running: 0,
    }
    this.sessions = new Sessions(this.core)
    this.sweeper = new Sweeper(store, settings.sweepInterval, settings.now, events)
    this.#settings = settings
    this.#loader = new Loader(this.core)
    this.#device = settings.deviceBound === undefined ? undefined : new DeviceRoutes(this.core, settings.deviceBound)
    store.watchEvictions(({ key: publicId, owner }) => {
      if (events.hasSubscribers('destroy')) events.emit('destroy', { publicId, owner, reason: 'evicted' })
      this.core.watches.ended(publicId)
    })
    warnOfSettings(settings, events)
  }

  // ---- the way of one request

  /** One request through Koa's chain. */
  handle(ctx: Context, next: Next): Promise<unknown> {
    markReached()
    const route = this.#device?.routeOf(ctx)
    if (route !== undefined) return this.#answerDevice(ctx, route)
    if (this.#settings.skips?.(ctx) === true) return next()
    const forwarded = this.#forwarded(ctx)
    if (forwarded !== undefined) return this.#serveForwarded(ctx, forwarded, next)
    // Whatever next is, it is called without an argument.
    return this.#serve(this.#infoOf(ctx, this.#settings.passive?.(ctx) === true), () => next())
  }

  /** One of the requests by which a browser binds a session to its device: neither skipped nor held to be of another site. */
  async #answerDevice(ctx: Context, route: Route): Promise<void> {
    await this.#device?.answer(this.#infoOf(ctx, true), route)
  }

  /** One request outside the chain: its cookie can be read, and none be sent. */
  async run<Result>(
    request: IncomingMessage,
    fn: (session: SessionManager) => Result | Promise<Result>,
  ): Promise<Result> {
    if (typeof fn !== 'function') throw invalidType('the second argument of run()', 'a function', fn)
    if (!isRequest(request)) throw invalidType('the first argument of run()', 'an http.IncomingMessage', request)
    markReached()
    return this.#serve(this.infoOutside(request), fn)
  }

  async #serve<Result>(info: RequestInfo, fn: (session: SessionManager) => Result | Promise<Result>): Promise<Result> {
    const { ctx, request, cookie } = info
    const outer = this.#outerScope(info)
    this.sweeper.start()
    const loading = isTraced('load') ? trace('load', {}, () => this.#loader.load(info)) : this.#loader.load(info)
    const session = isPromise(loading) ? await loading : loading
    if (session.status === 'live') assertAdmitted(session)
    else if (ctx === undefined && session.origin === 'unbound') throw unboundError()
    // Not before: neither an outage nor a refused request, nor a session that was passed over, may send a cookie.
    if (session.cookie.due !== 'none' || session.pending.mustStore) session.cookie.watchHeaders()
    const manager = new SessionManager(session)
    const facade = ctx === undefined ? undefined : this.#expose(ctx, session, manager)
    const scope = new ContextScope(manager, this.#settings.stateKey, cookie.name, outer, request)
    let result: Result
    try {
      result = await sessionContext.run(scope, fn, manager)
    } catch (error) {
      if (isAnswer(error)) await this.#finish(session, facade)
      else session.close()
      throw error
    }
    const finishing = this.#finish(session, facade)
    if (isPromise(finishing)) await finishing
    return result
  }

  /** The session of a request that a handler hands to the same app once more, as a redirect without the browser. */
  #forwarded(ctx: Context): SessionManager | undefined {
    const { stateKey } = this.#settings
    let scope = sessionContext.getStore()
    if (scope?.isOf(ctx.req) !== true || stateKey in ctx.state) return undefined
    while (scope !== undefined && scope.stateKey !== stateKey) scope = scope.outer
    const manager = scope?.session
    if (!(manager instanceof SessionManager)) return undefined
    // eslint-disable-next-line @typescript-eslint/no-unsafe-argument -- instanceof does not know the type of data
    const session = requestSessionOf(manager)
    return session.core === this.core && session.phase === 'open' ? manager : undefined
  }

  /** The outer chain commits what comes later; what this one changed is stored before its answer leaves. */
  async #serveForwarded(ctx: Context, manager: SessionManager, next: Next): Promise<void> {
    const session = requestSessionOf(manager)
    const facade = this.#expose(ctx, session, manager)
    try {
      await next()
    } catch (error) {
      if (isAnswer(error)) await commitPending(session)
      else session.drop()
      throw error
    }
    await facade?.finish()
    await commitPending(session)
  }

  /** Puts the manager where the handlers look for it. */
  #expose(ctx: Context, session: RequestSession, manager: SessionManager): KoaSessionFacade | undefined {
    const { koaSession, stateKey, lifetime } = this.#settings
    session.cookie.onEarlyHeaders = onEarlyHeaders
    if (koaSession) {
      const bag = manager as SessionManager<Record<string, unknown>>
      return new KoaSessionFacade(ctx, stateKey, bag, lifetime.maxAge, this.core.events)
    }
    exposeOnState(ctx.state, stateKey, manager)
    return undefined
  }

  /** Commits what the handlers changed. */
  #finish(session: RequestSession, facade: KoaSessionFacade | undefined): void | Promise<void> {
    if (facade !== undefined) return finishFacade(session, facade).then(() => this.#commit(session))
    return this.#commit(session)
  }

  #commit(session: RequestSession): void | Promise<void> {
    return isTraced('commit') ? trace('commit', {}, () => commit(session)) : commit(session)
  }

  /** @internal The public id of the live session that a request's cookie names. */
  async publicIdOf(info: RequestInfo): Promise<string | undefined> {
    const { status, record } = await this.#loader.load(info)
    return status === 'live' ? record?.key : undefined
  }

  async close(): Promise<void> {
    this.sweeper.stop()
    this.core.watches.close()
    await this.core.store.close()
  }

  // ---- what belongs to the request and its app

  #infoOf(ctx: Context, isPassive: boolean): RouteInfo {
    const { cookie } = this.#settings
    if (this.#app !== ctx.app) this.#meet(ctx.app)
    return {
      request: ctx.req,
      cookie: typeof cookie === 'function' ? cookie(ctx) : cookie,
      keyring: this.#keyring(ctx.app),
      ctx,
      isPassive,
    }
  }

  /** @internal The same for a request outside the chain. */
  infoOutside(request: IncomingMessage): RequestInfo {
    const { cookie, passive } = this.#settings
    return {
      request,
      cookie: typeof cookie === 'function' ? cookie(this.#contextOf(request)) : cookie,
      keyring: this.#keyring(this.#app),
      ctx: undefined,
      isPassive: passive?.(this.#contextOf(request)) === true,
    }
  }

  #meet(app: App): void {
    this.#app = app
    if (!this.#settings.koaSession) watchForKoaSession(app.context, this.core.events)
  }

  #keyring(app: App | undefined): Keyring {
    if (this.#settings.keys !== undefined) return this.#settings.keys.current()
    if (app === undefined) {
      throw invalidMix(
        'options.keys must be given to session() when run() or sessionCookie() is used before the first request: app.keys is not known yet',
      )
    }
    // Koa leaves it undefined until the app sets it.
    const keys: unknown = app.keys
    if (this.#appKeyring === undefined || keys !== this.#appKeys) {
      if (keys === undefined) {
        throw invalidType(
          'options.keys or app.keys',
          'a Keygrip or a non-empty list of secrets, newest first',
          keys,
          'give keys to session(), or set app.keys before the first request; the app below koa-mount needs keys of its own',
        )
      }
      this.#appKeyring = keyring(keys, 'app.keys')
      this.#appKeys = keys
      if (hasShortSecret(keys)) warnOfShortSecret(this.core.events)
    }
    return this.#appKeyring.current()
  }

  #contextOf(request: IncomingMessage): Context {
    if (this.#app === undefined) {
      throw invalidMix(
        'an option is a function of ctx: run() needs a Koa request before, or the option as a value (cookie as an object)',
      )
    }
    return this.#app.createContext(request, new ServerResponse(request))
  }

  /** The scope around this one, if it is of the same request; a second session of one name is refused. */
  #outerScope({ request, cookie }: RequestInfo): ContextScope | undefined {
    const around = sessionContext.getStore()
    // An async context may outlive its request: only the scopes of this one count.
    if (around?.isOf(request) !== true) return undefined
    const { stateKey } = this.#settings
    for (let scope: ContextScope | undefined = around; scope !== undefined; scope = scope.outer) {
      if (scope.stateKey === stateKey || scope.cookieName === cookie.name) {
        throw new SessionError(
          'ERR_SESSION_ALREADY_MOUNTED',
          `session() is mounted twice in one request with the same ${scope.stateKey === stateKey ? `stateKey ${JSON.stringify(stateKey)}` : `cookie name ${JSON.stringify(cookie.name)}`}: remove one, or give it another stateKey and another cookie.name`,
        )
      }
    }
    return around
  }
}

async function finishFacade(session: RequestSession, facade: KoaSessionFacade): Promise<void> {
  try {
    await facade.finish()
  } catch (error) {
    session.close()
    throw error
  }
}

/** The headers have left before the chain returned; where it never does, what is pending is stored as the response closes. */
function onEarlyHeaders(session: RequestSession): void {
  session.info.ctx?.res.once('close', () => {
    // A chain that is about to return commits by itself, or fails and commits nothing.
    setImmediate(() => {
      if (session.phase === 'open') void commitEarly(session)
    })
  })
}

function isRequest(request: unknown): request is IncomingMessage {
  if (typeof request !== 'object' || request === null || !('headers' in request)) return false
  return typeof request.headers === 'object' && request.headers !== null
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
