// One request under takeOver(), as its way in and its way out know it.
import type { Context } from 'koa'
import { requestSessionOf, type SessionManager } from '../session/manager.ts'
import type { RequestSession } from '../session/request-session.ts'
import type { Tie } from './claims.ts'
import type { OldData, OldSession, OldSessions } from './old-sessions.ts'

/** The options of `takeOver`, checked, with their defaults. */
export interface Settings {
  readonly from: OldSessions
  readonly until: number
  readonly overlap: number
  readonly cookie: { readonly path?: string | undefined; readonly domain?: string | undefined }
  readonly now: () => number
  /** The take-overs under way in this process, by the name of the old session. */
  readonly atWork: Map<string, Promise<void>>
}

/** The tie of a session to an old one, during an overlap; `old` if the request finds it. */
export interface Tied {
  readonly tie: Tie
  readonly old: OldSession | undefined
  readonly id: string
  readonly owner: string | undefined
}

/** One request with an old cookie, or with a session that came from one. */
export class Passage {
  readonly settings: Settings
  readonly ctx: Context
  readonly session: SessionManager<object>
  /** Fills the session from what the old one held. */
  readonly goOn: (data: OldData) => unknown
  /** What is behind the session. */
  readonly request: RequestSession
  readonly store: RequestSession['core']['store']
  readonly facade: RequestSession['facade']
  /** Who owned the session when the request came here: nobody yet, if it is taken over now. */
  readonly owner: string | undefined
  tied: Tied | undefined
  /** Whether this request came with an old cookie and without proof of its device. */
  isUnbound = false
  /** Whether the old cookie has become that of another user, or of a visitor. */
  isAnothers = false

  constructor(settings: Settings, ctx: Context, session: SessionManager<object>, goOn: (data: OldData) => unknown) {
    this.settings = settings
    this.ctx = ctx
    this.session = session
    this.goOn = goOn
    this.request = requestSessionOf(session)
    this.store = this.request.core.store
    this.facade = this.request.facade
    this.owner = this.request.record?.owner
  }

  clearOldCookies(): void {
    if (this.ctx.headerSent) return
    const { from, cookie } = this.settings
    const { path, domain } = cookie
    const attributes = { ...(path !== undefined && { path }), ...(domain !== undefined && { domain }) }
    for (const name of from.cookies) this.ctx.cookies.set(name, null, { ...attributes, signed: false, overwrite: true })
  }
}

/** The id of a session; `undefined` once it was destroyed. */
export function idOf(session: { readonly id: string }): string | undefined {
  try {
    return session.id
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SESSION_DESTROYED') return undefined
    throw error
  }
}
