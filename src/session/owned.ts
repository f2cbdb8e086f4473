// The sessions of an owner, in portions, while they are used: one that gets a new id meanwhile is not missed.
//
// Of several portions, a session may have got a new id in one that was read, and left one that is still to come. So a walk
// of several is followed by others, of the keys alone, until one of them finds no new key. One portion shows all of them
// at one instant, but for Redis, where an index and its records are two things: there an ended record may come, whose
// session goes on under the key that it names.
import { eachOf, PORTION, portions } from '../portions.ts'
import { isEnded } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import { followRecord } from './successors.ts'

// Records of two ids of a session name one another in a line, never in a circle unless they are damaged.
const MAX_STEPS = 100

// An owner who signs in faster than they can be walked is walked no more often.
const MAX_WALKS = 8

/**
 * The records of an owner's sessions. One that gets a new id while they are walked may come under both keys.
 *
 * With `before`, as they were so many milliseconds ago: the clock of another process may be behind.
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
      if (record !== undefined && record !== 'corrupt') found.push(record)
      return true
    })
    yield await present(core, owner, known, found)
  }
}

/** The keys of an owner's live sessions; of one that gets a new id meanwhile, both. */
export async function keysOf(core: Core, owner: string): Promise<Set<string>> {
  const keys = new Set<string>()
  const walk = newKeys(core, owner, core.settings.now(), keys)
  while ((await walk.next()).done !== true);
  return keys
}

/** The keys that are not `known` yet, which they are then. */
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

/** The session itself in the place of an ended record, where it goes on as that owner's. */
async function present(
  core: Core,
  owner: string,
  known: Set<string>,
  records: readonly SessionRecord[],
): Promise<readonly SessionRecord[]> {
  if (!records.some(isEnded)) return records
  const live = records.filter((record) => !isEnded(record))
  for (const ended of records.filter(isEnded)) {
    const record = await followRecord(core, ended)
    if (record?.owner !== owner || known.has(record.key)) continue
    known.add(record.key)
    live.push(record)
  }
  return live
}

/** How many sessions these keys are: those that follow one another, or the same one, as `predecessors` tells, are one. */
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
