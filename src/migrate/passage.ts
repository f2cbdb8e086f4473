// Handles one request with an old cookie, or with a session that came from one. The request takes the old session over, joins the
// session that another request made of it, or loses its own session because the old one has ended.
import { setTimeout as pause } from 'node:timers/promises'
import type { Context } from 'koa'
import { isWebSocket } from '../cookie/cross-site.ts'
import { atMost } from '../deadlines.ts'
import { headersSentError, invalidMix, SessionError, storeFailure } from '../errors.ts'
import { MAX_COOKIE_AGE } from '../record/lifetime.ts'
import { assertSameSite } from '../session/cross-site.ts'
import { requestSessionOf, type SessionManager } from '../session/manager.ts'
import type { RequestSession } from '../session/request-session.ts'
import * as claims from './claims.ts'
import { hasOldCookie, names, type OldData, type OldSession, type OldSessions } from './old-sessions.ts'
import { adopt, hasBegunAnew, leave, ownerToBe, replacesCookie } from './session-access.ts'
import { endWith, type Tied } from './watch-old.ts'

// A browser may send several requests with the old cookie before it has the new one: each must find the session. After this time,
// in milliseconds, the old cookie opens nothing, so that copies of it are useless, unless it holds the session and no end of it.
const GRACE = 10_000

/** How long a request waits for another one that takes the same session over, in milliseconds. */
const MAX_WAIT = 10_000
const POLL = 50
const MAX_TRIES = 5

/** The options of `takeOver`, checked, with their defaults. */
export interface Settings<Data extends object> {
  readonly from: OldSessions
  readonly until: number
  readonly overlap: number
  readonly goOn: (session: SessionManager<Data>, data: OldData) => unknown
  readonly cookie: { readonly path?: string | undefined; readonly domain?: string | undefined }
  readonly now: () => number
}

/** One request with an old cookie, or with a session that came from one. */
export class Passage<Data extends object> {
  readonly #settings: Settings<Data>
  readonly #atWork: Map<string, Promise<void>>
  readonly #ctx: Context
  readonly #session: SessionManager<Data>
  /** What is behind the session. */
  readonly #request: RequestSession
  readonly #store: RequestSession['core']['store']
  readonly #facade: RequestSession['facade']
  #tied: Tied | undefined
  /** Whether this request came with an old cookie and without proof of its device. */
  #isUnbound = false
  /** Whether the old cookie has become that of another user, or of a visitor. */
  #isAnothers = false
  /** Who owned the session before the handlers saw it. */
  #owner: string | undefined

  constructor(
    settings: Settings<Data>,
    atWork: Map<string, Promise<void>>,
    ctx: Context,
    session: SessionManager<Data>,
  ) {
    this.#settings = settings
    this.#atWork = atWork
    this.#ctx = ctx
    this.#session = session
    this.#request = requestSessionOf(session)
    this.#store = this.#request.core.store
    this.#facade = this.#request.facade
  }

  /**
   * Runs before the handlers see the session. `isForwarded`: a chain around this one has met the session already.
   *
   * @throws {TypeError} if both cookies have the same name.
   */
  async enter(isForwarded: boolean): Promise<void> {
    const { from, until, overlap } = this.#settings
    // Otherwise our cookie would be cleared along with the old one.
    if (from.cookies.includes(this.#request.info.cookie.name))
      throw invalidMix(
        "options.cookie of session() has the name of the old cookie: give ours another one, such as 'sid'",
      )
    const hasCookie = hasOldCookie(from, this.#ctx)
    this.#owner = this.#request.record?.owner
    // The chain around this one carries out an end.
    if (isForwarded && this.#request.status !== 'live') return
    if (this.#session.origin === 'resumed') {
      const isTied = overlap > 0 && (await this.#checkTie())
      if (!isTied && hasCookie && (await this.#isOver())) this.#clearCookies()
    } else if (isForwarded) {
      // The chain around this one has taken it over, or found nothing to take over.
      if (overlap > 0) await this.#checkTie()
      return
    }
    // A session that ended with its old one is none from here on: the cookie may name another old session, of a new sign-in there.
    const { origin } = this.#session
    if (origin === 'resumed' || !hasCookie) return
    // The session goes on as soon as its browser proves itself: it needs the old cookie as long as it has ours.
    if (origin === 'unbound') {
      this.#isUnbound = true
      return
    }
    if (overlap === 0 && this.#isBeside()) return
    const name = from.nameIn(this.#ctx)
    // Without an overlap, only a browser without our cookie goes on: one whose session has ended, by a logout for example, stays
    // signed out. With it, the user may have signed in through an old process since: the claim tells the two cases apart. A cookie
    // of our name that is not ours tells nothing.
    const mayGoOn = origin !== 'expired' || (overlap > 0 && (from.isStored || this.#isAnothers))
    const isOpen = this.#settings.now() < until
    const goesOn = isOpen && mayGoOn && name !== undefined && (await this.#goOver(name))
    // Without any cookie, the next request would begin a session that replaces the one under the new id.
    if (goesOn === 'late') return
    // One that `from` cannot read may be the old session of a user whose secret or store was forgotten: it stays until the last day.
    if (!(isOpen && (name === undefined || (overlap > 0 && goesOn)))) this.#clearCookies()
  }

  /** Runs once the handlers may see the session: a stream hears of a logout at an old process. */
  watch(): void {
    const { from, now } = this.#settings
    if (this.#tied !== undefined) endWith(this.#ctx, this.#request, this.#tied, from, now)
  }

  /**
   * Runs after the handlers. Applies a sign-out, another owner or a new id to the old session. `isDropped`: session() will not store
   * what the handlers left pending.
   */
  async leave(isDropped: boolean): Promise<void> {
    // What a login or a logout that nobody awaits has yet to do.
    await this.#facade?.called(isDropped)
    if (this.#isUnbound && (this.#willEnd(isDropped) || replacesCookie(this.#request, isDropped))) this.#clearCookies()
    if (this.#tied === undefined) {
      const { from } = this.#settings
      if (!hasOldCookie(from, this.#ctx) || !this.#hasLeft(this.#owner, isDropped)) return
      // One that `from` cannot read now must not sign anybody in, once it can, after a logout or a sign-in.
      if (from.nameIn(this.#ctx) === undefined) this.#clearCookies()
      return
    }
    const { tie, old, id, owner } = this.#tied
    const newId = idOf(this.#session)
    // After a sign-out, or a sign-in as another owner, an old process must not find the previous user signed in. Of a visitor as
    // well: who planted the old cookie, or copied it, must not find the user who signed in since.
    if (newId === undefined || this.#hasLeft(owner, isDropped)) return this.#end(old)
    if (newId === id) return
    // Where the middleware does not know the owners, a fresh start is the login or logout of koa-passport, and any other new id may be
    // a login: the old cookie does not open what comes after.
    if (owner === undefined && (await hasBegunAnew(this.#request, id))) return this.#end(old)
    await claims.tie(this.#store, newId, tie, this.#settings.now())
    if (owner === undefined) await claims.tie(this.#store, id, { ...tie, name: '' }, this.#settings.now())
    else if (old !== undefined) await this.#settle(old, newId)
  }

  /** Whether the session ends, or another than `owner` has it. Where pending changes are not stored, the stored owner counts. */
  #hasLeft(owner: string | undefined, isDropped: boolean): boolean {
    const { status, ends } = this.#request
    if (this.#willEnd(isDropped) || status === 'destroyed' || ends > 0) return true
    return (isDropped ? this.#session.owner : ownerToBe(this.#request)) !== owner
  }

  /**
   * Whether the session ends by what the handlers assigned to `ctx.session`: session() carries that out after this, or at a save() of
   * an object after null. The chains around this one may have assigned as well, and of those inside it what they carried out counts.
   */
  #willEnd(isDropped: boolean): boolean {
    let isInside = this.#facade !== undefined
    for (let facade = this.#request.facade; facade !== undefined; facade = facade.outer) {
      if (facade === this.#facade) isInside = false
      if (facade.pendingEnd === 'done' || (!isInside && !isDropped && facade.pendingEnd !== 'no')) return true
    }
    return false
  }

  // ---- a session that came from an old one

  /** Whether this session is tied to an old one. If the old one has ended, ends this session. */
  async #checkTie(): Promise<boolean> {
    const { from, until } = this.#settings
    const { id, owner } = this.#session
    const now = this.#settings.now()
    const tie = await claims.tieOf(this.#store, id, now)
    // After the last day the old store may be empty, or gone.
    if (tie === undefined || now >= Math.max(tie.until, until)) return false
    const name = from.isStored ? tie.name : from.nameIn(this.#ctx)
    const old = name === undefined ? undefined : await from.find(name, this.#ctx)
    // Where the cookie is the session, a logout there may leave one behind, and the next user has one as well.
    this.#isAnothers = old !== undefined && tie.isNamed && owner !== undefined && !names(old.data, owner)
    const lives = old !== undefined && old.expiresAt > now && !this.#isAnothers
    const isOver = now >= tie.until
    if (!lives) {
      if (now >= tie.expiresAt) return true
      // The browser did not send the old cookie. The end of this session, and its new id, count for the old one all the same.
      if (!this.#wouldSend()) this.#tied = { tie, old: undefined, id, owner }
      // Another request may have been the first after the overlap, by its clock, and have ended the old session itself.
      else if ((await claims.tieOf(this.#store, id, now)) === undefined) return false
      else await leave(this.#request)
      return true
    }
    if (isOver) {
      await this.#part(old, id)
      return false
    }
    this.#tied = { tie, old, id, owner }
    // An old process prolonged it. The later end is kept: if the session is missing before then, it was logged out of.
    if (old.expiresAt > tie.expiresAt + 60_000)
      await claims.tie(this.#store, id, { ...tie, expiresAt: old.expiresAt }, now)
    return true
  }

  /** Whether the browser would send the old cookie with this request if it had it; always `true` where a store holds the session. */
  #wouldSend(): boolean {
    const { from, cookie } = this.#settings
    if (from.isStored) return true
    // The cookie may be of SameSite=Strict: what a page of another site opens comes without it.
    if (this.#ctx.get('Sec-Fetch-Site') === 'cross-site') return false
    const { path = '/' } = cookie
    // The path as the browser sees it: `ctx.path` is another one inside a mounted app.
    const [asked = ''] = this.#ctx.originalUrl.split('?', 1)
    return asked === path || asked.startsWith(path.endsWith('/') ? path : `${path}/`)
  }

  /** Whether the response gives the browser no cookie of ours: that to a WebSocket's upgrade, or to what a page of another site embeds. */
  #isBeside(): boolean {
    const { request, cookie } = this.#request.info
    const isEmbedded =
      this.#ctx.get('Sec-Fetch-Site') === 'cross-site' && !['', 'document'].includes(this.#ctx.get('Sec-Fetch-Dest'))
    return isWebSocket(request.headers.upgrade ?? '') || (isEmbedded && !cookie.attributes.includes('SameSite=None'))
  }

  /** Whether the old cookie beside a live session of ours is no longer needed. If so, ends the old session where that is still due. */
  async #isOver(): Promise<boolean> {
    const { from, until, overlap } = this.#settings
    const now = this.#settings.now()
    if (now >= until) return true
    const name = from.nameIn(this.#ctx)
    if (overlap === 0) return name !== undefined
    const claim = name === undefined ? undefined : await claims.claimOf(this.#store, name, now)
    // It is needed if it was not taken over, because old processes serve it, and during its overlap. A session that was signed out
    // of (without an `id`) is over at once, even if its store failed to end it.
    if (name === undefined || claim === undefined) return false
    if (claim.id !== undefined && now < claim.takenAt + overlap) return false
    const old = await from.find(name, this.#ctx)
    if (old !== undefined) await this.#part(old, claim.id)
    return true
  }

  /** Ends an old session. One that lives on under this id does so without it; under an id that no claim names, it needs it. */
  async #part(old: OldSession, id: string | undefined): Promise<void> {
    const { from, now } = this.#settings
    const tie = id === undefined ? undefined : await claims.tieOf(this.#store, id, now())
    if (from.isStored && tie?.name === '') return
    if (id !== undefined && tie !== undefined) await claims.untie(this.#store, id)
    await from.endIn(old, 0, now(), this.#ctx)
  }

  async #end(old: OldSession | undefined): Promise<void> {
    // Only the browser holds it: there is nothing to end but its cookie.
    if (old === undefined) {
      this.#clearCookies()
      return
    }
    // Both are tried, even if one fails: either one alone lets the next request finish the end.
    const ends = [this.#settings.from.endIn(old, 0, this.#settings.now(), this.#ctx), this.#settle(old, undefined)]
    for (const end of await Promise.allSettled(ends)) if (end.status === 'rejected') throw end.reason
    this.#clearCookies()
  }

  /** Records which session the old one goes on in from now on; `undefined` ends it. */
  async #settle({ name }: OldSession, id: string | undefined): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const now = this.#settings.now()
      const claim = await claims.claim(this.#store, name, this.#settings.until, now)
      // Another request has ended it meanwhile: it stays ended.
      if (claim.kind === 'taken' && claim.id === undefined) return
      if (claim.kind !== 'busy' && (await claims.settle(this.#store, claim, id, now))) return
      await pause(POLL)
    }
  }

  // ---- an old session that goes on

  /** Takes the old session of that name over, or joins the session that it goes on in. Returns whether it goes on, as `#join`. */
  async #goOver(name: string): Promise<boolean | 'late'> {
    const { from, until } = this.#settings
    const deadline = Date.now() + MAX_WAIT
    while (Date.now() < deadline) {
      const work = this.#atWork.get(name)
      if (work !== undefined) await atMost(deadline - Date.now(), work)
      const old = await from.find(name, this.#ctx)
      const now = this.#settings.now()
      if (old === undefined || old.expiresAt <= now) return false
      // An old cookie opens a live session too, and the browser may send it from sites from which it would not send ours.
      assertSameSite(this.#request.core, this.#request.info)
      const claim = await claims.claim(this.#store, name, until, now)
      if (claim.kind === 'ours') {
        const taking = this.#take(old, claim)
        const settled = taking.catch(() => undefined)
        this.#atWork.set(name, settled)
        try {
          await taking
        } finally {
          if (this.#atWork.get(name) === settled) this.#atWork.delete(name)
        }
        return true
      }
      if (claim.kind === 'taken') {
        const answer = await this.#join(old, claim)
        if (answer !== 'another') return answer
        await this.#take(old, undefined)
        return true
      }
      await pause(POLL)
    }
    throw storeFailure('another request takes the same old session over, and has not finished within ten seconds')
  }

  /**
   * Joins the session that the old one goes on in. If that has ended or can no longer be joined, ends the old one. Returns whether it
   * goes on, `'late'` if it does so under an id that is on its way to the browser, and `'another'` if that may be another browser.
   */
  async #join(old: OldSession, { id, takenAt }: claims.Taken): Promise<boolean | 'late' | 'another'> {
    const { from, overlap } = this.#settings
    const now = this.#settings.now()
    const isInTime = now < takenAt + Math.max(overlap, GRACE)
    // Where the cookie is the data, browsers with equal data have equal cookies, at the latest if no instant is in them.
    if (!isInTime && !from.isStored && old.expiresAt === Infinity && id !== undefined) return 'another'
    const answer = isInTime && id !== undefined ? await adopt(this.#request, id, from.isStored) : 'gone'
    if (answer === 'adopted') {
      if (overlap > 0) await this.#checkTie()
      return true
    }
    if (answer === 'late' || answer === 'another') return answer
    // A bound session goes on in its own browser. A copy of the old cookie opens nothing, and must not sign that browser out.
    if (answer === 'gone') await this.#part(old, id)
    return false
  }

  async #take(old: OldSession, claim: claims.Held | undefined): Promise<void> {
    const { from, overlap, goOn } = this.#settings
    const session = this.#session
    const now = this.#settings.now()
    let id: string | undefined
    try {
      const lifetime = this.#request.core.settings.lifetime.rolling ? old.maxAge : old.expiresAt - now
      if (old.maxAge !== undefined && lifetime !== undefined)
        session.maxAge = Math.round(
          Math.min(Math.max(Number.isFinite(lifetime) ? lifetime : old.maxAge, 1000), MAX_COOKIE_AGE),
        )
      await goOn(session, old.data)
      if (idOf(session) !== undefined) await session.save()
      id = idOf(session)
      // Nobody would learn the new id: the old cookie must open the session later.
      if (id !== undefined && this.#request.cookie.isDeserted) throw headersSentError('an old session was taken over')
      if (id !== undefined && overlap > 0) {
        const { expiresAt } = old
        const { owner } = session
        const isNamed = !from.isStored && owner !== undefined && names(old.data, owner)
        const tie = { name: from.isStored ? old.name : '', expiresAt, until: now + overlap, isNamed }
        await claims.tie(this.#store, id, tie, now)
        this.#tied = { tie, old, id, owner }
      }
      if (claim !== undefined && !(await claims.settle(this.#store, claim, id, now)))
        throw new SessionError('ERR_SESSION_CONFLICT', 'another request took the same old session over meanwhile')
      if (id !== undefined) this.#request.origin = 'resumed'
    } catch (error) {
      this.#tied = undefined
      // A half-made session must not stay. The claim is released first: a request that found it naming an ended session would
      // take that for a logout. If this fails too, the caller still gets the first error.
      if (claim !== undefined) await claims.release(this.#store, claim, id, now).catch(() => undefined)
      await session.destroy().catch(() => undefined)
      throw error
    }
    if (id === undefined) await from.endIn(old, 0, this.#settings.now(), this.#ctx)
    else if (overlap === 0) await from.endIn(old, Math.min(old.expiresAt - now, GRACE), this.#settings.now(), this.#ctx)
  }

  #clearCookies(): void {
    const { from, cookie } = this.#settings
    if (this.#ctx.headerSent) return
    const { path, domain } = cookie
    const attributes = { ...(path !== undefined && { path }), ...(domain !== undefined && { domain }) }
    for (const name of from.cookies)
      this.#ctx.cookies.set(name, null, { ...attributes, signed: false, overwrite: true })
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
