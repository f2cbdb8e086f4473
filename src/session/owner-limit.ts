// The limit of an owner's sessions: a sign-in over the limit ends those used longest ago.
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../errors.ts'
import { eachOf } from '../portions.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import { readMetadata } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import { endSession } from './destroy.ts'
import { keysOf, recordsOf } from './owned.ts'

// Sign-ins that run at the same time see one another's sessions: what one round leaves, the next one finds. A round may also end
// nothing but a new id that failed half-way, in the place of its session.
const ROUNDS = 9
const SETTLING = 25
// A new limit may end many sessions: a sign-in waits for this many, and the others end in the background.
const MAX_AWAITED = 200

/**
 * Ends the sessions of an owner that are over the limit, but never `own`, which has just been signed in to.
 *
 * The sign-in stands in any case: a failure of the store is an event.
 */
export async function enforceLimit(core: Core, owner: string, limit: number, own: string): Promise<void> {
  try {
    for (let round = 0; round < ROUNDS; round++) {
      if ((await keysOf(core, owner)).size <= limit) return
      // Still over the limit after one round: parallel sign-ins may be ending the rest.
      if (round > 0) await sleep(SETTLING)
      const ranked = await rankByUse(core, owner)
      const surplus = ranked.length - limit
      if (surplus <= 0) return
      // `own` may rank among the oldest (same millisecond, clocks that differ). Round one leaves it out and ends one fewer,
      // since another process that ranks it so ends it; round two ends the next oldest in its place.
      const excess =
        round === 0
          ? ranked.slice(0, surplus).filter(({ key }) => key !== own)
          : ranked.filter(({ key }) => key !== own).slice(0, surplus)
      const end = async (record: SessionRecord): Promise<boolean> => endSession(core, record, 'limit', owner)
      await eachOf(excess.slice(0, MAX_AWAITED), end)
      if (excess.length > MAX_AWAITED) {
        // After close() the store may be closed as well: the next sign-in ends what is left.
        const endLater = async (record: SessionRecord): Promise<boolean> => !core.store.isClosed && end(record)
        void core.store.during(() => eachOf(excess.slice(MAX_AWAITED), endLater)).catch(() => undefined)
        return
      }
    }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
  }
}

/** The live sessions of an owner, those used longest ago first. */
async function rankByUse(core: Core, owner: string): Promise<SessionRecord[]> {
  const { settings } = core
  const now = settings.now()
  // A session that is getting a new id is listed under both, and under each new id of which at most one was acknowledged; it counts
  // once. So a record with a predecessor takes that one's place.
  const live = new Map<string, SessionRecord>()
  for await (const records of recordsOf(core, owner)) {
    for (const record of records) {
      const metadata = readMetadata(record)
      if (metadata !== undefined && effectiveEnd(settings.lifetime, metadata, record) <= now) continue
      const predecessor = metadata?.predecessor
      // Only the instants count from here on: a payload may be large.
      if (predecessor !== undefined || !live.has(record.key))
        live.set(predecessor ?? record.key, { ...record, payload: 'left out' })
    }
  }
  return [...live.values()]
    .filter((one) => (live.get(one.key) ?? one) === one)
    .sort((one, other) => one.lastSeenAt - other.lastSeenAt || (one.key < other.key ? -1 : 1))
}
