// A stream of a session that was taken over: a logout at an old process ends it, although no further request finds out.
import { endSession } from '../session/destroy.ts'
import { readLive } from '../session/newest.ts'
import { unrefed } from '../timers.ts'
import type { Passage, Tied } from './passage.ts'

/** How often an old session is looked at while a response of its new one is under way, in milliseconds. */
const LOOK = 4000

/** Ends the session soon after its old one while somebody waits for the end, so that `session.signal` aborts. */
export function endWith({ ctx, request, settings }: Passage, { tie, old, owner }: Tied): void {
  const { from, now } = settings
  if (old === undefined || !from.isStored) return
  const { core } = request
  let expiresAt = Math.max(tie.expiresAt, old.expiresAt)
  let isLooking = false
  const look = async (): Promise<void> => {
    if (isLooking) return
    isLooking = true
    try {
      const { req, res } = ctx
      if (req.socket.destroyed || res.destroyed || res.writableFinished || now() + LOOK >= tie.until)
        clearInterval(timer)
      // Its session may have got a new id since, in another process too.
      const { ending } = request
      if (ending?.key === undefined || ending.isOver || ending.signal.aborted) return
      const found = await from.find(old.name, ctx)
      // Old processes prolong it.
      if (found !== undefined) expiresAt = Math.max(expiresAt, found.expiresAt)
      if ((found !== undefined && found.expiresAt > now()) || now() >= expiresAt) return
      const known = await readLive(core, ending.key)
      if (known === undefined) return
      // A sign-in ends the old session of a visitor as well, and goes on under a new id.
      if (known.record.owner === owner) await endSession(core, known.record, 'elsewhere', owner)
      clearInterval(timer)
    } catch {
      // An outage ends nothing: the next look tells.
    } finally {
      isLooking = false
    }
  }
  const timer = unrefed(setInterval(() => void look(), LOOK))
  ctx.res.once('close', () => clearInterval(timer))
  // A stream may sign out when its handlers have returned, or its browser has left. If this fails, the next request finishes the end.
  request.onDestroyed = () => void from.endIn(old, 0, now(), ctx).catch(() => undefined)
}
