// takeOver(): the first request with an old cookie makes a session of what the old one held, and every other request with
// that cookie joins it. During an overlap both sessions belong together: who logs out of one has logged out of both.
import type { Context, Middleware } from 'koa'
import { invalidType, invalidValue, SessionError } from '../errors.ts'
import { duration, type Duration } from '../duration.ts'
import { tryCurrentSession, type SessionData, type SessionManager } from '../session/manager.ts'
import * as claims from './claims.ts'
import { checkOptions, type OldData, type OldSession, type OldSessions } from './old-sessions.ts'
import { adopt, isRolling, leave, storeOf } from './session-access.ts'

/** Options of {@link takeOver}. */
export interface TakeOverOptions<Data extends object = SessionData> {
  /** Where the old sessions are: `fromKoaSession()` or `fromExpressSession()`. */
  readonly from: OldSessions
  /**
   * The last instant at which an old session is taken over, in epoch milliseconds: a fixed one, which no restart moves. The
   * last old session has ended by then.
   */
  readonly until: number
  /**
   * For how long after its take-over the old session is still served by processes of before: longer than the deploy takes,
   * and than you want to be able to go back.
   *
   * Meanwhile the old cookie and record stay as they are. Each request of a session that was taken over costs a read of
   * both stores more.
   *
   * @default 0
   */
  readonly overlap?: Duration | undefined
  /** Goes on with it: copies what is still of use, and signs in whom the old session had signed in. */
  readonly goOn: (session: SessionManager<Data>, data: OldData) => unknown
  /** Path and domain of the old cookies, where they had any. */
  readonly cookie?: { readonly path?: string | undefined; readonly domain?: string | undefined } | undefined
  /** The clock, for tests. */
  readonly now?: (() => number) | undefined
}

// A browser sends several requests at once, each with the old cookie and none yet with the new one: each must find its
// session. After that an old cookie opens nothing, whoever kept a copy.
const GRACE = 10_000

/** How long a request waits for another that takes the same session over. */
const MAX_WAIT = 10_000
const POLL = 50
const MAX_TRIES = 5

const LONGEST = 400 * 86_400_000

/**
 * Lets the sessions that koa-session or express-session left go on, so that a change to this package signs nobody out. Mount
 * it right below `session()`; keep the old secrets and the old store, and take it out when `until` is over.
 *
 * The data of an old session is copied once, by one request, in whichever process; all others with that cookie join its
 * session. What was left of its lifetime goes on as `session.maxAge` (its whole lifetime where `rolling` is on), unless
 * `goOn` sets another; a session that lived while the browser runs gets the lifetimes of the options.
 *
 * Without `overlap` the old record ends ten seconds after the take-over, and the old cookie is cleared. With it both stay
 * until it is over, so that old and new processes can serve the same person: a session ends with its old record, `destroy`
 * ends both, and what is changed in one later does not reach the other.
 *
 * ```ts
 * app.use(session({ store }))
 * app.use(takeOver({
 *   from: fromKoaSession({ store: oldStore }),
 *   until: Date.parse('2027-02-01'),
 *   overlap: '1d',
 *   goOn: (session, { userId }) => (typeof userId === 'string' ? session.signIn(userId) : undefined),
 * }))
 * ```
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options.
 * @throws {SessionError} in a request, `ERR_SESSION_STORE` when either store failed: the browser keeps its cookies.
 */
export function takeOver<Data extends object = SessionData>(options: TakeOverOptions<Data>): Middleware {
  const settings = settingsOf(options)
  const atWork = new Map<string, Promise<unknown>>()
  return async (ctx, next) => {
    const session = tryCurrentSession<Data>()
    if (session === undefined) {
      await next()
      return
    }
    const passage = new Passage(settings, atWork, ctx, session)
    await passage.enter()
    try {
      await next()
    } finally {
      await passage.leave()
    }
  }
}

interface Settings<Data extends object> {
  readonly from: OldSessions
  readonly until: number
  readonly overlap: number
  readonly goOn: TakeOverOptions<Data>['goOn']
  readonly cookie: NonNullable<TakeOverOptions['cookie']>
  readonly now: () => number
}

/** One request with an old cookie, or with a session that came from one. */
class Passage<Data extends object> {
  readonly #settings: Settings<Data>
  readonly #atWork: Map<string, Promise<unknown>>
  readonly #ctx: Context
  readonly #session: SessionManager<Data>
  readonly #store: ReturnType<typeof storeOf>
  /** What ties this request's session to an old one, during an overlap. */
  #tied:
    | { readonly tie: claims.Tie; readonly old: OldSession; readonly id: string; readonly owner?: string | undefined }
    | undefined = undefined

  constructor(
    settings: Settings<Data>,
    atWork: Map<string, Promise<unknown>>,
    ctx: Context,
    session: SessionManager<Data>,
  ) {
    this.#settings = settings
    this.#atWork = atWork
    this.#ctx = ctx
    this.#session = session
    this.#store = storeOf(session)
  }

  /** Before the handlers see the session. */
  async enter(): Promise<void> {
    const { from, until, overlap } = this.#settings
    const hasCookie = from.cookies.some((name) => this.#ctx.cookies.get(name, { signed: false }) !== undefined)
    const { origin } = this.#session
    if (origin === 'resumed') {
      if (overlap > 0 && (await this.#checkTie())) return
      if (hasCookie && (await this.#isOver())) this.#clearCookies()
      return
    }
    if (!hasCookie) return
    const name = from.nameIn(this.#ctx)
    // Without an overlap only for a browser without a cookie of ours: one whose session has ended, by a logout say, stays
    // signed out. With it, somebody who logged out here may have signed in there since: the claim tells the two apart.
    const mayGoOn = origin === 'new' || (overlap > 0 && from.isStored && ['expired', 'invalid'].includes(origin))
    const isOpen = this.#now() < until
    const goesOn = isOpen && mayGoOn && name !== undefined && (await this.#goOver(name))
    if (!(overlap > 0 && isOpen && (goesOn || name === undefined))) this.#clearCookies()
  }

  /** After the handlers: what became of the session becomes of the old one. */
  async leave(): Promise<void> {
    if (this.#tied === undefined) return
    const { tie, old, id, owner } = this.#tied
    const newId = idOf(this.#session)
    if (newId === id) return
    // Who signed out, or in as somebody else, must not be found signed in by a process of before.
    if (newId === undefined || (owner !== undefined && this.#session.owner !== owner)) return this.#end(old)
    await claims.tie(this.#store, newId, tie, this.#now())
    await this.#settle(old, newId)
  }

  // ---- a session that came from an old one

  /** Whether this session is tied to an old one; if that has ended, so does this. */
  async #checkTie(): Promise<boolean> {
    const { from } = this.#settings
    const { id, owner } = this.#session
    const now = this.#now()
    const tie = await claims.tieOf(this.#store, id, now)
    if (tie === undefined) return false
    const name = from.isStored ? tie.name : from.nameIn(this.#ctx)
    const old = name === undefined ? undefined : await from.find(name, this.#ctx)
    const lives = old !== undefined && old.expiresAt > now
    if (!lives && now < tie.expiresAt && this.#wouldSend()) {
      await leave(this.#session)
      this.#clearCookies()
      return true
    }
    if (!lives) return true
    this.#tied = { tie, old, id, owner }
    // A process of before prolonged it: that it is missing later is a logout all the same.
    if (old.expiresAt > tie.expiresAt + 60_000)
      await claims.tie(this.#store, id, { ...tie, expiresAt: old.expiresAt }, now)
    return true
  }

  /** Whether the browser sends the old cookie with this request, where it has it. */
  #wouldSend(): boolean {
    const { from, cookie } = this.#settings
    return from.isStored || this.#ctx.path.startsWith(cookie.path ?? '/')
  }

  /** Whether the old cookie of a live session of ours is of no more use to anybody. */
  async #isOver(): Promise<boolean> {
    const { from, until, overlap } = this.#settings
    const now = this.#now()
    if (overlap === 0 || now >= until) return true
    const name = from.nameIn(this.#ctx)
    const claim = name === undefined ? undefined : await claims.claimOf(this.#store, name, now)
    // Not taken over: it belongs to processes of before. Or its overlap is not over yet.
    if (name === undefined || claim === undefined || now < claim.takenAt + overlap) return false
    const old = await from.find(name, this.#ctx)
    if (old !== undefined) await from.endIn(old, 0, this.#ctx)
    return true
  }

  async #end(old: OldSession): Promise<void> {
    await this.#settings.from.endIn(old, 0, this.#ctx)
    await this.#settle(old, undefined)
    this.#clearCookies()
  }

  /** Says in which session the old one goes on from now on. */
  async #settle({ name }: OldSession, id: string | undefined): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const now = this.#now()
      const claim = await claims.claim(this.#store, name, this.#settings.until, now)
      // Ended meanwhile by another request: then it has ended.
      if (claim.kind === 'taken' && claim.id === undefined) return
      if (claim.kind !== 'busy' && (await claims.settle(this.#store, claim.record, name, id, now))) return
      await pause(POLL)
    }
  }

  // ---- an old session that goes on

  /** Goes on with the old session of that name, or joins the request that did; whether it goes on. */
  async #goOver(name: string): Promise<boolean> {
    const { from, until } = this.#settings
    const deadline = Date.now() + MAX_WAIT
    while (Date.now() < deadline) {
      const work = this.#atWork.get(name)
      if (work !== undefined) await Promise.race([work, pause(deadline - Date.now())])
      const old = await from.find(name, this.#ctx)
      const now = this.#now()
      if (old === undefined || old.expiresAt <= now) return false
      const claim = await claims.claim(this.#store, name, until, now)
      if (claim.kind === 'ours') {
        const taking = this.#take(old, claim.record)
        const settled = taking.catch(() => undefined)
        this.#atWork.set(name, settled)
        try {
          await taking
        } finally {
          if (this.#atWork.get(name) === settled) this.#atWork.delete(name)
        }
        return true
      }
      if (claim.kind === 'taken') return this.#join(old, claim)
      await pause(POLL)
    }
    throw new SessionError(
      'ERR_SESSION_STORE',
      'another request takes the same old session over, and has not finished within ten seconds',
    )
  }

  /** Joins the session that the old one goes on in; one that has ended takes the old one along. */
  async #join(old: OldSession, { id, takenAt }: { id: string | undefined; takenAt: number }): Promise<boolean> {
    const { from, overlap } = this.#settings
    const now = this.#now()
    const isInTime = now < takenAt + Math.max(overlap, GRACE)
    if (isInTime && id !== undefined && (await adopt(this.#session, id))) {
      if (overlap > 0) await this.#checkTie()
      return true
    }
    await from.endIn(old, 0, this.#ctx)
    return false
  }

  async #take(old: OldSession, record: Parameters<typeof claims.settle>[1]): Promise<void> {
    const { from, overlap, goOn } = this.#settings
    const session = this.#session
    const now = this.#now()
    let id: string | undefined
    try {
      const lifetime = isRolling(session) ? old.maxAge : old.expiresAt - now
      if (old.maxAge !== undefined && lifetime !== undefined)
        session.maxAge = Math.round(
          Math.min(Math.max(Number.isFinite(lifetime) ? lifetime : old.maxAge, 1000), LONGEST),
        )
      await goOn(session, old.data)
      if (idOf(session) !== undefined) await session.save()
      id = idOf(session)
      if (id !== undefined && overlap > 0) {
        const { expiresAt } = old
        const tie = { name: from.isStored ? old.name : '', expiresAt, until: now + overlap }
        await claims.tie(this.#store, id, tie, now)
        this.#tied = { tie, old, id, owner: session.owner }
      }
      if (!(await claims.settle(this.#store, record, old.name, id, now)))
        throw new SessionError('ERR_SESSION_CONFLICT', 'another request took the same old session over meanwhile')
    } catch (error) {
      this.#tied = undefined
      // A half-made session must not stay. If this fails, too, the first error is what the caller must know.
      await session.destroy().catch(() => undefined)
      await claims.release(this.#store, record, now).catch(() => undefined)
      throw error
    }
    if (id === undefined) await from.endIn(old, 0, this.#ctx)
    else if (overlap === 0) await from.endIn(old, Math.min(old.expiresAt - now, GRACE), this.#ctx)
  }

  #clearCookies(): void {
    const { from, cookie } = this.#settings
    if (this.#ctx.headerSent) return
    const { path, domain } = cookie
    const attributes = { ...(path !== undefined && { path }), ...(domain !== undefined && { domain }) }
    for (const name of from.cookies)
      this.#ctx.cookies.set(name, null, { ...attributes, signed: false, overwrite: true })
  }

  #now(): number {
    return this.#settings.now()
  }
}

/** The id of a session; `undefined` once it was destroyed. */
function idOf(session: { readonly id: string }): string | undefined {
  try {
    return session.id
  } catch (error) {
    if ((error as Partial<SessionError>).code === 'ERR_SESSION_DESTROYED') return undefined
    throw error
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function settingsOf<Data extends object>(options: TakeOverOptions<Data>): Settings<Data> {
  checkOptions('takeOver()', options, ['from', 'until', 'overlap', 'goOn', 'cookie', 'now'])
  const { from, until, overlap = 0, goOn, cookie = {}, now = (): number => Date.now() } = options
  if (typeof (from as Partial<OldSessions> | undefined)?.nameIn !== 'function')
    throw invalidType('options.from', 'fromKoaSession() or fromExpressSession()', from)
  const rule = 'a fixed instant in epoch milliseconds, such as Date.parse(...)'
  if (typeof until !== 'number') throw invalidType('options.until', rule, until)
  if (!Number.isFinite(until)) throw invalidValue('options.until', rule, until)
  if (typeof goOn !== 'function') throw invalidType('options.goOn', 'a function', goOn)
  if (typeof now !== 'function') throw invalidType('options.now', 'a function', now)
  checkOptions('the cookie of takeOver()', cookie, ['path', 'domain'])
  return {
    from,
    until,
    overlap: overlap === 0 ? 0 : duration(overlap, 'options.overlap'),
    goOn,
    cookie,
    now: () => Math.floor(now()),
  }
}
