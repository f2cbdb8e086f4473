// A session ends, or what took its place.
import { goneError } from '../errors.ts'
import type { DestroyReason } from '../events.ts'
import { endedRecord } from '../record/tombstone.ts'
import type { MaybePromise, Replaced, SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import type { RequestSession } from './request-session.ts'
import { changeNewest } from './retry.ts'
import { followRecord } from './successors.ts'

/** Ends the session; see the manager. */
export async function destroy(session: RequestSession): Promise<void> {
  if (session.status === 'destroyed') return
  const { record, core, origin, cookie } = session
  const hasEnded = record !== undefined && (await endSession(core, record, 'sign-out'))
  session.status = 'destroyed'
  session.ending?.end(goneError())
  // Only what this request came with and ended itself is cleared: where another request ended it, the browser may hold
  // a fresh cookie by now. Of a bound session whose browser could not prove itself the cookies are cleared, and it lives on.
  if (origin === 'unbound' ? record === undefined : hasEnded && origin === 'resumed') cookie.clear()
  else cookie.withdraw()
}

/**
 * How far the clocks of two processes may be apart, in milliseconds: what has expired by this one's may be used and renewed by
 * another one's, and a logout ends it all the same.
 */
export const CLOCKS_APART = 10_000

/**
 * Ends the session of a record, or what took its place: a logout is a logout. One step: an empty record takes the place,
 * and lies there for a minute, so that a slow request learns that the session has ended. With an `owner`, nothing that is not
 * theirs: another one may have begun a session over it.
 *
 * @returns whether a live session was ended.
 */
export async function endSession(
  core: Core,
  record: SessionRecord,
  reason: DestroyReason,
  owner?: string,
): Promise<boolean> {
  const { settings, store, events } = core
  const end = (target: SessionRecord): MaybePromise<Replaced> => {
    const now = settings.now()
    return store.replace(endedRecord(target, now), target.version, now - CLOCKS_APART)
  }
  const follow = async (from: SessionRecord): Promise<SessionRecord | undefined> => {
    const found = await followRecord(core, from, CLOCKS_APART)
    return owner === undefined || found?.owner === owner ? found : undefined
  }
  const readAgain = async ({ key }: SessionRecord): Promise<SessionRecord | undefined> => {
    const newest = await store.read(key, settings.now() - CLOCKS_APART)
    return newest === undefined || newest === 'corrupt' ? undefined : follow(newest)
  }
  const ended = await changeNewest(await follow(record), end, readAgain)
  if (ended === undefined) return false
  const { key: publicId } = ended
  events.emit('destroy', { publicId, owner: ended.owner, reason })
  core.watches.ended(publicId)
  return true
}
