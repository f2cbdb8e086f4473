// After the handlers: a sign-out, another owner and a new id count for the old session as well.
import { setTimeout as pause } from 'node:timers/promises'
import * as claims from './claims.ts'
import { hasOldCookie, type OldSession } from './old-sessions.ts'
import { idOf, type Passage } from './passage.ts'
import { hasBegunAnew, ownerToBe, replacesCookie } from './session-access.ts'

const POLL = 50
const MAX_TRIES = 5

/**
 * Applies a sign-out, another owner or a new id to the old session. `isDropped`: session() will not store what the handlers left
 * pending.
 */
export async function wayOut(passage: Passage, isDropped: boolean): Promise<void> {
  const { ctx, session, request, tied } = passage
  const { from } = passage.settings
  // What a login or a logout that nobody awaits has yet to do.
  await passage.facade?.called(isDropped)
  if (passage.isUnbound && (willEnd(passage, isDropped) || replacesCookie(request, isDropped)))
    passage.clearOldCookies()
  if (tied === undefined) {
    if (!hasOldCookie(from, ctx) || !hasLeft(passage, passage.owner, isDropped)) return
    // One that `from` cannot read now must not sign anybody in, once it can, after a logout or a sign-in.
    if (from.nameIn(ctx) === undefined) passage.clearOldCookies()
    return
  }
  const { tie, old, id, owner } = tied
  const newId = idOf(session)
  // After a sign-out, or a sign-in as another owner, an old process must not find the previous user signed in. Of a visitor as
  // well: who planted the old cookie, or copied it, must not find the user who signed in since.
  if (newId === undefined || hasLeft(passage, owner, isDropped)) return end(passage, old)
  if (newId === id) return
  // Where the middleware does not know the owners, a fresh start is the login or logout of koa-passport, and any other new id may be
  // a login: the old cookie does not open what comes after.
  if (owner === undefined && (await hasBegunAnew(request, id))) return end(passage, old)
  await claims.tie(passage, newId, tie)
  if (owner === undefined) await claims.tie(passage, id, { ...tie, name: '' })
  else if (old !== undefined) await settle(passage, old, newId)
}

/** Whether the session ends, or another than `owner` has it. Where pending changes are not stored, the stored owner counts. */
function hasLeft(passage: Passage, owner: string | undefined, isDropped: boolean): boolean {
  const { request, session } = passage
  if (willEnd(passage, isDropped) || request.status === 'destroyed' || request.ends > 0) return true
  return (isDropped ? session.owner : ownerToBe(request)) !== owner
}

/**
 * Whether the session ends by what the handlers assigned to `ctx.session`: session() carries that out after this, or at a save() of
 * an object after null. The chains around this one may have assigned as well, and of those inside it what they carried out counts.
 */
function willEnd(passage: Passage, isDropped: boolean): boolean {
  let isInside = passage.facade !== undefined
  for (let facade = passage.request.facade; facade !== undefined; facade = facade.outer) {
    if (facade === passage.facade) isInside = false
    if (facade.pendingEnd === 'done' || (!isInside && !isDropped && facade.pendingEnd !== 'no')) return true
  }
  return false
}

async function end(passage: Passage, old: OldSession | undefined): Promise<void> {
  const { from, now } = passage.settings
  // Only the browser holds it where `old` is missing: there is nothing to end but its cookie.
  if (old !== undefined) {
    // Both are tried, even if one fails: either one alone lets the next request finish the end.
    const ends = [from.endIn(old, 0, now(), passage.ctx), settle(passage, old, undefined)]
    for (const one of await Promise.allSettled(ends)) if (one.status === 'rejected') throw one.reason
  }
  passage.clearOldCookies()
}

/** Records which session the old one goes on in from now on; `undefined` ends it. */
async function settle({ store, settings }: Passage, { name }: OldSession, id: string | undefined): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const now = settings.now()
    const claim = await claims.claim(store, name, settings.until, now)
    // Another request has ended it meanwhile: it stays ended.
    if (claim.kind === 'taken' && claim.id === undefined) return
    if (claim.kind !== 'busy' && (await claims.settle(store, claim, id, now))) return
    await pause(POLL)
  }
}
