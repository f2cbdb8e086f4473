/**
 * Helpers for the tests of an app: a session for service code that calls `currentSession()`, and a cookie for requests.
 *
 * @module koa-fastsession/testing
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Context } from 'koa'
import { firstRecord, type Made } from './session/commit.ts'
import { Frame, frames } from './context.ts'
import { invalidType } from './errors.ts'
import { freshNotes } from './record/metadata.ts'
import { SessionManager, type SessionData } from './session/manager.ts'
import { houseOf, session, type House, type SessionMiddleware } from './middleware.ts'
import { checkedOwner } from './options.ts'
import { take } from './session/steps.ts'
import { Visit, type Exchange } from './session/request-session.ts'

/** What a session of a test has beside its data. */
export interface TestSessionOptions {
  /** Signs that owner in: 1 to 255 characters. Left out: an anonymous session. */
  readonly owner?: string
}

/**
 * Runs `fn` with a session that holds `data`: `currentSession()` finds it at any async depth. Everything works,
 * `update`, `signIn` and `destroy` too, in a store of its own that is gone afterwards.
 *
 * @returns what `fn` returned; look at `session.data` before that, for nothing of it is kept.
 *
 * ```ts
 * await withSession({ cart: ['book'] }, async (session) => {
 *   await addToCart('pen') // calls currentSession()
 *   assert.deepEqual(session.data.cart, ['book', 'pen'])
 * })
 * ```
 */
export async function withSession<Result, Data extends object = SessionData>(
  data: Data,
  fn: (session: SessionManager<Data>) => Result | Promise<Result>,
): Promise<Result> {
  const house = houseOf(session({ keys: ['the sessions of these tests leave no process'], sweepInterval: false }))
  const exchange = house.exchangeOf(new IncomingMessage(new Socket()))
  // A response that nobody reads: a session of a test may get a new id.
  const ctx = { req: exchange.request, res: new ServerResponse(exchange.request), secure: false } as unknown as Context
  const made = await store(house, exchange, data, undefined)
  const visit = new Visit(house.services, { ...exchange, ctx }, house.services.settings.now(), 'new')
  visit.resume(made.id, made.record)
  const manager = new SessionManager<Data>(visit)
  return frames.run(
    new Frame(manager, house.services.settings.stateKey, exchange.cookie.name, undefined, exchange.request),
    () => fn(manager),
  )
}

/**
 * Stores a session in the middleware's store and signs its cookie, for supertest, playwright and the like. Before the
 * first request of the app the middleware needs `keys` as an option.
 *
 * @returns the pair `name=value` for a Cookie header.
 * @throws {SessionError} what storing data throws: `ERR_SESSION_VALUE`, `ERR_SESSION_SCHEMA`, `ERR_SESSION_STORE` ...
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for something that `session()` did not make, or keys
 * that are not known yet.
 *
 * ```ts
 * const cookie = await sessionCookie(sessions, { cart: ['book'] }, { owner: 'u1' })
 * await fetch('http://127.0.0.1:3000/account', { headers: { cookie } })
 * ```
 */
export async function sessionCookie<Data extends object>(
  middleware: SessionMiddleware<Data>,
  data: NoInfer<Data>,
  { owner }: TestSessionOptions = {},
): Promise<string> {
  const house = houseOf(middleware)
  const exchange = house.exchangeOf(new IncomingMessage(new Socket()))
  const { id } = await store(
    house,
    exchange,
    data,
    owner === undefined ? undefined : checkedOwner(owner, 'the owner of sessionCookie()'),
  )
  const { cookie, keyring } = exchange
  return `${cookie.name}=${id}.${keyring.sign(cookie.prefix + id)}`
}

async function store(house: House, exchange: Exchange, data: object, owner: string | undefined): Promise<Made> {
  const given: unknown = data
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw invalidType('the data of a test session', 'an object', given)
  const { settings } = house.services
  const now = settings.now()
  const visit = new Visit(house.services, exchange, now, 'new')
  visit.data.replaceAll(given)
  const draft = visit.draft(visit.pending(), now)
  const notes = owner === undefined ? draft.notes : { ...freshNotes(now), authenticatedAt: now }
  return take(firstRecord(visit, { ...draft, notes, owner }, now, visit.id))
}
