// One run of an update's function, with the data that it may write to until it returns.
import type { Changes, Snapshot } from '../record/changes.ts'
import type { Core } from './core.ts'
import { Data } from './data.ts'
import { RunningUpdate } from './inside-update.ts'
import type { RequestSession } from './request-session.ts'

/** The outcome of a run. */
export type Run<Result> =
  { readonly result: Result; readonly changes: Changes; readonly hasReplaced: boolean } | { readonly error: unknown }

/** What an update does with data. */
export type Change<Result> = (data: object) => Result | Promise<Result>

/** Runs `fn` on `stored` with the pending changes applied. Never rejects. */
export async function runUpdate<Result>(
  core: Core,
  publicId: string,
  stored: Snapshot,
  pending: Changes,
  fn: Change<Result>,
  owner: string | undefined,
  session?: RequestSession,
): Promise<Run<Result>> {
  const data = new Data(stored, core.payload.codec)
  data.adopt(pending)
  const update = new RunningUpdate(core, publicId, data, owner, session)
  try {
    const result = await update.run(() => fn(data.proxy))
    return { result, changes: data.changes(), hasReplaced: update.hasReplaced }
  } catch (error) {
    return { error }
  } finally {
    data.freeze()
  }
}
