// Operations on sessions from outside a request: show, change, end. For `list` and the functions that end sessions, the middleware
// refuses calls after `close`, and lets `close` wait for them.
import { checkFunction } from './checks.ts'
import { sessionContext } from './context.ts'
import { goneError, invalidType, SessionError } from './errors.ts'
import { isPublicId } from './cookie/id.ts'
import type { DestroyReason } from './events.ts'
import { checkedOwner } from './option-values.ts'
import { eachOf, PORTION, portions, turnAfter } from './portions.ts'
import { effectiveEnd } from './record/lifetime.ts'
import { isEnded, readMetadata, successorOf } from './record/record.ts'
import type { Core } from './session/core.ts'
import { CLOCKS_APART, endSession } from './session/destroy.ts'
import { sessionInfoOf, type SessionInfo } from './session/info.ts'
import { assertOutsideUpdate } from './session/inside-update.ts'
import { requestSessionIn } from './session/manager.ts'
import { keysOf, recordsOf, sessionsOf } from './session/owned.ts'
import { FollowedTombstones, followRecord } from './session/successors.ts'
import { updateRecord } from './session/update.ts'
import { refusesData } from './session/validation.ts'
import type { RecordPage, SessionRecord } from './store.ts'

// `destroyEverything` makes another pass when one took longer than a tombstone is sure to exist: a session may have got a new id
// in a part that the pass had left already.
const MAX_PASSES = 5
const TOMBSTONE_SURELY_LIES = 50_000
// `updateAll` tries a session under at most MAX_MOVES ids, as it may get a new id again and again while it is updated. Older ids
// are followed without a try, MAX_STEPS at a time: a list may be long, and its last session many ids further when its turn comes.
const MAX_MOVES = 16
const MAX_STEPS = 100
/** The codes for stored data that does not satisfy the schema, or from which the schema makes what cannot be stored. */
const UNUSABLE: ReadonlySet<string> = new Set(['ERR_SESSION_SCHEMA', 'ERR_SESSION_VALUE', 'ERR_SESSION_TOO_LARGE'])

export async function list(core: Core, owner: string): Promise<SessionInfo[]> {
  checkedOwner(owner, 'the owner of list()')
  const listed = new Map<string, SessionInfo>()
  const predecessors = new Map<string, string | undefined>()
  for await (const records of recordsOf(core, owner)) {
    for (const [at, record] of records.entries()) {
      await turnAfter(at)
      const info = await sessionInfoOf(core, record)
      if (info === undefined) continue
      listed.set(info.publicId, info)
      predecessors.set(info.publicId, readMetadata(record)?.predecessor)
    }
  }
  // A session that is getting a new id may be stored under both ids.
  for (const [key, predecessor] of predecessors) {
    if (predecessor === undefined || !listed.has(key) || !listed.has(predecessor)) continue
    listed.delete((await hasGivenWay(core, predecessor, key)) ? predecessor : key)
  }
  return [...listed.values()]
}

/**
 * Whether the session of `predecessor` goes on under `key`. No browser knows `key` until the record of `predecessor` has ended,
 * and none ever will if that record names another successor: of two requests that gave the session a new id, one was first.
 */
async function hasGivenWay(core: Core, predecessor: string, key: string): Promise<boolean> {
  const record = await core.store.read(predecessor, core.settings.now())
  if (typeof record !== 'object') return true
  const successor = successorOf(record)
  return isEnded(record) && (successor === undefined || successor === key)
}

export async function get(core: Core, publicId: string, owner: string | undefined): Promise<SessionInfo | undefined> {
  core.store.assertOpen()
  const record = await readNamed(core, publicId, 'get()', owner)
  return record && (owner === undefined || record.owner === owner) ? sessionInfoOf(core, record) : undefined
}

export async function update<Result>(
  core: Core,
  publicId: string,
  fn: (data: object) => Result | Promise<Result>,
  owner: string | undefined,
): Promise<Result> {
  core.store.assertOpen()
  checkFunction(fn, 'the second argument of update()')
  if (!isName(core, publicId, 'update()', owner)) throw goneError()
  return updateRecord(core, publicId, (data) => fn(data), owner)
}

export async function updateAll(
  core: Core,
  owner: string,
  fn: (data: object, publicId: string) => unknown,
): Promise<number> {
  core.store.assertOpen()
  checkedOwner(owner, 'the owner of updateAll()')
  checkFunction(fn, 'the second argument of updateAll()')
  const done = new Set<string>()
  const updated = new Set<string>()
  const predecessors = new Map<string, string | undefined>()
  const since = core.settings.now()
  /** Updates a session. Gives the key of the one that took its place meanwhile, which is to be updated instead. */
  const updateOne = async (key: string): Promise<string | undefined> => {
    done.add(key)
    const run = { hasBegun: false, hasThrown: false }
    const change = async (data: object, record?: SessionRecord): Promise<unknown> => {
      run.hasBegun = true
      run.hasThrown = false
      if (record !== undefined) predecessors.set(key, readMetadata(record)?.predecessor)
      try {
        return await fn(data, key)
      } catch (error) {
        run.hasThrown = true
        throw error
      }
    }
    try {
      await updateRecord(core, key, change, owner)
      updated.add(key)
    } catch (error) {
      if (run.hasThrown || !(error instanceof SessionError)) throw error
      // If the function has run, what it made of data is refused, as in update().
      if (UNUSABLE.has(error.code) && refusesData(error) && !run.hasBegun) return
      if (error.code !== 'ERR_SESSION_GONE') throw error
      return currentKeyOf(core, key, done, since)
    }
  }
  // All keys first: a session that gets a new id after its update must not be updated again.
  for (const [at, listed] of [...(await keysOf(core, owner))].entries()) {
    await turnAfter(at)
    let key: string | undefined = listed
    for (let moves = 0; key !== undefined && !done.has(key) && moves < MAX_MOVES; moves++) key = await updateOne(key)
  }
  return sessionsOf(updated, predecessors)
}

/**
 * The current key of a session that got new ids; `undefined` where it has ended, or was already updated under one of them. With the
 * clock of `since`, when the update of all began: a tombstone that has expired since then still leads on.
 */
async function currentKeyOf(
  core: Core,
  key: string,
  done: ReadonlySet<string>,
  since: number,
): Promise<string | undefined> {
  const { store, settings } = core
  let target = key
  for (let step = 0; step < MAX_STEPS; step++) {
    await turnAfter(step)
    // The clock may have been set back meanwhile.
    const record = await store.read(target, Math.min(since, settings.now()))
    if (typeof record !== 'object') return
    if (!isEnded(record)) return target
    const successor = successorOf(record)
    if (successor === undefined || done.has(successor)) return
    target = successor
  }
}

export async function* scan(core: Core): AsyncGenerator<SessionInfo, void, undefined> {
  const { store, settings } = core
  const since = settings.now() - CLOCKS_APART
  // Keys of sessions that got a new id lately: of those that were shown, and of the tombstones that lead to them.
  const moved = new FollowedTombstones()
  // The keys that were shown last: a session that gets a new id after that would come again.
  const shown = new FollowedTombstones()
  let asked = 0
  const ask = (cursor: string | undefined): Promise<RecordPage> => {
    // The middleware may be closed while the caller looks at a portion.
    store.assertOpen()
    asked = settings.now()
    // By the clock of the beginning: tombstones that have expired since then still lead on.
    return store.scan(since, PORTION, cursor)
  }
  for await (const { records } of portions(ask)) {
    for (const [at, listed] of records.entries()) {
      await turnAfter(at)
      // The caller may have worked so long that the session was used, or got a new id, since its portion was read.
      const known = readMetadata(listed)
      const end = known ? effectiveEnd(settings.lifetime, known, listed) : listed.expiresAt
      const isOld = !isEnded(listed) && end > asked && end <= settings.now()
      const record = isOld ? await store.read(listed.key, since) : listed
      if (typeof record !== 'object') continue
      const predecessor = record.lastSeenAt < since ? undefined : readMetadata(record)?.predecessor
      const isShown = predecessor !== undefined && (moved.has(predecessor) || shown.has(predecessor))
      // The session is still stored under its old id and comes under that one, or it got another new id than this.
      if (predecessor !== undefined && !isShown && !(await hasGivenWay(core, predecessor, record.key))) continue
      let found: SessionRecord | undefined = record
      if (isEnded(record)) {
        // A tombstone that was left during the scan leads on: the new record may be where the scan has been already.
        if (record.lastSeenAt < since || successorOf(record) === undefined) continue
        found = await followRecord(core, record, settings.now() - since, moved)
      }
      if (found === undefined || moved.has(found.key)) continue
      if (found !== record || predecessor !== undefined) moved.add(found.key)
      if (isShown) continue
      const info = await sessionInfoOf(core, found)
      if (info !== undefined) {
        shown.add(found.key)
        yield info
      }
    }
  }
}

export async function destroy(core: Core, publicId: string, owner: string | undefined): Promise<boolean> {
  const found = await readNamed(core, publicId, 'destroy()', owner, CLOCKS_APART)
  const record = found && (await followRecord(core, found, CLOCKS_APART))
  if (record === undefined || (owner !== undefined && record.owner !== owner)) return false
  assertOutside(core, 'sessions.destroy()', publicId, record.key, readMetadata(record)?.predecessor ?? publicId)
  return endRecord(core, record, 'elsewhere', owner)
}

/** A running update knows a session by its old public id if that got a new one meanwhile. */
function assertOutside(core: Core, verb: string, ...publicIds: readonly string[]): void {
  for (const publicId of publicIds) assertOutsideUpdate({ core, publicId }, verb)
}

export async function destroyAll(core: Core, owner: string, except: string | undefined): Promise<number> {
  checkedOwner(owner, 'the owner of destroyAll()')
  if (except !== undefined && typeof except !== 'string')
    throw invalidType('except of destroyAll()', 'a public id', except)
  // A session that gets a new id is stored under both ids for a moment. It is one session, to be spared or counted once.
  const predecessors = new Map<string, string | undefined>()
  const ended = new Set<string>()
  for await (const records of recordsOf(core, owner, CLOCKS_APART)) {
    const others = records.filter((record) => {
      const predecessor = readMetadata(record)?.predecessor
      if (record.key === except || (except !== undefined && predecessor === except)) return false
      assertOutside(core, 'sessions.destroyAll()', record.key, predecessor ?? record.key)
      predecessors.set(record.key, predecessor)
      return true
    })
    await eachOf(others, async (record) => {
      const hasEnded = await endRecord(core, record, 'elsewhere', owner)
      if (hasEnded) ended.add(record.key)
      return hasEnded
    })
  }
  return sessionsOf(ended, predecessors)
}

export async function destroyEverything(core: Core): Promise<number> {
  assertOutsideUpdate({ core }, 'sessions.destroyEverything()')
  const { store, settings } = core
  let count = 0
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const start = performance.now()
    const followed = new FollowedTombstones()
    for await (const { records } of portions((cursor) => store.scan(settings.now() - CLOCKS_APART, PORTION, cursor))) {
      count += await eachOf(records, async (record) => {
        const found = await followRecord(core, record, CLOCKS_APART, followed)
        return found !== undefined && (await endRecord(core, found, 'everything'))
      })
    }
    if (performance.now() - start < TOMBSTONE_SURELY_LIES) break
  }
  return count
}

async function endRecord(core: Core, record: SessionRecord, reason: DestroyReason, owner?: string): Promise<boolean> {
  const isLive = record.expiresAt > core.settings.now()
  if (!(await endSession(core, record, reason, owner))) return false
  // A logout that the same request asks for later clears the cookie.
  for (let scope = sessionContext.getStore(); scope !== undefined; scope = scope.outer) {
    // Scopes of another copy of this package may lie between.
    const session = requestSessionIn(scope.session)
    const key = session?.record?.key ?? ''
    // Another request may have given it a new id meanwhile.
    if (session && (key === record.key || key === readMetadata(record)?.predecessor)) session.ends++
  }
  return isLive
}

/** Whether a string from outside may be a public id. If not, it names no session, and the store is not asked. */
function isName(core: Core, publicId: unknown, caller: string, owner: string | undefined): publicId is string {
  if (typeof publicId !== 'string') throw invalidType(`the first argument of ${caller}`, 'a public id', publicId)
  if (owner !== undefined) {
    checkedOwner(owner, `the owner of ${caller}`)
    core.store.assertIndex()
  }
  return isPublicId(publicId)
}

async function readNamed(
  core: Core,
  publicId: string,
  caller: string,
  owner: string | undefined,
  before = 0,
): Promise<SessionRecord | undefined> {
  if (!isName(core, publicId, caller, owner)) return
  const record = await core.store.read(publicId, core.settings.now() - before)
  return record === 'corrupt' ? undefined : record
}
