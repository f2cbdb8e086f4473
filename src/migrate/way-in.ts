// Before the handlers see the session: a request with an old cookie takes the old session over, or joins the session that another
// request made of it; a session that came from an old one ends if that has ended.
import { invalidMix } from '../errors.ts'
import { isWebSocket } from '../session/cross-site.ts'
import * as claims from './claims.ts'
import { goOver } from './go-over.ts'
import { hasOldCookie } from './old-sessions.ts'
import type { Passage } from './passage.ts'
import { checkTie, part } from './tie.ts'

/**
 * Leads a request to its session. `isForwarded`: a chain around this one has met the session already.
 *
 * @throws {TypeError} if both cookies have the same name.
 */
export async function wayIn(passage: Passage, isForwarded: boolean): Promise<void> {
  const { ctx, session, request } = passage
  const { from, until, overlap, now } = passage.settings
  // Otherwise our cookie would be cleared along with the old one.
  if (from.cookies.includes(request.info.cookie.name))
    throw invalidMix("options.cookie of session() has the name of the old cookie: give ours another one, such as 'sid'")
  const hasCookie = hasOldCookie(from, ctx)
  // The chain around this one carries out an end.
  if (isForwarded && request.status !== 'live') return
  if (session.origin === 'resumed') {
    const isTied = overlap > 0 && (await checkTie(passage))
    if (!isTied && hasCookie && (await isOver(passage))) passage.clearOldCookies()
  } else if (isForwarded) {
    // The chain around this one has taken it over, or found nothing to take over.
    if (overlap > 0) await checkTie(passage)
    return
  }
  // A session that ended with its old one is none from here on: the cookie may name another old session, of a new sign-in there.
  const { origin } = session
  if (origin === 'resumed' || !hasCookie) return
  // The session goes on as soon as its browser proves itself: it needs the old cookie as long as it has ours.
  if (origin === 'unbound') {
    passage.isUnbound = true
    return
  }
  if (overlap === 0 && isBeside(passage)) return
  const name = from.nameIn(ctx)
  // Without an overlap, only a browser without our cookie goes on: one whose session has ended, by a logout for example, stays
  // signed out. With it, the user may have signed in through an old process since: the claim tells the two cases apart. A cookie
  // of our name that is not ours tells nothing.
  const mayGoOn = origin !== 'expired' || (overlap > 0 && (from.isStored || passage.isAnothers))
  const isOpen = now() < until
  const goesOn = isOpen && mayGoOn && name !== undefined && (await goOver(passage, name))
  // Without any cookie, the next request would begin a session that replaces the one under the new id.
  if (goesOn === 'late') return
  // One that `from` cannot read may be the old session of a user whose secret or store was forgotten: it stays until the last day.
  if (!(isOpen && (name === undefined || (overlap > 0 && goesOn)))) passage.clearOldCookies()
}

/** Whether the response gives the browser no cookie of ours: that to a WebSocket's upgrade, or to what a page of another site embeds. */
function isBeside({ ctx, request: { info } }: Passage): boolean {
  const isEmbedded = ctx.get('Sec-Fetch-Site') === 'cross-site' && !['', 'document'].includes(ctx.get('Sec-Fetch-Dest'))
  return (
    isWebSocket(info.request.headers.upgrade ?? '') || (isEmbedded && !info.cookie.attributes.includes('SameSite=None'))
  )
}

/** Whether the old cookie beside a live session of ours is no longer needed. If so, ends the old session where that is still due. */
async function isOver(passage: Passage): Promise<boolean> {
  const { from, until, overlap } = passage.settings
  const now = passage.settings.now()
  if (now >= until) return true
  const name = from.nameIn(passage.ctx)
  if (overlap === 0) return name !== undefined
  const claim = name === undefined ? undefined : await claims.claimOf(passage.store, name, now)
  // It is needed if it was not taken over, because old processes serve it, and during its overlap. A session that was signed out
  // of (without an `id`) is over at once, even if its store failed to end it.
  if (name === undefined || claim === undefined) return false
  if (claim.id !== undefined && now < claim.takenAt + overlap) return false
  const old = await from.find(name, passage.ctx)
  if (old !== undefined) await part(passage, old, claim.id)
  return true
}
