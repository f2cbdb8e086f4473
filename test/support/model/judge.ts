// Checks, call by call, what the store must hold and what each call must mean. Each call is one atomic step, so the order of the
// calls is the order of events: whatever is stored must follow from what was stored before and from what the request wanted.
import type { Replaced, SessionRecord } from '../../../src/store.ts'
import { changed } from './change.ts'
import { contentsOf, sameRecord, shown, type AskedTouch, type Entry } from './entry.ts'
import type { Ledger } from './ledger.ts'
import { kept, type Mind } from './mind.ts'
import { moveOf, ownAfter } from './move.ts'
import { replaced } from './replaced.ts'
import type { Witness } from './told-store.ts'
import { NOTHING } from './wishes.ts'

/** How long a request with a replaced id counts as under way. */
const UNDER_WAY = 10_000

export class Judge implements Witness<Mind> {
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  knows(key: string): boolean {
    return this.#ledger.record(key) !== undefined
  }

  read(mind: Mind | undefined, key: string, now: number, answer: SessionRecord | undefined): void {
    const entry = this.#ledger.entry(key)
    const held = entry !== undefined && entry.record.expiresAt > now ? entry.record : undefined
    this.#ledger.expect(mind, sameRecord(held, answer), `read gave ${shown(answer)} instead of ${shown(held)}`)
    if (mind === undefined) return
    const live = this.#ledger.live(key, now)
    if (mind.doing.do === 'load') {
      if (live !== undefined) {
        mind.key = key
        mind.owner = entry?.ownedBy
        mind.isResumed = true
        mind.seen = mind.known = live.contents
      } else if (held !== undefined && entry?.end === 'replaced' && now - held.lastSeenAt < UNDER_WAY)
        mind.isLate = true
    } else if (key === mind.key) {
      mind.look(live?.contents)
      mind.isConfirmed = live !== undefined
      if (live !== undefined) mind.storedEnd = this.#ledger.absoluteEnd(key)
    }
    this.#ledger.look(mind, now)
  }

  create(mind: Mind | undefined, record: SessionRecord, now: number, answer: boolean): void {
    this.#ledger.expect(mind, answer && this.#ledger.entry(record.key) === undefined, 'a key was used twice')
    this.#ledger.expect(mind, mind !== undefined, 'a session was stored for a reader')
    if (mind === undefined) return
    this.#ledger.expect(
      mind,
      record.version === 1 && record.createdAt <= now && record.lastSeenAt === now,
      'the first record is not one',
    )
    const move = moveOf(mind)
    // A sign-in that finds its session ended starts a new one.
    const hasEnded = mind.isOver || (mind.key !== undefined && move?.signIn !== undefined && !mind.wasAlive)
    const previous = move === undefined || hasEnded || mind.key === undefined ? undefined : this.#ledger.entry(mind.key)
    const contents = contentsOf(record)
    const entry: Entry = {
      record,
      contents,
      versions: new Map([[1, contents]]),
      touches: [],
      chain: previous?.chain ?? this.#ledger.newChain(),
      startedAt: now,
      own: undefined,
      ownedBy: record.owner,
      isCopy: previous !== undefined,
      counted: 0,
      end: undefined,
      successor: undefined,
      isAnnounced: false,
    }
    this.#ledger.add(entry)
    if (previous !== undefined) {
      this.#ledger.expect(mind, mind.made === undefined, 'two new ids were made')
      mind.made = record.key
    } else if (move !== undefined) {
      const expected = kept(hasEnded ? NOTHING : mind.merged(NOTHING), undefined, move.keep, move.signIn)
      this.#ledger.expectContents(mind, entry, expected)
      this.#ledger.expect(mind, record.owner === expected.owner, 'the owner is another one')
      mind.forgotten ??= this.#ledger.entry(mind.key ?? '')?.chain
      mind.key = record.key
      mind.owner = record.owner
      mind.isLate = mind.isGone = false
      mind.hasNews = true
      mind.writes++
      entry.own = ownAfter(mind, undefined, undefined, now, hasEnded)
      mind.restart(entry.contents)
    } else {
      this.#ledger.expect(mind, mind.key === undefined, 'a session was stored beside the one that was loaded')
      changed(this.#ledger, mind, entry, NOTHING, now)
      this.#ledger.expect(mind, record.owner === undefined, 'a session without a sign-in has an owner')
      mind.key = record.key
      mind.hasNews = true
    }
    // The lifetime of a copy is known only once the session has moved to it.
    if (previous === undefined) this.#ledger.expectSpan(mind, entry, now)
    if (previous !== undefined) this.#ledger.look(mind, now)
    // The request may outlast the session that it has just stored, but no other request can have ended that.
    else mind.wasAlive = true
  }

  replace(mind: Mind | undefined, record: SessionRecord, version: number, now: number, answer: Replaced): void {
    const entry = this.#ledger.entry(record.key)
    const held = entry !== undefined && entry.record.expiresAt > now ? entry.record : undefined
    const expected = held === undefined ? 'gone' : held.version === version ? 'done' : 'stale'
    this.#ledger.expect(mind, answer === expected, `replace said ${answer} instead of ${expected}`)
    this.#ledger.expect(mind, mind !== undefined, 'a session was changed for a reader')
    if (mind === undefined) return
    if (answer === 'done' && entry !== undefined) {
      this.#ledger.expect(mind, entry.end === undefined, 'what had ended was written again')
      this.#ledger.expect(
        mind,
        record.version === entry.record.version + 1,
        `version ${record.version} follows ${entry.record.version}`,
      )
      replaced(this.#ledger, mind, entry, record, now)
      mind.storedEnd = this.#ledger.absoluteEnd(record.key)
    }
    // A refused change shows the version that it started from, which another request of this process may have stored.
    if (answer !== 'done' && record.key === mind.key) mind.known = entry?.versions.get(version) ?? mind.known
    this.#ledger.look(mind, now)
    // The tombstone of a new id: the store was not asked about the new id.
    if (answer === 'done' && record.meta !== undefined && record.payload.length === 0) mind.wasAlive = true
  }

  /** A touch is about to be sent to the store. */
  touching(key: string, touch: AskedTouch): void {
    this.#ledger.entry(key)?.touches.push(touch)
  }

  touch(
    mind: Mind | undefined,
    key: string,
    version: number,
    lastSeenAt: number,
    expiresAt: number,
    now: number,
    answer: boolean,
  ): void {
    const entry = this.#ledger.entry(key)
    const held = entry !== undefined && entry.record.expiresAt > now ? entry.record : undefined
    this.#ledger.expect(mind, answer === (held?.version === version), `touch said ${answer}`)
    if (answer && entry !== undefined) {
      if (lastSeenAt >= entry.record.lastSeenAt) entry.record = { ...entry.record, lastSeenAt, expiresAt }
      this.#ledger.expectSpan(mind, entry, now)
    }
    if (mind === undefined) return
    // A failed request is a use of its session, too.
    const isOver = mind.doing.do === 'commit' || (mind.doing.do === 'nothing' && mind.isHandled)
    this.#ledger.expect(mind, isOver && key === mind.key, 'a session was touched')
    mind.isConfirmed = answer
    // A refusal does not tell whether the session ended or another request changed it.
    if (answer) this.#ledger.look(mind, now)
  }

  delete(mind: Mind | undefined, key: string, now: number): void {
    const entry = this.#ledger.entry(key)
    if (this.#ledger.live(key, now) !== undefined && entry !== undefined) {
      this.#ledger.expect(mind, key === mind?.made, 'a live session was deleted')
      entry.end = 'ended'
    }
    // The request tries again under another id.
    if (key === mind?.made) mind.made = undefined
    if (entry?.end === 'replaced') this.#ledger.fail(mind, 'a tombstone was deleted')
    if (entry !== undefined) entry.record = { ...entry.record, expiresAt: -Infinity }
  }
}
