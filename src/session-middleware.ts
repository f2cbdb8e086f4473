// What `session()` gives, as its user sees it; what it does is in middleware.ts.
import type { IncomingMessage } from 'node:http'
// By name: a default import of what is CommonJS needs esModuleInterop in the programs that read our declarations.
import type { Next, ParameterizedContext } from 'koa'
import type { SessionData, SessionManager } from './session/manager.ts'
import type { SessionInfo } from './sessions.ts'

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

/**
 * What `app.use(session()).use(…)` knows: the last signature is the one that types are inferred from. That of a method, so
 * that a middleware of any data is taken where `SessionMiddleware` is asked for.
 */
type Chained<Data extends object, StateKey extends string> = {
  use(ctx: ParameterizedContext<SessionState<Data, StateKey>>, next: Next): Promise<unknown>
}['use']

/** The middleware that `session()` gives, and what it does outside Koa's chain. */
export interface SessionMiddleware<
  Data extends object = SessionData,
  StateKey extends string = 'session',
> extends Chained<Data, StateKey> {
  /** It asks nothing of the state that it is given: any app and any router takes it. */
  (ctx: ParameterizedContext<object>, next: Next): Promise<unknown>

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
   *   sessions
   *     .run(request, ({ owner }) => {
   *       if (owner === undefined) return socket.destroy()
   *       sockets.handleUpgrade(request, socket, head, (client) => greet(client, owner))
   *     })
   *     .catch(() => socket.destroy()) // a page of another site, an outage: unheard it would end the process
   * })
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_CROSS_SITE`, `ERR_SESSION_UNBOUND` or `ERR_SESSION_STORE` before `fn` is called;
   * `ERR_SESSION_HEADERS_SENT` when a session that is not stored is changed, or one regenerated; and what a commit throws.
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
   * call does nothing; a later request with a session is `ERR_SESSION_STORE` (503), and so are the other methods.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` when the store failed to close.
   */
  close(): Promise<void>
}
