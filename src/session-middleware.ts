// The type of what `session()` returns; the implementation is in middleware.ts.
import type { IncomingMessage } from 'node:http'
// A named import: a default import of a CommonJS module needs esModuleInterop in the programs that read our declarations.
import type { Next, ParameterizedContext } from 'koa'
import type { SessionData, SessionManager } from './session/manager.ts'
import type { SessionInfo } from './session/info.ts'

/**
 * What `ctx.state` holds below the middleware, for `new Koa<SessionState>()` and `new Router<SessionState>()`: the session of
 * the request under its `stateKey`. It is empty where the compiler does not know the `stateKey`.
 */
export type SessionState<Data extends object = SessionData, StateKey extends string = 'session'> = {
  -readonly [Key in StateKey as string extends Key ? never : Key]: SessionManager<Data>
}

declare module 'koa' {
  // Plain Koa and the handlers of koa-router both take the type of their state from here.
  interface DefaultState {
    session: SessionManager
  }
}

/**
 * The state that `app.use(session()).use(…)` infers: TypeScript infers types from the last signature. It is the signature of a
 * method, so that a middleware of any `Data` is assignable to `SessionMiddleware`.
 */
type Chained<Data extends object, StateKey extends string> = {
  use(ctx: ParameterizedContext<SessionState<Data, StateKey>>, next: Next): Promise<unknown>
}['use']

/** The middleware that `session()` returns, and its methods for use outside Koa's chain. */
export interface SessionMiddleware<
  Data extends object = SessionData,
  StateKey extends string = 'session',
> extends Chained<Data, StateKey> {
  /** It requires nothing of `ctx.state`, so any app and any router accepts it. */
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
   *     .catch(() => socket.destroy()) // a page of another site, an outage: unhandled, it would end the process
   * })
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_CROSS_SITE`, `ERR_SESSION_UNBOUND` or `ERR_SESSION_STORE` before `fn` is called;
   * `ERR_SESSION_HEADERS_SENT` when a session that is not stored is changed, or a session is regenerated; what a commit throws.
   */
  run<Result>(
    request: IncomingMessage,
    fn: (session: SessionManager<Data>) => Result | Promise<Result>,
  ): Promise<Result>

  /**
   * The live sessions of an owner, in no particular order; an empty array for an unknown owner.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner; `ERR_SESSION_STORE`.
   */
  list(owner: string): Promise<SessionInfo<Data>[]>

  /**
   * One session by its public id; `undefined` where there is no such session, or it is not the given owner's. A replaced public
   * id finds nothing.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when an owner is given and the store has no index by owner;
   * `ERR_SESSION_STORE`.
   */
  get(publicId: string, options?: { readonly owner?: string }): Promise<SessionInfo<Data> | undefined>

  /**
   * Changes the data of a session from outside a request, as `session.update` does: atomic among requests and processes.
   * It moves no timeout.
   *
   * @returns what `fn` returned.
   * @throws {SessionError} `ERR_SESSION_GONE` where there is no such session, or it is not the given owner's;
   * `ERR_SESSION_HEADERS_SENT` where its owner appears or changes; what a commit throws; `ERR_SESSION_UNSUPPORTED` as `get`.
   */
  update<Result>(
    publicId: string,
    fn: (data: Data) => Result | Promise<Result>,
    options?: { readonly owner?: string },
  ): Promise<Result>

  /**
   * Does the same for each live session of an owner, one after another. A session that ends meanwhile, or whose stored data does
   * not satisfy the schema, is skipped; one that gets a new id is followed. What `fn` throws ends the call. `fn` may run again, as
   * in `update`.
   *
   * @returns how many sessions were updated.
   * @throws {SessionError} as `update`, and `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  updateAll(owner: string, fn: (data: Data, publicId: string) => unknown): Promise<number>

  /**
   * All live sessions, anonymous ones too, in constant memory. A session that lives from beginning to end comes at least once:
   * exactly once from memory and SQL, sometimes twice from Redis. A session that gets a new id meanwhile comes under either id;
   * one that gets several may come under two of them.
   *
   * ```ts
   * for await (const { owner, lastSeenAt } of sessions.scan()) report(owner, lastSeenAt)
   * ```
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no `scan`; `ERR_SESSION_STORE`.
   */
  scan(): AsyncIterableIterator<SessionInfo<Data>>

  /**
   * Ends one session from elsewhere; with an owner, only if it is that owner's. Requests of the session that are under way can no
   * longer store anything. For a public id that was replaced in the last minute, the session that took its place ends. Later it names
   * no session: `list` shows the new one.
   *
   * @returns whether a session was ended: `false` for one that has already ended, or is not the given owner's.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when an owner is given and the store has no index by owner;
   * `ERR_SESSION_STORE`.
   */
  destroy(publicId: string, options?: { readonly owner?: string }): Promise<boolean>

  /**
   * Logs an owner out everywhere: ends every session that was acknowledged before the call, except the one whose public id is
   * `except`. A session that is created meanwhile is ended or still listed.
   *
   * @returns how many sessions were ended.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner; `ERR_SESSION_STORE`.
   */
  destroyAll(owner: string, options?: { readonly except?: string }): Promise<number>

  /**
   * Ends every session that was acknowledged before the call, of all owners and anonymous ones. A session that is created
   * meanwhile may end, too.
   *
   * @returns how many sessions were ended.
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no `scan`; `ERR_SESSION_STORE`.
   */
  destroyEverything(): Promise<number>

  /**
   * Deletes expired records now, for apps with `sweepInterval: false`.
   *
   * @returns how many records were deleted; 0 for a store that expires records itself.
   * @throws {SessionError} `ERR_SESSION_STORE`.
   */
  deleteExpired(): Promise<number>

  /**
   * Waits for running commits (15 s at most), stops timers, and closes what the store opened itself, never a client of the caller.
   * A second call does nothing. Later requests with a session are `ERR_SESSION_STORE` (503), and so are the other methods.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` when the store failed to close.
   */
  close(): Promise<void>
}
