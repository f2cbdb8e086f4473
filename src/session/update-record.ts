// An update from outside a request: as `session.update`, but of a session that is named by its key.
import { goneError, headersSentError, inUpdateError } from '../errors.ts'
import { NO_CHANGES } from '../record/changes.ts'
import { applyChanges } from '../record/merge.ts'
import { recordOf, type Draft } from '../record/record.ts'
import type { Replaced, SessionRecord } from '../store.ts'
import type { Core } from './core.ts'
import { updateAround } from './inside-update.ts'
import { readLive, withInstants, type Known } from './newest.ts'
import { ownerInData, signedOut } from './owner.ts'
import { changeNewest } from './retry.ts'
import { runUpdate, type Run } from './update.ts'
import { validate } from './validation.ts'

/** Changes the data. It also gets the record, unless it joins an update that is already running. */
export type Updater<Result> = (data: object, record?: SessionRecord) => Result | Promise<Result>

/**
 * Changes the data of a stored session atomically, and moves no timeout.
 *
 * @throws {SessionError} `ERR_SESSION_GONE` if there is no such session, or it is another owner's; `ERR_SESSION_HEADERS_SENT`
 * if an owner appears or changes, because the browser would need a new cookie.
 */
export async function updateRecord<Result>(
  core: Core,
  key: string,
  fn: Updater<Result>,
  owner: string | undefined,
): Promise<Result> {
  const around = updateAround({ core, publicId: key })
  if (around !== undefined) {
    if (around.data === undefined) throw inUpdateError('sessions.update()')
    if (owner !== undefined && around.owner !== owner) throw goneError()
    return fn(around.data.proxy)
  }
  return core.store.during(() => core.updates.take(key, () => changeRecord(core, key, fn, owner)))
}

async function changeRecord<Result>(
  core: Core,
  key: string,
  fn: Updater<Result>,
  owner: string | undefined,
): Promise<Result> {
  const { events, payload, settings, store, writes } = core
  let run: Run<Result> | undefined
  let readAt = 0
  const change = async ({ record, stored, dataError }: Known): Promise<Replaced> => {
    if (owner !== undefined && record.owner !== owner) return 'gone'
    if (dataError !== undefined) throw dataError
    run = await runUpdate(core, key, stored.data, NO_CHANGES.changes, (data) => fn(data, record), record.owner)
    if ('error' in run || run.changes.length === 0) return 'done'
    const changed = { ...stored, data: applyChanges(stored.data, run.changes) }
    const draft = withOwner(core, { ...changed, createdAt: record.createdAt, owner: record.owner })
    await validate(core, key, draft.data)
    const now = settings.now()
    const newest = await withInstants(core, record, readAt, now)
    if (newest === undefined) return 'stale'
    const instants = core.touches.newest(newest)
    // Another process may have extended the session meanwhile. Writing back the expiry that was read would end it.
    if (instants.expiresAt <= now) return 'stale'
    const next = recordOf(payload, draft, key, record.version + 1, instants)
    const answer = await writes.hold(key, store.replace(next, record.version, now))
    if (answer === 'done') {
      payload.known.remember(next, draft)
      events.tell('commit', next)
    }
    return answer
  }
  const read = (): Promise<Known | undefined> => {
    readAt = settings.now()
    return readLive(core, key)
  }
  const changed = await changeNewest(await read(), change, read)
  if (changed === undefined || run === undefined) throw goneError()
  if ('error' in run) throw run.error
  return run.result
}

/** @throws {SessionError} `ERR_SESSION_HEADERS_SENT` if an owner appears or changes. */
function withOwner(core: Core, draft: Draft): Draft {
  const owner = ownerInData(core, draft)
  if (owner === draft.owner) return draft
  if (owner === undefined) return signedOut(draft)
  throw headersSentError('the owner of a session was changed from outside its request')
}
