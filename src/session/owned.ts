// The sessions of an owner, in portions, while they are in use, and their limit. One that gets a new id meanwhile is not missed.
//
// During a walk of several portions, a new id may move a session from a portion that is still to come to one that was read.
// So such a walk is followed by others, of the keys alone, until one of them finds no new key. A single portion shows all
// sessions at one instant, except in Redis, which reads the index and the records separately: there an ended record may
// appear, and the session goes on under the key that it names.
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../errors.ts'
import { eachOf, PORTION, portions } from '../portions.ts'
import { effectiveEnd } from '../record/lifetime.ts'
import { isEnded, readMetadata } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import { endSession } from './destroy.ts'
import { followRecord } from './successors.ts'

// How many predecessors are followed. They form a line, and a circle only if records are damaged.
const MAX_STEPS = 100

// The most walks of the keys, for an owner who signs in faster than they can be walked.
const MAX_WALKS = 8

/**
 * The records of an owner's sessions. A session that gets a new id during the walk may appear under both keys.
 *
 * `before` sets the clock back by that many milliseconds, because the clock of another process may be behind.
 */
export async function* recordsOf(
  core: Core,
  owner: string,
  before = 0,
): AsyncGenerator<readonly SessionRecord[], void, undefined> {
  const { store, settings } = core
  const now = settings.now() - before
  const known = new Set<string>()
  let count = 0
  for await (const { records } of portions((cursor) => store.list(owner, now, PORTION, cursor))) {
    count++
    for (const { key } of records) known.add(key)
    yield await present(core, owner, known, records)
  }
  if (count < 2) return
  for await (const keys of newKeys(core, owner, now, known)) {
    const found: SessionRecord[] = []
    await eachOf(keys, async (key) => {
      const record = await store.read(key, now)
      if (typeof record === 'object') found.push(record)
      return true
    })
    yield await present(core, owner, known, found)
  }
}

/** The keys of an owner's live sessions; both keys of a session that gets a new id meanwhile. */
export async function keysOf(core: Core, owner: string): Promise<Set<string>> {
  const keys = new Set<string>()
  const walk = newKeys(core, owner, core.settings.now(), keys)
  while ((await walk.next()).done !== true);
  return keys
}

/** Yields the keys that are not `known` yet, and adds them to `known`. */
async function* newKeys(
  core: Core,
  owner: string,
  now: number,
  known: Set<string>,
): AsyncGenerator<readonly string[], void, undefined> {
  const { store } = core
  for (let walk = 0; walk < MAX_WALKS; walk++) {
    let count = 0
    let hasFound = false
    for await (const page of portions((cursor) => store.listKeys(owner, now, PORTION, cursor))) {
      count++
      const keys = page.keys.filter((key) => !known.has(key))
      for (const key of keys) known.add(key)
      if (keys.length > 0) yield keys
      hasFound ||= keys.length > 0
    }
    if (count < 2 || !hasFound) return
  }
}

/** Replaces each ended record by the record of the session that goes on, if that is still the owner's. */
async function present(
  core: Core,
  owner: string,
  known: Set<string>,
  records: readonly SessionRecord[],
): Promise<readonly SessionRecord[]> {
  const live = records.filter((record) => !isEnded(record))
  for (const ended of records.filter(isEnded)) {
    const record = await followRecord(core, ended)
    if (record?.owner !== owner || known.has(record.key)) continue
    known.add(record.key)
    live.push(record)
  }
  return live
}

/** How many sessions these keys stand for: keys that `predecessors` links to one another, or to the same key, count once. */
export function sessionsOf(keys: ReadonlySet<string>, predecessors: ReadonlyMap<string, string | undefined>): number {
  const first = new Set<string>()
  for (const key of keys) {
    let one = key
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const predecessor = predecessors.get(one)
      if (predecessor === undefined) break
      one = predecessor
    }
    first.add(one)
  }
  return first.size
}

// ---- the limit: a sign-in over it ends the sessions used longest ago

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
