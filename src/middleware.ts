// session(options): the path of one request, from top to bottom. `run()` shares it.
import type { IncomingMessage } from 'node:http'
import type { Context, Next, ParameterizedContext } from 'koa'
import { CheckedStore } from './checked-store.ts'
import { checkFunction } from './checks.ts'
import { KoaSessionFacade } from './compat/koa-session.ts'
import { ContextScope, sessionContext } from './context.ts'
import { CookieVerifier } from './cookie/request-cookie.ts'
import { invalidType, isAnswer, unboundError } from './errors.ts'
import { Events } from './events.ts'
import { forwardedManager, outerScope } from './outer-scope.ts'
import { bindingCheck } from './device-bound/policy.ts'
import { deviceRoutes, type DeviceRoutes } from './device-bound/routes.ts'
import { markReached, warnIfNeverReached, warnOfSettings } from './notices.ts'
import { methodOptions } from './option-functions.ts'
import type { SessionOptions } from './options.ts'
import { MAX_TOUCH_INTERVAL } from './record/lifetime.ts'
import { Payload } from './record/payload.ts'
import type { SessionMiddleware } from './session-middleware.ts'
import { commit, commitPending, dropPending, onEarlyHeaders } from './session/commit.ts'
import type { Core } from './session/core.ts'
import { assertSameSite, isUnsafe } from './session/cross-site.ts'
import type { SessionInfo } from './session/info.ts'
import { load } from './session/load.ts'
import { requestSessionOf, SessionManager, type SessionData } from './session/manager.ts'
import { Turns, WriteQueue } from './session/queues.ts'
import { writeTogether } from './session/replace.ts'
import { RequestSession } from './session/request-session.ts'
import { isRequest, Requests } from './session/requests.ts'
import { exposerOf } from './session/state.ts'
import { Touches } from './session/touches.ts'
import { Watches } from './session/watches.ts'
import * as sessions from './sessions.ts'
import { settingsOf, type Settings } from './settings.ts'
import { Sweeper } from './sweeper.ts'

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
 * Changes are committed when the handlers have returned, before the response leaves. They are also committed when a handler
 * throws an error with a status from 400 to 499, but not after any other error.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options that can be detected here; `app.keys`
 * are checked at the first request.
 */
export function session<Data extends object = SessionData, const StateKey extends string = 'session'>(
  options?: SessionOptions<Data> & { readonly stateKey?: StateKey | undefined },
): SessionMiddleware<Data, StateKey>
/** For a `stateKey` that the compiler does not know: write `session<Data, 'admin'>()`, or declare the type of `ctx.state`. */
export function session<Data extends object>(options: SessionOptions<Data>): SessionMiddleware<Data, string>
export function session<Data extends object>(options: SessionOptions<Data> = {}): SessionMiddleware<Data, string> {
  const mounted = new MountedSession(settingsOf(options))
  const { sweeper, core } = mounted
  const { store } = core
  const ownerOf = (given: unknown, caller: string): string | undefined =>
    methodOptions(given, caller, ['owner']).owner as string | undefined
  const methods: Pick<SessionMiddleware<Data>, keyof SessionMiddleware> = {
    // Here and below: the app vouches for the type of data.
    run: (request, fn) => mounted.run(request, fn as (session: SessionManager) => ReturnType<typeof fn>),
    list: (owner) => store.during(() => sessions.list(core, owner)) as Promise<SessionInfo<Data>[]>,
    get: async (publicId, given) =>
      sessions.get(core, publicId, ownerOf(given, 'get()')) as Promise<SessionInfo<Data> | undefined>,
    update: async (publicId, fn, given) =>
      sessions.update(core, publicId, fn as (data: object) => ReturnType<typeof fn>, ownerOf(given, 'update()')),
    updateAll: (owner, fn) => sessions.updateAll(core, owner, fn as (data: object, publicId: string) => unknown),
    scan: () => sessions.scan(core) as AsyncGenerator<SessionInfo<Data>, void, undefined>,
    destroy: (publicId, given) => store.during(() => sessions.destroy(core, publicId, ownerOf(given, 'destroy()'))),
    destroyAll: (owner, given) =>
      store.during(() => {
        const { except } = methodOptions(given, 'destroyAll()', ['except'])
        return sessions.destroyAll(core, owner, except as string | undefined)
      }),
    destroyEverything: () => store.during(() => sessions.destroyEverything(core)),
    deleteExpired: () => sweeper.sweep(),
    close: () => mounted.close(),
  }
  // The middleware reads nothing of `ctx.state` but what it puts there.
  const middleware = Object.assign(
    mounted.handle.bind(mounted) as (ctx: ParameterizedContext<object>, next: Next) => Promise<unknown>,
    methods,
  )
  // DEBUG=koa* and tracers refer to a middleware by its name.
  Object.defineProperty(middleware, 'name', { value: 'session' })
  mountedBy.set(middleware, mounted)
  warnIfNeverReached(core.events)
  return middleware
}

// Shared by all copies of this package in the process: a test may load another copy than the app whose middleware it passes in.
const MOUNTED = Symbol.for('koa-fastsession.middlewares')
const holder = globalThis as { [MOUNTED]?: WeakMap<object, MountedSession> | undefined }
const mountedBy = (holder[MOUNTED] ??= new WeakMap())

/** @internal The `MountedSession` of a middleware. @throws {TypeError} when the middleware was not made by `session()`. */
export function mountedSession(middleware: object): MountedSession {
  const mounted = mountedBy.get(middleware)
  if (mounted === undefined) throw invalidType('the middleware', 'one that session() made', middleware)
  return mounted
}

/** What serves a request: Koa's `next`, or the function of `run()`. */
type Handler<Result> = (session: SessionManager) => Result | Promise<Result>

/** @internal One mounted middleware. */
export class MountedSession {
  readonly core: Core
  readonly sweeper: Sweeper
  /** Puts the manager where the handlers look for it. */
  readonly #show: (ctx: Context, manager: SessionManager) => KoaSessionFacade | undefined
  /** Answers the requests by which a browser binds a session to its device. `skip` and `crossSite` do not apply to them. */
  readonly #answerDevice: DeviceRoutes | undefined
  readonly #endEvictions: (() => void) | undefined
  #hasBegun = false

  constructor(settings: Settings) {
    const events = new Events(settings.logger)
    const store = new CheckedStore(settings.store, settings.storeTimeout, events)
    const payload = new Payload(settings.codec, settings.maxBytes, settings.encryption)
    this.core = {
      settings,
      store,
      events,
      payload,
      verifier: new CookieVerifier(),
      writes: new WriteQueue(writeTogether),
      updates: new Turns(),
      touches: new Touches(),
      watches: new Watches({ store, payload, settings }),
      binding: settings.deviceBound && bindingCheck(settings.deviceBound),
      requests: new Requests(settings, events),
      onEarlyHeaders,
      running: 0,
    }
    this.sweeper = new Sweeper(store, settings.sweepInterval, settings.now, events)
    this.#show = settings.koaSession
      ? (ctx, manager) => new KoaSessionFacade(ctx, manager)
      : exposerOf(settings.stateKey)
    this.#answerDevice = settings.deviceBound && deviceRoutes(this.core, settings.deviceBound)
    this.#endEvictions = store.watch('watchEvictions', (evicted) => {
      events.tell('destroy', evicted, { reason: 'evicted' })
      this.core.watches.ended(evicted.key)
    })
    warnOfSettings(settings, events)
  }

  // ---- the path of one request

  /** One request through Koa's chain. */
  handle(ctx: Context, next: Next): Promise<unknown> {
    if (!this.#hasBegun) this.#begin()
    const answering = this.#answerDevice?.(ctx)
    if (answering !== undefined) return answering
    if (this.core.settings.skips?.(ctx) === true) {
      this.core.requests.meet(ctx.app)
      return next()
    }
    const forwarded = sessionContext.getStore() && forwardedManager(ctx, this.core)
    if (forwarded !== undefined) return this.#serveForwarded(ctx, forwarded, next)
    return this.#serve(ctx, ctx.req, next)
  }

  #begin(): void {
    this.#hasBegun = true
    markReached()
    this.sweeper.start()
  }

  /** Serves a request outside the chain: its cookie can be read, but no cookie can be sent. */
  async run<Result>(request: IncomingMessage, fn: Handler<Result>): Promise<Result> {
    checkFunction(fn, 'the second argument of run()')
    if (!isRequest(request)) throw invalidType('the first argument of run()', 'an http.IncomingMessage', request)
    this.core.store.assertOpen()
    if (!this.#hasBegun) this.#begin()
    return this.#serve(undefined, request, fn)
  }

  async #serve<Result>(ctx: Context | undefined, request: IncomingMessage, fn: Handler<Result>): Promise<Result> {
    const info = this.core.requests.infoOf(request, ctx)
    const outer = sessionContext.getStore() && outerScope(info, this.core)
    const loading = load(this.core, info)
    const own = loading instanceof RequestSession ? loading : await loading
    if (own.status === 'live' && isUnsafe(request)) assertSameSite(this.core, info, own)
    if (ctx === undefined && own.origin === 'unbound') throw unboundError()
    // A use that may have to be noted: also where the chain never returns, as the response closes. The commit knows whether it is due.
    const { idleTimeout } = this.core.settings.lifetime
    const isUse = own.record && own.now - own.record.lastSeenAt >= Math.min(idleTimeout / 10, MAX_TOUCH_INTERVAL)
    // Only now: an outage, a refused request, or a session that was loaded but not chosen must not send a cookie.
    if (own.cookie.due !== 'none' || own.pending.mustStore || isUse) own.cookie.watchHeaders()
    const manager = new SessionManager(own)
    const scope = new ContextScope(manager, this.core.settings.stateKey, info.cookie.name, outer, request)
    own.scope = scope
    const facade = ctx && this.#show(ctx, manager)
    let result: Result | undefined
    let answer: { readonly error: unknown } | undefined
    try {
      try {
        // With a `ctx`, `fn` is Koa's `next`, which is called without an argument.
        result = await (ctx === undefined
          ? sessionContext.run(scope, fn, manager)
          : sessionContext.run(scope, fn as () => Result | Promise<Result>))
      } finally {
        // Koa 3 listens to a stream once it answers: until then, an error of the stream would end the process, and unless it fails
        // the response, many streams leave that without an end. Koa 2 has answered by then.
        const body = ctx?.body as Partial<NodeJS.ReadableStream> | null | undefined
        if (body?.pipe !== undefined)
          body.on?.('error', (error: unknown) => (answer ??= ctx?.headerSent ? undefined : { error }))
      }
    } catch (error) {
      if (!isAnswer(error)) {
        await facade?.called(true)
        facade?.giveBack?.()
        await dropPending(own, error)
        throw error
      }
      answer = { error }
    }
    const isSocket = ctx?.respond === false && own.cookie.isTakenOver
    try {
      if (facade !== undefined) await facade.finish()
      const finishing = commit(own)
      if (finishing !== undefined) await finishing
    } catch (error) {
      await dropPending(own, error)
      // Koa would write its response to a thrown error into the socket.
      if (answer !== undefined || !isSocket) throw error
      ctx.app.emit('error', error, ctx)
    } finally {
      // Only now: callbacks of handlers that have returned write to this one.
      facade?.giveBack?.()
    }
    if (answer !== undefined) throw answer.error
    return result as Result
  }

  /** What the handlers of a forwarded request changed is stored before its answer leaves. The outer chain commits later changes. */
  async #serveForwarded(ctx: Context, manager: SessionManager, next: Next): Promise<void> {
    const own = requestSessionOf(manager)
    const facade = this.#show(ctx, manager)
    try {
      await next()
    } catch (error) {
      if (isAnswer(error)) await finishForwarded(own, facade)
      else await dropForwarded(own, facade)
      throw error
    }
    await finishForwarded(own, facade)
  }

  async close(): Promise<void> {
    this.sweeper.stop()
    this.core.watches.close()
    // The work that it waits for may still evict sessions. The store may be another middleware's as well.
    await this.core.store.close().finally(this.#endEvictions)
  }
}

/** Commits what the handlers of a forwarded request changed, whose outer chain goes on. */
async function finishForwarded(own: RequestSession, facade: KoaSessionFacade | undefined): Promise<void> {
  try {
    // No other chain sends a response: it must carry out what the chains around this one asked for as well.
    await facade?.finishAll()
  } catch (error) {
    await dropForwarded(own, facade)
    throw error
  }
  await commitPending(own)
}

/** What the handlers of a forwarded request asked for is dropped: no chain around it carries it out. */
async function dropForwarded(own: RequestSession, facade: KoaSessionFacade | undefined): Promise<void> {
  await facade?.called(true)
  own.drop()
  // A session that it has begun in the place of the old one stays begun.
  if (facade?.pendingEnd !== 'done') own.facade = facade?.outer
}
