// Checks a record that replaced another: a change, an end, or the tombstone of a session with a new id.
import type { SessionRecord } from '../../../src/store.ts'
import { changed, counted } from './change.ts'
import { contentsOf, withCount, type Entry } from './entry.ts'
import type { Ledger } from './ledger.ts'
import { kept, type Mind } from './mind.ts'
import { moveOf, ownAfter } from './move.ts'
import { NOTHING, type Contents } from './wishes.ts'

export function replaced(ledger: Ledger, mind: Mind, entry: Entry, record: SessionRecord, now: number): void {
  const before = entry.contents
  const { owner, lastSeenAt, expiresAt } = entry.record
  entry.record = record
  if (record.payload.length === 0) {
    ledger.expect(mind, record.owner === undefined, 'what is left of a session has an owner')
    entry.contents = NOTHING
    if (record.meta === undefined) ended(ledger, mind, entry)
    else moved(ledger, mind, entry, before, owner, now)
    return
  }
  entry.contents = contentsOf(record)
  entry.versions.set(record.version, entry.contents)
  if (mind.isOutside) {
    ledger.expect(mind, record.owner === owner, 'the owner is another one')
    const isKept = record.lastSeenAt <= lastSeenAt && record.expiresAt <= expiresAt
    const isTouch = entry.touches.some(
      ({ version, lastSeenAt: seenAt, expiresAt: end }) =>
        version === record.version - 1 && record.lastSeenAt === seenAt && record.expiresAt === end,
    )
    ledger.expect(mind, isKept || isTouch, 'an end was put off')
    counted(ledger, mind, entry, before, owner)
    return
  }
  if (mind.made !== undefined && record.key === mind.made) {
    // A second try, whose contents are checked when the old id is replaced; or the old session ended, and this is a new one.
    entry.startedAt = now
    if (mind.doing.do === 'signIn' && !mind.wasAlive) {
      entry.chain = ledger.newChain()
      ledger.expectContents(mind, entry, NOTHING)
      ledger.expect(mind, record.owner === mind.doing.owner, 'the owner is another one')
      mind.forgotten ??= ledger.entry(mind.key ?? '')?.chain
      mind.key = record.key
      mind.isLate = mind.isGone = false
      mind.hasNews = true
      mind.writes++
      entry.own = ownAfter(mind, undefined, undefined, now, true)
      entry.isCopy = false
      mind.restart(entry.contents)
    }
  } else {
    ledger.expect(mind, record.key === mind.key, 'another session was written to')
    ledger.expect(mind, record.owner === owner, 'the owner is another one')
    changed(ledger, mind, entry, before, now)
  }
  ledger.expectSpan(mind, entry, now)
}

/** A session ends. */
function ended(ledger: Ledger, mind: Mind, entry: Entry): void {
  entry.end = 'ended'
  mind.ended.push(entry.record.key)
  if (mind.doing.do === 'destroyEverything') return
  ledger.expect(mind, mind.doing.do === 'destroy', 'a session was ended')
  const own = [ledger.entry(mind.key ?? '')?.chain, mind.forgotten]
  ledger.expect(mind, own.includes(entry.chain), 'another session was ended')
  mind.hasEnded = true
}

/** A session got a new id. */
function moved(
  ledger: Ledger,
  mind: Mind,
  entry: Entry,
  before: Contents,
  owner: string | undefined,
  now: number,
): void {
  const move = moveOf(mind)
  const made = ledger.entry(mind.made ?? '')
  if (move === undefined || made === undefined || entry.record.key !== mind.key) {
    ledger.fail(mind, 'a session was replaced')
    return
  }
  entry.end = 'replaced'
  entry.successor = made.record.key
  ledger.clash(mind, before)
  made.isCopy = false
  made.own = ownAfter(mind, entry.own, owner, now, false)
  const expected = kept(mind.merged(before), owner, move.keep, move.signIn)
  // A call from outside may have ended the new session already.
  if (made.end === undefined) {
    ledger.expectContents(mind, made, withCount(expected, made.counted))
    ledger.expect(mind, made.record.owner === expected.owner, 'the owner is another one')
  }
  if (move.signIn === undefined && !expected.isFresh) made.startedAt = entry.startedAt
  mind.key = made.record.key
  mind.owner = made.ownedBy
  mind.hasNews = true
  mind.writes++
  // The request does not know yet about updates of the copy from outside.
  mind.restart({ data: expected.data, flash: expected.flash })
  if (made.end === undefined) ledger.expectSpan(mind, made, now)
}
