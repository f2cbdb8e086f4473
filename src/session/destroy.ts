// Ends a session, or what took its place.
import { goneError } from '../errors.ts'
import type { DestroyReason } from '../events.ts'
import { endedRecord, isEnded, readMetadata } from '../record/record.ts'
import type { MaybePromise, Replaced, SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import type { RequestSession } from './request-session.ts'
import { assertSameSite } from './cross-site.ts'
import { changeNewest } from './retry.ts'
import { followRecord } from './successors.ts'

/** Ends the session; see the manager. */
export async function destroy(session: RequestSession): Promise<void> {
  if (session.status === 'destroyed') return
  const { record, forgotten, core, origin, cookie, ending } = session
  // By the clock of its arrival: the tombstone of a new id leads to the session for as long as the store has it.
  const before = Math.max(core.settings.now() - session.now, 0) + CLOCKS_APART
  // If this fails, it may have been carried out all the same, as another try finds.
  session.ends++
  let hasEnded = false
  // A socket or a stream outlives the tombstones that lead to its session's new id. What watches the session has followed them.
  const key = ending?.key
  const known = record && key !== undefined && key !== record.key ? { ...record, key, version: 0 } : record
  for (const one of [known, forgotten])
    if (one && (await endSession(core, one, 'sign-out', undefined, before))) hasEnded = true
  hasEnded ||= session.ends > 1
  if (origin === 'expired') await endPresented(session)
  session.status = 'destroyed'
  session.ending?.end(goneError())
  session.onDestroyed?.()
  // The cookie is cleared only if this request came with the session and ended it: otherwise the browser may hold a fresh
  // one. If the browser of a bound session could not prove itself, its cookies are cleared and the session lives on.
  if (origin === 'unbound' || (hasEnded && origin === 'resumed')) cookie.clear()
  else cookie.withdraw()
}

/**
 * Ends the session that the cookie named, if it has expired for this process alone, by its clock or its options, and lives for
 * others.
 *
 * @throws {SessionError} `ERR_SESSION_CROSS_SITE`, as for any live session.
 */
export async function endPresented({ core, info, presented, now }: RequestSession): Promise<void> {
  if (presented === undefined) return
  const found = await core.store.read(presented, now - CLOCKS_APART)
  // What took the place of a replaced id is not of this request.
  if (typeof found !== 'object' || isEnded(found)) return
  assertSameSite(core, info)
  const binding = readMetadata(found)?.binding
  if (binding === undefined || core.binding?.isProven(info, binding, now) !== false)
    await endSession(core, found, 'sign-out')
}

/**
 * How far the clocks of two processes may be apart, in milliseconds. A session that has expired by this process's clock may be
 * used and renewed by another process, so a logout ends it as well.
 */
export const CLOCKS_APART = 10_000

/**
 * Ends the session of a record, or what took its place. In one step, an empty record replaces it and stays for a minute, so
 * that a slow request learns that the session has ended. With an `owner`, ends no session of another owner, who may have
 * signed in over it. A tombstone that has expired less than `before` milliseconds ago is followed, too.
 *
 * @returns whether a live session was ended.
 */
export async function endSession(
  core: Core,
  record: SessionRecord,
  reason: DestroyReason,
  owner?: string,
  before: number = CLOCKS_APART,
): Promise<boolean> {
  const { settings, store, events } = core
  const end = (target: SessionRecord): MaybePromise<Replaced> => {
    const now = settings.now()
    // A session that expired before that has ended already, and its browser may hold the cookie of a fresh one.
    return store.replace(endedRecord(target, now), target.version, now - CLOCKS_APART)
  }
  const follow = async (from: SessionRecord): Promise<SessionRecord | undefined> => {
    const found = await followRecord(core, from, before)
    return owner === undefined || found?.owner === owner ? found : undefined
  }
  const readAgain = async ({ key }: SessionRecord): Promise<SessionRecord | undefined> => {
    const newest = await store.read(key, settings.now() - before)
    return typeof newest === 'object' ? follow(newest) : undefined
  }
  let ended = await changeNewest(await follow(record), end, readAgain)
  // A tombstone that expired before that leads on all the same.
  ended ??= await changeNewest(await readAgain(record), end, readAgain)
  if (ended === undefined) return false
  events.tell('destroy', ended, { reason })
  core.watches.ended(ended.key)
  return true
}
