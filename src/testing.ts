/**
 * Helpers for the tests of an app: a session for service code that calls `currentSession()`, a cookie for requests, and the
 * session behind a cookie.
 *
 * @module koa-fastsession/testing
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Context } from 'koa'
import { ContextScope, sessionContext } from './context.ts'
import { invalidType } from './errors.ts'
import { mountedSession, session } from './middleware.ts'
import type { SessionOptions } from './options.ts'
import { isData } from './record/json-value.ts'
import { draftOf } from './record/merge.ts'
import type { SessionMiddleware } from './session-middleware.ts'
import { createRecord, type CreatedRecord } from './session/create.ts'
import type { Core, RequestInfo } from './session/core.ts'
import type { SessionInfo } from './session/info.ts'
import { load } from './session/load.ts'
import { applySchema, takeNewer } from './session/newest.ts'
import { ownerInData } from './session/owner.ts'
import { SessionManager, type SessionData } from './session/manager.ts'
import { RequestSession } from './session/request-session.ts'
import { assertNames } from './option-functions.ts'
import { checkedOwner } from './option-values.ts'

/** What a test session has besides its data. */
export interface TestSessionOptions {
  /** The owner to sign in: 1 to 255 characters. Left out: the owner that the option `owner` of `session()` finds in data. */
  readonly owner?: string | undefined
  /** When the owner signed in, in epoch milliseconds. @default now */
  readonly authenticatedAt?: number | undefined
}

/** The same, and options of `session()` that the code under test relies on. */
export interface WithSessionOptions<Data extends object> extends TestSessionOptions {
  /** As the option of `session()`. */
  readonly codec?: SessionOptions<Data>['codec']
  /** As the option of `session()`. */
  readonly schema?: SessionOptions<Data>['schema']
  /** As the option of `session()`. */
  readonly now?: SessionOptions<Data>['now']
}

/**
 * Runs `fn` with a session that holds `data`: `currentSession()` finds it at any async depth. All methods work, also
 * `update`, `signIn` and `destroy`, in a store of its own that is gone afterwards.
 *
 * ```ts
 * await withSession({ cart: ['book'] }, async (session) => {
 *   await addToCart('pen') // calls currentSession()
 *   assert.deepEqual(session.data.cart, ['book', 'pen'])
 * }, { owner: 'u1' })
 * ```
 *
 * @returns what `fn` returned. Look at `session.data` inside `fn`: nothing of it is kept.
 */
export async function withSession<Result, Data extends object = SessionData>(
  data: Data,
  fn: (
    session: SessionManager<Data & { [Key in Exclude<keyof SessionData, keyof Data>]?: SessionData[Key] }>,
  ) => Result | Promise<Result>,
  options: WithSessionOptions<Data> = {},
): Promise<Result> {
  if (typeof fn !== 'function') throw invalidType('the second argument of withSession()', 'a function', fn)
  assertNames(options, 'withSession()', ['owner', 'authenticatedAt', 'codec', 'schema', 'now'])
  const { owner, authenticatedAt, ...rest } = options
  const keys = ['the sessions of these tests leave no process']
  const { core } = mountedSession(session<Data>({ ...rest, keys, sweepInterval: false }))
  const info = infoOf(core)
  const { id, record, draft } = await store(core, info, data, { owner, authenticatedAt })
  // A response that is never sent: the session of a test may get a new id.
  const res = new ServerResponse(info.request)
  const ctx = { req: info.request, res, secure: false } as unknown as Context
  const live = new RequestSession(core, { ...info, ctx }, core.settings.now(), 'new')
  live.resume(id, record, draft.metadata)
  if (core.settings.schema !== undefined) {
    const loaded = await applySchema(core, record, live.stored)
    // Only empty data can be refused here. It is the data of a new session, which is checked at the commit.
    if (loaded.dataError?.code !== 'ERR_SESSION_SCHEMA') takeNewer(live, loaded)
  }
  const manager: Parameters<typeof fn>[0] = new SessionManager(live)
  const scope = new ContextScope(manager, core.settings.stateKey, info.cookie.name, undefined, info.request)
  return sessionContext.run(scope, () => fn(manager))
}

/**
 * Stores a session in the middleware's store and signs its cookie, for supertest, playwright and the like. Before the
 * first request of the app the middleware needs `keys` as an option. Without an `owner` here, the option `owner` of `session()`
 * is asked. This is no request: it sends no event and takes no `device`, and `maxPerOwner` counts the session only at the next
 * sign-in by a request.
 *
 * ```ts
 * const cookie = await sessionCookie(sessions, { cart: ['book'] }, { owner: 'u1' })
 * await fetch('http://127.0.0.1:3000/account', { headers: { cookie } })
 * ```
 *
 * @returns the pair `name=value` for a Cookie header.
 * @throws {SessionError} what storing data throws: `ERR_SESSION_VALUE`, `ERR_SESSION_SCHEMA`, `ERR_SESSION_STORE` ...
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for a middleware that `session()` did not make, or
 * keys that are not known yet.
 */
export async function sessionCookie<Data extends object>(
  middleware: SessionMiddleware<Data, string>,
  data: NoInfer<Data>,
  options: TestSessionOptions = {},
): Promise<string> {
  assertNames(options, 'sessionCookie()', ['owner', 'authenticatedAt'])
  const { core } = mountedSession(middleware)
  const info = infoOf(core)
  const { id } = await store(core, info, data, options)
  const { cookie, keyring } = info
  return `${cookie.name}=${id}.${keyring.sign(cookie.prefix + id)}`
}

/**
 * The session that a Cookie header names, as `get` shows it; `undefined` where there is no such session. It moves no timeout.
 *
 * ```ts
 * const response = await fetch(url, { headers: { cookie } })
 * assert.equal((await sessionOf(sessions, cookie))?.owner, 'u1')
 * ```
 *
 * @throws {TypeError} for a middleware that `session()` did not make, or keys that are not known yet.
 */
export async function sessionOf<Data extends object>(
  middleware: SessionMiddleware<Data, string>,
  cookie: string,
): Promise<SessionInfo<Data> | undefined> {
  if (typeof cookie !== 'string') throw invalidType('the second argument of sessionOf()', 'a Cookie header', cookie)
  const { core } = mountedSession(middleware)
  const loaded = await load(core, infoOf(core, cookie), true)
  // One that cannot be read is no session.
  loaded.open()
  return loaded.record === undefined ? undefined : middleware.get(loaded.record.key)
}

function infoOf(core: Core, cookie?: string): RequestInfo {
  const request = new IncomingMessage(new Socket())
  request.method = 'GET'
  request.url = '/'
  if (cookie !== undefined) request.headers.cookie = cookie
  // This is no request of the app's, so `options.passive` is not asked.
  return core.requests.infoOf(request, undefined, false)
}

async function store(
  core: Core,
  info: RequestInfo,
  data: object,
  { owner, authenticatedAt }: TestSessionOptions,
): Promise<CreatedRecord> {
  const given: unknown = data
  if (!isData(given)) throw invalidType('the data of a test session', 'a plain object', given)
  const signedInAt = typeof authenticatedAt === 'number' ? Math.floor(authenticatedAt) : authenticatedAt
  // Another instant would make a record that cannot be read.
  if (signedInAt !== undefined && !Number.isSafeInteger(signedInAt))
    throw invalidType('authenticatedAt of a test session', 'an instant in epoch milliseconds', authenticatedAt)
  core.store.assertOpen()
  const now = core.settings.now()
  const made = new RequestSession(core, info, now, 'new')
  made.data.replaceAll(given)
  const draft = draftOf(made.stored, undefined, made.pending.collect(), now)
  const signedIn = owner === undefined ? ownerInData(core, draft) : checkedOwner(owner, 'the owner of a test session')
  if (signedIn === undefined) return createRecord(made, draft, now, made.id)
  const metadata = { ...draft.metadata, authenticatedAt: signedInAt ?? now }
  return createRecord(made, { ...draft, owner: signedIn, metadata }, now, made.id)
}
