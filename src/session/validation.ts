// Runs a schema on data. It is app code that may do anything, except use the session or run for ever.
import type { ContextScope } from '../context.ts'
import { inTime } from '../deadlines.ts'
import { SessionError } from '../errors.ts'
import type { Snapshot } from '../record/changes.ts'
import type { Draft } from '../record/record.ts'
import { validated } from '../record/schema.ts'
import type { Core } from './core.ts'
import { RunningUpdate } from './inside-update.ts'
import type { RequestSession } from './request-session.ts'

const lateAnswers = new WeakSet<SessionError>()

/** Whether an error is a verdict on data. A schema that is late has given none: the data must be neither hidden nor dropped. */
export function refusesData(error: SessionError | undefined): boolean {
  return error !== undefined && !lateAnswers.has(error)
}

/**
 * The schema's output for data. With a `scope`, `currentSession()` in the schema finds the session that it checks, also in
 * the last commit, which runs outside the request's own scope.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA` when data does not satisfy the schema, or it does not answer within `storeTimeout`.
 */
export async function validate(core: Core, publicId: string, data: Snapshot, scope?: ContextScope): Promise<Snapshot> {
  const { schema, storeTimeout } = core.settings
  if (schema === undefined) return data
  const check = new RunningUpdate(core, publicId, undefined)
  const late = (): never => {
    const error = new SessionError('ERR_SESSION_SCHEMA', `options.schema gave no answer within ${storeTimeout} ms`)
    lateAnswers.add(error)
    throw error
  }
  return inTime(
    storeTimeout,
    check.run(() => validated(schema, data, core.payload.codec), scope),
    late,
  )
}

/**
 * Checks a draft against the schema; `undefined` if there is nothing to check. The schema's output is dropped.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA`.
 */
export function checkDraft(session: RequestSession, draft: Draft): Promise<unknown> | undefined {
  const { core, record } = session
  if (core.settings.schema === undefined) return
  // Loaded data has been checked: no request fails because of data that it did not change.
  if (record !== undefined && draft.data === session.stored.data && !session.isUnchecked) return
  if (Object.keys(draft.data).length === 0) {
    // What drops refused data must not fail.
    if (refusesData(session.dataError)) return
    // Empty data is not checked while the handlers run: they may still fill it. It is checked once they have returned.
    if (session.phase === 'open') {
      session.isUnchecked = true
      return
    }
  }
  return validate(core, session.publicId, draft.data, session.scope)
}

/**
 * Checks the empty data that the handlers have stored and not filled since; `undefined` if there is nothing to check.
 *
 * @throws {SessionError} `ERR_SESSION_SCHEMA`, or `ERR_SESSION_STORE` after the middleware was closed.
 */
export function checkUnfilled(session: RequestSession): Promise<unknown> | undefined {
  const { core, status, isUnchecked, publicId, stored, scope } = session
  if (!isUnchecked || status !== 'live' || Object.keys(stored.data).length > 0) return
  core.store.assertOpen()
  return validate(core, publicId, stored.data, scope)
}
