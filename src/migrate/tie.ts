// A session that came from an old one, during an overlap: a logout from one is a logout from both.
import * as claims from './claims.ts'
import { names, type OldSession } from './old-sessions.ts'
import type { Passage } from './passage.ts'
import { leave } from './session-access.ts'

/** Whether this session is tied to an old one. If the old one has ended, ends this session. */
export async function checkTie(passage: Passage): Promise<boolean> {
  const { ctx, request } = passage
  const { from, until } = passage.settings
  const { id, owner } = passage.session
  const now = passage.settings.now()
  const tie = await claims.tieOf(passage, id, now)
  // After the last day the old store may be empty, or gone.
  if (tie === undefined || now >= Math.max(tie.until, until)) return false
  const name = from.isStored ? tie.name : from.nameIn(ctx)
  const old = name === undefined ? undefined : await from.find(name, ctx)
  // Where the cookie is the session, a logout there may leave one behind, and the next user has one as well.
  passage.isAnothers = old !== undefined && tie.isNamed && owner !== undefined && !names(old.data, owner)
  const lives = old !== undefined && old.expiresAt > now && !passage.isAnothers
  const isOver = now >= tie.until
  if (!lives) {
    if (now >= tie.expiresAt) return true
    // The browser did not send the old cookie. The end of this session, and its new id, count for the old one all the same.
    if (!wouldSend(passage)) passage.tied = { tie, old: undefined, id, owner }
    // Another request may have been the first after the overlap, by its clock, and have ended the old session itself.
    else if ((await claims.tieOf(passage, id, now)) === undefined) return false
    else await leave(request)
    return true
  }
  if (isOver) {
    await part(passage, old, id)
    return false
  }
  passage.tied = { tie, old, id, owner }
  // An old process prolonged it. The later end is kept: if the session is missing before then, it was logged out of.
  if (old.expiresAt > tie.expiresAt + 60_000) await claims.tie(passage, id, { ...tie, expiresAt: old.expiresAt })
  return true
}

/** Whether the browser would send the old cookie with this request if it had it; always `true` where a store holds the session. */
function wouldSend({ ctx, settings: { from, cookie } }: Passage): boolean {
  if (from.isStored) return true
  // The cookie may be of SameSite=Strict: what a page of another site opens comes without it.
  if (ctx.get('Sec-Fetch-Site') === 'cross-site') return false
  const { path = '/' } = cookie
  // The path as the browser sees it: `ctx.path` is another one inside a mounted app.
  const [asked = ''] = ctx.originalUrl.split('?', 1)
  return asked === path || asked.startsWith(path.endsWith('/') ? path : `${path}/`)
}

/** Ends an old session. One that lives on under this id does so without it; under an id that no claim names, it needs it. */
export async function part(passage: Passage, old: OldSession, id?: string): Promise<void> {
  const { from, now } = passage.settings
  const tie = id === undefined ? undefined : await claims.tieOf(passage, id, now())
  if (from.isStored && tie?.name === '') return
  if (id !== undefined && tie !== undefined) await claims.untie(passage.store, id)
  await from.endIn(old, 0, now(), passage.ctx)
}
