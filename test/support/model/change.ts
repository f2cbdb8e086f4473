// Checks stored data: a request's own changes, or one update from outside of requests.
import { withCount, type Entry } from './entry.ts'
import type { Ledger } from './ledger.ts'
import type { Mind } from './mind.ts'
import type { Contents } from './wishes.ts'

/** A request changed a session, or stored its first record. */
export function changed(ledger: Ledger, mind: Mind, entry: Entry, before: Contents, now: number): void {
  const { doing } = mind
  ledger.expect(mind, ['commit', 'save', 'update'].includes(doing.do), 'data was stored')
  ledger.clash(mind, before)
  const merged = mind.merged(before)
  ledger.expectContents(mind, entry, withCount(merged, doing.do === 'update' ? 1 : 0))
  mind.writes++
  ledger.expect(mind, mind.writes === 1, 'it was stored twice')
  mind.isConfirmed = true
  if (mind.maxAge !== undefined) {
    entry.own = { maxAge: mind.maxAge, since: now }
    mind.hasLifetime = true
    const due = Math.min(now + mind.maxAge, entry.startedAt + ledger.lifetime.cap)
    ledger.expect(
      mind,
      entry.record.expiresAt >= due,
      `ends ${due - entry.record.expiresAt} ms before its own lifetime`,
    )
  }
  if (doing.do === 'update') mind.restart(entry.contents)
  else mind.settle(entry.contents)
}

/** An update from outside changed a session. */
export function counted(ledger: Ledger, mind: Mind, entry: Entry, before: Contents, owner: string | undefined): void {
  const { doing } = mind
  const { key } = entry.record
  if (doing.do === 'updateAll') ledger.expect(mind, owner === doing.owner, 'a session of another owner was updated')
  else ledger.expect(mind, doing.do === 'update' && key === mind.key, 'another session was updated')
  ledger.expectContents(mind, entry, withCount(before, 1))
  if (entry.isCopy) entry.counted++
  mind.updated.push(key)
}
