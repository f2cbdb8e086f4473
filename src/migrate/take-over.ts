// takeOver(): the first request with an old cookie creates a session from the data of the old one, and every other request with
// that cookie joins it. During an overlap the two sessions are tied: a logout from one is a logout from both.
import type { Context, Middleware } from 'koa'
import { cookieSettings } from '../cookie/cookie.ts'
import { tryCurrentSession } from '../current-session.ts'
import { duration, type Duration } from '../duration.ts'
import { invalidType, invalidValue, isAnswer } from '../errors.ts'
import { assertNames, clockOf } from '../option-functions.ts'
import type { SessionData, SessionManager } from '../session/manager.ts'
import { hasOldCookie, type OldData, type OldSessions } from './old-sessions.ts'
import { Passage, type Settings } from './passage.ts'
import { endWith } from './watch-old.ts'
import { wayIn } from './way-in.ts'
import { wayOut } from './way-out.ts'

/** Options of {@link takeOver}. */
export interface TakeOverOptions<Data extends object = SessionData> {
  /** Where the old sessions are: `fromKoaSession()` or `fromExpressSession()`. */
  readonly from: OldSessions
  /**
   * The instant from which on no old session is taken over, in epoch milliseconds. Choose a fixed instant, which no restart
   * moves, at which the last old session has ended.
   */
  readonly until: number
  /**
   * How long after its take-over an old session can still be served by old processes. Choose it longer than the deploy takes
   * and longer than you want to be able to roll back.
   *
   * During the overlap the old cookie and record stay as they are, and each request of a session that was taken over costs one
   * more read of each store.
   *
   * @default 0
   */
  readonly overlap?: Duration | undefined
  /** Fills the new session: copies the data that is still needed, and signs in the user of the old session. Awaited. */
  readonly goOn: (session: SessionManager<Data>, data: OldData) => unknown
  /** Path and domain of the old cookies, if they had any. */
  readonly cookie?: { readonly path?: string | undefined; readonly domain?: string | undefined } | undefined
  /** The clock, for tests. */
  readonly now?: (() => number) | undefined
}

/**
 * Takes over the sessions of koa-session or express-session, so that a change to this package signs no user out. Mount it right
 * after `session()`, keep the old secrets and the old store, and remove it once `until` has passed.
 *
 * The data of an old session is copied once, by one request in one process. All other requests with that cookie join the new
 * session; where the cookie holds the session, only those of an owner do, because visitors may have equal cookies. The rest of the
 * old lifetime becomes `session.maxAge` (the whole old lifetime if `rolling` is on), unless `goOn` sets another. An old session that
 * ended with the browser gets the lifetimes of the options.
 *
 * Without `overlap` the old record ends ten seconds after the take-over, and the old cookie is cleared. With `overlap` both stay
 * until it is over, so that old and new processes can serve the same user: the new session ends with the old record, `destroy`
 * ends both, and later changes in one do not reach the other.
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
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options; in a request, if both cookies have the
 * same name.
 * @throws {SessionError} in a request, `ERR_SESSION_STORE` when either store failed or another request did not finish the take-over
 * within ten seconds: the browser keeps its cookies. `ERR_SESSION_CONFLICT` when another request took the old session over
 * meanwhile. `ERR_SESSION_CROSS_SITE` for an unsafe request of another site that comes with a live old session.
 */
export function takeOver<Data extends object = SessionData>(options: TakeOverOptions<Data>): Middleware {
  const settings = settingsOf(options)
  const { goOn } = options
  const met = new WeakSet<object>()
  let isTold = false
  return async (ctx, next) => {
    const session = tryCurrentSession<Data>()
    if (session === undefined) {
      try {
        await next()
      } finally {
        if (!isTold && isBelow(ctx) && hasOldCookie(settings.from, ctx)) {
          isTold = true
          process.emitWarning(
            'an old session was not taken over, because takeOver() is mounted before session(): mount it right after session()',
            { type: 'SessionWarning', code: 'KOA_FASTSESSION_TAKE_OVER_ABOVE' },
          )
        }
      }
      return
    }
    const passage = new Passage(settings, ctx, session, (data) => goOn(session, data))
    const isForwarded = met.has(session)
    met.add(session)
    await wayIn(passage, isForwarded)
    if (passage.tied !== undefined) endWith(passage, passage.tied)
    let isDropped = false
    try {
      await next()
    } catch (error) {
      isDropped = !isAnswer(error)
      throw error
    } finally {
      await wayOut(passage, isDropped)
    }
  }
}

/** Whether a session() was reached behind this middleware, which has found none before it. */
function isBelow({ state }: Context): boolean {
  return Object.getOwnPropertySymbols(state).some(({ description }) => description?.startsWith('koa-fastsession.'))
}

function settingsOf<Data extends object>(options: TakeOverOptions<Data>): Settings {
  assertNames(options, 'takeOver()', ['from', 'until', 'overlap', 'goOn', 'cookie', 'now'])
  const { from, until, overlap = 0, goOn, cookie = {}, now } = options
  if (typeof (from as Partial<OldSessions> | undefined)?.nameIn !== 'function')
    throw invalidType('options.from', 'fromKoaSession() or fromExpressSession()', from)
  const rule = 'a fixed instant in epoch milliseconds, such as Date.parse(...)'
  if (typeof until !== 'number') throw invalidType('options.until', rule, until)
  if (!Number.isFinite(until)) throw invalidValue('options.until', rule, until)
  if (typeof goOn !== 'function') throw invalidType('options.goOn', 'a function', goOn)
  assertNames(cookie, 'the cookie of takeOver()', ['path', 'domain'])
  cookieSettings(cookie, 'options.cookie')
  const checked = { overlap: overlap === 0 ? 0 : duration(overlap, 'options.overlap, unless 0,'), now: clockOf(now) }
  return { from, until, cookie, ...checked, atWork: new Map() }
}
