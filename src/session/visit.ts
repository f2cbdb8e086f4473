// A visitor whose session nobody has looked at yet: most of them never need one.
import { sessionContext, type ContextScope } from '../context.ts'
import type { Core, RequestInfo } from './core.ts'
import { RequestSession } from './request-session.ts'

/** A request without a cookie. Its session begins with the first look at it. */
export class Visit {
  readonly core: Core
  readonly info: RequestInfo
  scope: ContextScope | undefined = undefined
  #session: RequestSession | undefined = undefined
  #isOver = false

  constructor(core: Core, info: RequestInfo) {
    this.core = core
    this.info = info
  }

  /** The session that begins now. After the end of the request it is closed from the start. */
  begin(): RequestSession {
    const { core, info, scope } = this
    // Where the request came in: a clock of the app's that asks for the current session would begin this one once more.
    const now = sessionContext.run(scope?.outer, core.settings.now)
    const session = new RequestSession(core, info, now, 'new')
    session.scope = scope
    if (this.#isOver) session.close()
    return (this.#session = session)
  }

  /** The handlers have returned. @returns the session that they began, if they did. */
  end(): RequestSession | undefined {
    this.#isOver = true
    return this.#session
  }
}
