// takeOver(): the first request with an old cookie makes a session of what the old one held, and every other request with
// that cookie joins it. During an overlap both sessions belong together: who logs out of one has logged out of both.
import type { Middleware } from 'koa'
import { duration, type Duration } from '../duration.ts'
import { invalidType, invalidValue } from '../errors.ts'
import { clockOf } from '../option-functions.ts'
import { tryCurrentSession, type SessionData, type SessionManager } from '../session/manager.ts'
import { checkOptions, type OldData, type OldSessions } from './old-sessions.ts'
import { Passage, type Settings } from './passage.ts'

/** Options of {@link takeOver}. */
export interface TakeOverOptions<Data extends object = SessionData> {
  /** Where the old sessions are: `fromKoaSession()` or `fromExpressSession()`. */
  readonly from: OldSessions
  /**
   * From this instant on no old session is taken over, in epoch milliseconds: a fixed one, which no restart moves. The last
   * old session has ended by then.
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
 * `ERR_SESSION_CROSS_SITE` for an unsafe request of another site that comes with a live old session. A `TypeError` where
 * both cookies have one name.
 */
export function takeOver<Data extends object = SessionData>(options: TakeOverOptions<Data>): Middleware {
  const settings = settingsOf(options)
  const atWork = new Map<string, Promise<void>>()
  return async (ctx, next) => {
    const session = tryCurrentSession<Data>()
    if (session === undefined) {
      await next()
      return
    }
    const passage = new Passage(settings, atWork, ctx, session)
    await passage.enter()
    let haveThrown = true
    try {
      await next()
      haveThrown = false
    } finally {
      await passage.leave(haveThrown)
    }
  }
}

function settingsOf<Data extends object>(options: TakeOverOptions<Data>): Settings<Data> {
  checkOptions('takeOver()', options, ['from', 'until', 'overlap', 'goOn', 'cookie', 'now'])
  const { from, until, overlap = 0, goOn, cookie = {}, now } = options
  if (typeof (from as Partial<OldSessions> | undefined)?.nameIn !== 'function')
    throw invalidType('options.from', 'fromKoaSession() or fromExpressSession()', from)
  const rule = 'a fixed instant in epoch milliseconds, such as Date.parse(...)'
  if (typeof until !== 'number') throw invalidType('options.until', rule, until)
  if (!Number.isFinite(until)) throw invalidValue('options.until', rule, until)
  if (typeof goOn !== 'function') throw invalidType('options.goOn', 'a function', goOn)
  checkOptions('the cookie of takeOver()', cookie, ['path', 'domain'])
  return {
    from,
    until,
    overlap: overlap === 0 ? 0 : duration(overlap, 'options.overlap'),
    goOn,
    cookie,
    now: clockOf(now),
  }
}
