// The sessions of an owner, in portions, while they are in use. A session that gets a new id meanwhile is not missed.
//
// During a walk of several portions, a new id may move a session from a portion that is still to come to one that was read.
// So such a walk is followed by others, of the keys alone, until one of them finds no new key. A single portion shows all
// sessions at one instant, except in Redis, which reads the index and the records separately: there an ended record may
// appear, and the session goes on under the key that it names.
import { eachOf, PORTION, portions } from '../portions.ts'
import { isEnded } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
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
