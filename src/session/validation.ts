// A schema over data: run as code of the app's that may do anything, but neither use the session nor take for ever.
import type { ContextScope } from '../context.ts'
import { inTime } from '../deadlines.ts'
import { SessionError } from '../errors.ts'
import type { Snapshot } from '../record/changes.ts'
import type { Draft } from '../record/record.ts'
import { validated } from '../record/schema.ts'
import type { Core } from './core.ts'
import { RunningUpdate } from './inside-update.ts'
import type { RequestSession } from './request-session.ts'

/**
 * What the schema makes of data. With a `scope` the schema finds the session that it checks by `currentSession()`, wherever
 * the check runs: the last commit runs outside the request's own.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA` when data does not satisfy it, or it gives no answer within `storeTimeout`.
 */
export async function validate(core: Core, publicId: string, data: Snapshot, scope?: ContextScope): Promise<Snapshot> {
  const { schema, storeTimeout } = core.settings
  if (schema === undefined) return data
  const check = new RunningUpdate(core, publicId, undefined)
  const late = (): never => {
    throw new SessionError('ERR_SESSION_SCHEMA', `options.schema gave no answer within ${storeTimeout} ms`)
  }
  return inTime(
    storeTimeout,
    check.run(() => validated(schema, data, core.payload.codec), scope),
    late,
  )
}

/**
 * Checks a draft against the schema; `undefined` where there is nothing to check. Its output is dropped.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA`.
 */
export function checkDraft(session: RequestSession, draft: Draft): Promise<unknown> | undefined {
  const { core, record } = session
  if (core.settings.schema === undefined) return undefined
  // What was loaded has been looked at: nobody is locked out by what they did not change.
  if (record !== undefined && draft.data === session.stored.data && !session.isUnchecked) return undefined
  // The handlers have yet to fill empty data: it is checked when they have returned.
  session.isUnchecked = session.phase === 'open' && Object.keys(draft.data).length === 0
  if (session.isUnchecked) return undefined
  return validate(core, session.publicId, draft.data, session.scope)
}

/**
 * Checks the empty data of a session that the handlers have stored, and not filled since.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA`.
 */
export function checkUnfilled({
  core,
  status,
  isUnchecked,
  publicId,
  stored,
  scope,
}: RequestSession): Promise<unknown> | undefined {
  if (!isUnchecked || status !== 'live' || Object.keys(stored.data).length > 0) return undefined
  return validate(core, publicId, stored.data, scope)
}
