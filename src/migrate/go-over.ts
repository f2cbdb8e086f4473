// An old session goes on: one request makes a session of it, all others with its cookie join that.
import { setTimeout as pause } from 'node:timers/promises'
import { atMost } from '../deadlines.ts'
import { headersSentError, SessionError, storeFailure } from '../errors.ts'
import { MAX_COOKIE_AGE } from '../record/lifetime.ts'
import { assertSameSite } from '../session/cross-site.ts'
import * as claims from './claims.ts'
import { names, type OldSession } from './old-sessions.ts'
import { idOf, type Passage } from './passage.ts'
import { adopt } from './session-access.ts'
import { checkTie, part } from './tie.ts'

// A browser may send several requests with the old cookie before it has the new one: each must find the session. After this time,
// in milliseconds, the old cookie opens nothing, so that copies of it are useless, unless it holds the session and no end of it.
const GRACE = 10_000

/** How long a request waits for another one that takes the same session over, in milliseconds. */
const MAX_WAIT = 10_000
const POLL = 50

/** Takes the old session of that name over, or joins the session that it goes on in. Returns whether it goes on, as `join`. */
export async function goOver(passage: Passage, name: string): Promise<boolean | 'late'> {
  const { ctx, request, store } = passage
  const { from, until, atWork } = passage.settings
  const deadline = Date.now() + MAX_WAIT
  while (Date.now() < deadline) {
    const work = atWork.get(name)
    if (work !== undefined) await atMost(deadline - Date.now(), work)
    const old = await from.find(name, ctx)
    const now = passage.settings.now()
    if (old === undefined || old.expiresAt <= now) return false
    // An old cookie opens a live session too, and the browser may send it from sites from which it would not send ours.
    assertSameSite(request.core, request.info)
    const claim = await claims.claim(store, name, until, now)
    if (claim.kind === 'ours') {
      const taking = take(passage, old, claim)
      const settled = taking.catch(() => undefined)
      atWork.set(name, settled)
      try {
        await taking
      } finally {
        if (atWork.get(name) === settled) atWork.delete(name)
      }
      return true
    }
    if (claim.kind === 'taken') {
      const answer = await join(passage, old, claim)
      if (answer !== 'another') return answer
      await take(passage, old, undefined)
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
async function join(passage: Passage, old: OldSession, taken: claims.Taken): Promise<boolean | 'late' | 'another'> {
  const { id, takenAt } = taken
  const { from, overlap, now } = passage.settings
  const isInTime = now() < takenAt + Math.max(overlap, GRACE)
  // Where the cookie is the data, browsers with equal data have equal cookies, at the latest if no instant is in them.
  if (!isInTime && !from.isStored && old.expiresAt === Infinity && id !== undefined) return 'another'
  const answer = isInTime && id !== undefined ? await adopt(passage.request, id, from.isStored) : 'gone'
  if (answer === 'adopted') {
    if (overlap > 0) await checkTie(passage)
    return true
  }
  if (answer === 'late' || answer === 'another') return answer
  // A bound session goes on in its own browser. A copy of the old cookie opens nothing, and must not sign that browser out.
  if (answer === 'gone') await part(passage, old, id)
  return false
}

/** Makes a session of the old one. `claim`: that of the old session, unless others may have equal cookies. */
async function take(passage: Passage, old: OldSession, claim: claims.Held | undefined): Promise<void> {
  const { ctx, session, request, store } = passage
  const { from, overlap } = passage.settings
  const now = passage.settings.now()
  let id: string | undefined
  try {
    const lifetime = request.core.settings.lifetime.rolling ? old.maxAge : old.expiresAt - now
    if (old.maxAge !== undefined && lifetime !== undefined)
      session.maxAge = Math.round(
        Math.min(Math.max(Number.isFinite(lifetime) ? lifetime : old.maxAge, 1000), MAX_COOKIE_AGE),
      )
    await passage.goOn(old.data)
    if (idOf(session) !== undefined) await session.save()
    id = idOf(session)
    // Nobody would learn the new id: the old cookie must open the session later.
    if (id !== undefined && request.cookie.isDeserted) throw headersSentError('an old session was taken over')
    if (id !== undefined && overlap > 0) {
      const { expiresAt } = old
      const { owner } = session
      const isNamed = !from.isStored && owner !== undefined && names(old.data, owner)
      const tie = { name: from.isStored ? old.name : '', expiresAt, until: now + overlap, isNamed }
      await claims.tie(passage, id, tie)
      passage.tied = { tie, old, id, owner }
    }
    if (claim !== undefined && !(await claims.settle(store, claim, id, now)))
      throw new SessionError('ERR_SESSION_CONFLICT', 'another request took the same old session over meanwhile')
    if (id !== undefined) request.origin = 'resumed'
  } catch (error) {
    passage.tied = undefined
    // A half-made session must not stay. The claim is released first: a request that found it naming an ended session would
    // take that for a logout. If this fails too, the caller still gets the first error.
    if (claim !== undefined) await claims.release(store, claim, id, now).catch(() => undefined)
    await session.destroy().catch(() => undefined)
    throw error
  }
  if (id === undefined) await from.endIn(old, 0, passage.settings.now(), ctx)
  else if (overlap === 0) await from.endIn(old, Math.min(old.expiresAt - now, GRACE), passage.settings.now(), ctx)
}
