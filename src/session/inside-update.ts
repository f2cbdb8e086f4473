// Whether the running code is inside the function of an update, or inside a schema that checks a session. The methods of that
// session are refused there, except that an update inside an update's function joins it.
import { ContextScope, scopeOutside, sessionContext } from '../context.ts'
import { inUpdateError } from '../errors.ts'
import type { Core } from './core.ts'
import type { Data } from './data.ts'

/** A function of `update`, or a schema, that is running. */
export class RunningUpdate {
  /** The data that the function works on; `undefined` for a schema. */
  readonly data: Data | undefined
  readonly core: Core
  readonly publicId: string
  /** The owner of the session whose data that is. */
  readonly owner: string | undefined
  /** The update of another session in whose function this one was called. */
  readonly outer: RunningUpdate | undefined
  isOver = false
  /** Whether the function has put something in the place of all data. */
  hasReplaced = false
  /** The request's session, if there is one: its public id may change while the function runs. */
  readonly session: object | undefined

  constructor(core: Core, publicId: string, data: Data | undefined, owner?: string, session?: object) {
    this.core = core
    this.session = session
    this.publicId = publicId
    this.data = data
    this.owner = owner
    this.outer = running()
  }

  /** Runs `fn` as the function of this update, in `scope`, by default that of the running code. */
  async run<Result>(
    fn: () => Result | Promise<Result>,
    scope: ContextScope | undefined = sessionContext.getStore(),
  ): Promise<Result> {
    this.core.running++
    try {
      const inside = scope ? ContextScope.prototype.inside.call(scope, this) : scopeOutside(this)
      return await sessionContext.run(inside, fn)
    } finally {
      this.core.running--
      this.isOver = true
    }
  }
}

/** A session, or without a public id any session of the middleware. */
interface Named {
  readonly core: Core
  readonly publicId?: string
}

/** It may be another copy's, with one of ours around it: only the `core` tells whose it is. */
function running(): RunningUpdate | undefined {
  return sessionContext.getStore()?.update as RunningUpdate | undefined
}

/** The running update of that session in whose function the code runs; `undefined` if there is none. */
export function updateAround(session: Named): RunningUpdate | undefined {
  const { core, publicId } = session
  for (let update = running(); update !== undefined; update = update.outer) {
    const isNamed = update.core === core && (publicId === undefined || update.publicId === publicId)
    if ((isNamed || update.session === session) && !update.isOver) return update
  }
}

/** @throws {SessionError} `ERR_SESSION_IN_UPDATE` inside the function of an update of that session. */
export function assertOutsideUpdate(session: Named, verb: string): void {
  if (session.core.running > 0 && updateAround(session) !== undefined) throw inUpdateError(verb)
}
