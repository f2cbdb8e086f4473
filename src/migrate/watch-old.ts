// A stream of a session that was taken over: a logout at an old process ends it, although no further request finds out.
import type { Context } from 'koa'
import { endSession } from '../session/destroy.ts'
import { readLive } from '../session/newest.ts'
import type { RequestSession } from '../session/request-session.ts'
import { unrefed } from '../timers.ts'
import type { Tie } from './claims.ts'
import type { OldSession, OldSessions } from './old-sessions.ts'

/** How often an old session is looked at while a response of its new one is under way, in milliseconds. */
const LOOK = 4000

/** The tie of a session to an old one, during an overlap; `old` if the request finds it. */
export interface Tied {
  readonly tie: Tie
  readonly old: OldSession | undefined
  readonly id: string
  readonly owner?: string | undefined
}

/** Ends the session soon after its old one while the response is under way, so that `session.signal` aborts. */
export function watchOld(
  ctx: Context,
  { record, core }: RequestSession,
  { tie, old, owner }: Tied,
  { from, now }: { readonly from: OldSessions; readonly now: () => number },
): void {
  if (record === undefined || old === undefined || !from.isStored) return
  let isLooking = false
  const look = async (): Promise<void> => {
    // A response whose `close` came before this, or never comes, is not watched for ever.
    if (ctx.res.closed || now() + LOOK >= tie.until) {
      clearInterval(timer)
      return
    }
    if (isLooking || !core.watches.isWatching) return
    isLooking = true
    try {
      if ((await from.find(old.name, ctx)) !== undefined || now() >= tie.expiresAt) return
      // A sign-in ends the old session of a visitor as well, and goes on under a new id.
      if (owner === undefined && (await readLive(core, record.key)) === undefined) return
      await endSession(core, record, 'elsewhere', owner)
    } catch {
      // An outage ends nothing: the next look tells.
    } finally {
      isLooking = false
    }
  }
  const timer = unrefed(setInterval(() => void look(), LOOK))
  ctx.res.once('close', () => clearInterval(timer))
}
