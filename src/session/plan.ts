// What a commit has to do, decided once from the state of the request's session.
import { ABSENT, NO_CHANGES, type PendingChanges } from '../record/merge.ts'
import type { RequestSession } from './request-session.ts'

/** What a commit has to do. */
export type Plan =
  | { readonly kind: 'nothing' | 'touch' | 'refuse' }
  | { readonly kind: 'create' | 'replace'; readonly pending: PendingChanges }

const NOTHING: Plan = { kind: 'nothing' }
const TOUCH: Plan = { kind: 'touch' }
const REFUSE: Plan = { kind: 'refuse' }

/** What the commit does at the end of the request, or `save()` before it. */
export function planOf(session: RequestSession, isLast: boolean): Plan {
  const pending = session.pending.collect()
  const hasChanges = pending !== NO_CHANGES
  switch (session.status) {
    case 'destroyed':
      return NOTHING
    case 'gone':
    case 'unbound':
      // What a change would take away is gone with the session.
      return (hasChanges && isAddition(pending)) || !isLast ? REFUSE : NOTHING
    case 'live':
      if (hasChanges) return { kind: 'replace', pending }
      return isLast && isRenewalDue(session) ? TOUCH : NOTHING
    case 'new':
      if (!session.pending.hasContents) return NOTHING
      // Outside Koa's chain, and to a WebSocket, no cookie can be sent, so a session is not stored for its mere existence.
      if (isLast && !hasChanges && (session.info.ctx === undefined || session.cookie.isTakenOver)) return NOTHING
      return { kind: 'create', pending }
  }
}

/** Whether changes do more than to take things away. */
function isAddition({ changes, put, maxAge }: PendingChanges): boolean {
  return put.length > 0 || maxAge !== undefined || changes.some(({ value }) => value !== ABSENT)
}

function isRenewalDue(session: RequestSession): boolean {
  const { record, core, cookie } = session
  if (record === undefined) return false
  // After close() nothing is asked of the store: a touch may be missed, a response may not.
  if (core.store.isClosed) return false
  return cookie.due === 'renew' || session.isTouchDue(record, core.settings.now())
}
