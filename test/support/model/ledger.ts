// What the store must hold, call by call, and what every call must have meant. Each call is one atomic step, so their
// order is the order in which things came to pass: whatever is stored must follow from what was stored before and from
// what the request that stored it wanted.
import { isDeepStrictEqual } from 'node:util'
import type { Replaced, SessionRecord } from '../../../src/store.ts'
import { kept, NOTHING, type Contents, type Message, type Mind } from './mind.ts'
import type { Keep, Lifetime } from './scenario.ts'

interface Entry {
  record: SessionRecord
  contents: Contents
  /** Sessions that took one another's place are one chain. */
  chain: number
  /** The absolute timeout counts from here. */
  startedAt: number
  /** A lifetime of its own, and since when. */
  own: Own | undefined
  /** Its owner, also once it has ended. */
  ownedBy: string | undefined
  /** The session has not moved to it yet: it may be left. */
  isCopy: boolean
  /** How often it was updated from outside while it was a copy. */
  counted: number
  /** Why it is no session any more. */
  end: 'replaced' | 'ended' | undefined
  successor: string | undefined
  /** A browser was told its id. */
  isAnnounced: boolean
}

interface Own {
  readonly maxAge: number
  readonly since: number
}

/** How long a request with a replaced id counts as under way. */
const UNDER_WAY = 10_000

export class Ledger {
  readonly #entries = new Map<string, Entry>()
  readonly #lifetime: Lifetime
  readonly #throwsOnConflict: boolean
  #chains = 0
  /** The first thing that went wrong. */
  fault: string | undefined = undefined

  constructor(lifetime: Lifetime, throwsOnConflict: boolean) {
    this.#lifetime = lifetime
    this.#throwsOnConflict = throwsOnConflict
  }

  fail(mind: Mind | undefined, what: string): void {
    this.fault ??= mind === undefined ? what : `request ${mind.name}, ${mind.doing.do}: ${what}`
  }

  expect(mind: Mind | undefined, holds: boolean, what: string): void {
    if (!holds) this.fail(mind, what)
  }

  // ---- what is known of records

  get keys(): string[] {
    return [...this.#entries.keys()]
  }

  record(key: string): SessionRecord | undefined {
    return this.#entries.get(key)?.record
  }

  /** The session of a key, if it can be used. */
  live(key: string | undefined, now: number): Entry | undefined {
    const entry = key === undefined ? undefined : this.#entries.get(key)
    return entry !== undefined && entry.end === undefined && entry.record.expiresAt > now ? entry : undefined
  }

  /** The session of a key, or the one that took its place, as far as it can be used. */
  #liveSuccessor(key: string, now: number): string | undefined {
    for (let at: string | undefined = key; at !== undefined;) {
      const entry = this.#entries.get(at)
      if (entry === undefined || entry.record.expiresAt <= now) return undefined
      if (entry.end === undefined) return at
      at = entry.end === 'replaced' ? entry.successor : undefined
    }
    return undefined
  }

  /** Neither the session of a key nor what took its place may be used any more. */
  expectEnded(mind: Mind, key: string, now: number): void {
    const live = this.#liveSuccessor(key, now)
    this.expect(mind, live === undefined, `the session ${String(live)} should have ended`)
  }

  /** A step is over: events told each conflict, and nothing else. */
  expectTold(mind: Mind): void {
    const [told, clashes] = [[...mind.told].sort().join(), [...mind.clashes].sort().join()]
    this.expect(mind, told === clashes, `events told conflicts in [${told}] instead of [${clashes}]`)
  }

  absoluteEnd(key: string): number {
    const entry = this.#entries.get(key)
    return entry === undefined ? -Infinity : this.#absoluteEnd(entry)
  }

  /** A response tells a browser this id. */
  announce(mind: Mind, key: string, now: number): void {
    const entry = this.#entries.get(key)
    this.expect(mind, entry !== undefined, 'a cookie names a session that was never stored')
    if (entry === undefined) return
    entry.isAnnounced = true
    this.#expectOne(mind, entry.chain, now)
  }

  /** At the end: one live id per chain, and every live session is known to its browser. */
  close(now: number): void {
    for (const [key, { chain, isAnnounced }] of this.#entries) {
      if (this.live(key, now) === undefined) continue
      this.expect(undefined, isAnnounced, `the session ${key} lives and nobody was told its id`)
      this.#expectOne(undefined, chain, now)
    }
  }

  #expectOne(mind: Mind | undefined, chain: number, now: number): void {
    const ids = [...this.#entries].filter(
      ([key, one]) => one.chain === chain && one.isAnnounced && this.live(key, now) !== undefined,
    )
    this.expect(mind, ids.length <= 1, `${ids.length} live ids of one session`)
  }

  // ---- the calls

  read(mind: Mind | undefined, key: string, now: number, answer: SessionRecord | undefined): void {
    const entry = this.#entries.get(key)
    const held = entry !== undefined && entry.record.expiresAt > now ? entry.record : undefined
    this.expect(mind, sameRecord(held, answer), `read gave ${shown(answer)} instead of ${shown(held)}`)
    if (mind === undefined) return
    const live = this.live(key, now)
    if (mind.doing.do === 'load') {
      if (live !== undefined) {
        mind.key = key
        mind.isResumed = true
        mind.seen = mind.known = live.contents
      } else if (held !== undefined && entry?.end === 'replaced' && now - held.lastSeenAt < UNDER_WAY)
        mind.isLate = true
    } else if (key === mind.key) {
      mind.look(live?.contents)
      mind.isConfirmed = live !== undefined
    }
    this.#look(mind, now)
  }

  create(mind: Mind | undefined, record: SessionRecord, now: number, answer: boolean): void {
    this.expect(mind, answer && !this.#entries.has(record.key), 'a key was used twice')
    this.expect(mind, mind !== undefined, 'a session was stored for a reader')
    if (mind === undefined) return
    this.expect(
      mind,
      record.version === 1 && record.createdAt <= now && record.lastSeenAt === now,
      'the first record is not one',
    )
    const move = moveOf(mind)
    // A sign-in that finds its session ended begins anew.
    const hasEnded = mind.isOver || (mind.key !== undefined && move?.signIn !== undefined && !mind.wasAlive)
    const previous = move === undefined || hasEnded || mind.key === undefined ? undefined : this.#entries.get(mind.key)
    const entry: Entry = {
      record,
      contents: contentsOf(record),
      chain: previous?.chain ?? this.#chains++,
      startedAt: now,
      own: undefined,
      ownedBy: record.owner,
      isCopy: previous !== undefined,
      counted: 0,
      end: undefined,
      successor: undefined,
      isAnnounced: false,
    }
    this.#entries.set(record.key, entry)
    if (previous !== undefined) {
      this.expect(mind, mind.made === undefined, 'two new ids were made')
      mind.made = record.key
    } else if (move !== undefined) {
      const expected = kept(hasEnded ? NOTHING : mind.merged(NOTHING), undefined, move.keep, move.signIn)
      this.#expectContents(mind, entry, expected)
      this.expect(mind, record.owner === expected.owner, 'the owner is another one')
      mind.key = record.key
      mind.isLate = mind.isGone = false
      mind.hasNews = true
      mind.writes++
      entry.own = ownAfter(mind, undefined, undefined, now, hasEnded)
      mind.restart(entry.contents)
    } else {
      this.expect(mind, mind.key === undefined, 'a session was stored beside the one that was loaded')
      this.#change(mind, entry, NOTHING, now)
      this.expect(mind, record.owner === undefined, 'a session without a sign-in has an owner')
      mind.key = record.key
      mind.hasNews = true
    }
    // How long a copy may live is known once the session has moved to it.
    if (previous === undefined) this.#expectSpan(mind, entry, now)
    if (previous !== undefined) this.#look(mind, now)
    // Stored by a request that outlasts its session: nobody else can have ended it.
    else mind.wasAlive = true
  }

  replace(mind: Mind | undefined, record: SessionRecord, version: number, now: number, answer: Replaced): void {
    const entry = this.#entries.get(record.key)
    const held = entry !== undefined && entry.record.expiresAt > now ? entry.record : undefined
    const expected = held === undefined ? 'gone' : held.version === version ? 'done' : 'stale'
    this.expect(mind, answer === expected, `replace said ${answer} instead of ${expected}`)
    this.expect(mind, mind !== undefined, 'a session was changed for a reader')
    if (mind === undefined) return
    if (answer === 'done' && entry !== undefined) {
      this.expect(mind, entry.end === undefined, 'what had ended was written again')
      this.expect(
        mind,
        record.version === entry.record.version + 1,
        `version ${record.version} follows ${entry.record.version}`,
      )
      this.#replaced(mind, entry, record, now)
    }
    this.#look(mind, now)
    // The store was not asked about the new id.
    if (answer === 'done' && record.meta !== undefined && record.payload.length === 0) mind.wasAlive = true
  }

  #replaced(mind: Mind, entry: Entry, record: SessionRecord, now: number): void {
    const before = entry.contents
    const { owner, lastSeenAt, expiresAt } = entry.record
    entry.record = record
    if (record.payload.length === 0) {
      this.expect(mind, record.owner === undefined, 'what is left of a session has an owner')
      entry.contents = NOTHING
      if (record.meta === undefined) this.#ended(mind, entry)
      else this.#moved(mind, entry, before, owner, now)
      return
    }
    entry.contents = contentsOf(record)
    if (mind.isOutside) {
      this.expect(mind, record.owner === owner, 'the owner is another one')
      this.expect(mind, record.lastSeenAt <= lastSeenAt && record.expiresAt <= expiresAt, 'an end was put off')
      this.#counted(mind, entry, before, owner)
      return
    }
    if (mind.made !== undefined && record.key === mind.made) {
      // A second try, whose contents are looked at when the old id gives way; or the old one ended, and this is a new session.
      entry.startedAt = now
      if (mind.doing.do === 'signIn' && !mind.wasAlive) {
        entry.chain = this.#chains++
        this.#expectContents(mind, entry, NOTHING)
        this.expect(mind, record.owner === mind.doing.owner, 'the owner is another one')
        mind.key = record.key
        mind.isLate = mind.isGone = false
        mind.hasNews = true
        mind.writes++
        entry.own = ownAfter(mind, undefined, undefined, now, true)
        entry.isCopy = false
        mind.restart(entry.contents)
      }
    } else {
      this.expect(mind, record.key === mind.key, 'another session was written to')
      this.expect(mind, record.owner === owner, 'the owner is another one')
      this.#change(mind, entry, before, now)
    }
    this.#expectSpan(mind, entry, now)
  }

  /** A session ends. */
  #ended(mind: Mind, entry: Entry): void {
    entry.end = 'ended'
    mind.ended.push(entry.record.key)
    if (mind.doing.do === 'destroyEverything') return
    this.expect(mind, mind.doing.do === 'destroy', 'a session was ended')
    this.expect(mind, entry.chain === this.#entries.get(mind.key ?? '')?.chain, 'another session was ended')
    mind.hasEnded = true
  }

  /** A session goes on under a new id. */
  #moved(mind: Mind, entry: Entry, before: Contents, owner: string | undefined, now: number): void {
    const move = moveOf(mind)
    const made = this.#entries.get(mind.made ?? '')
    if (move === undefined || made === undefined || entry.record.key !== mind.key) {
      this.fail(mind, 'a session was replaced')
      return
    }
    entry.end = 'replaced'
    entry.successor = made.record.key
    this.#clash(mind, before)
    made.isCopy = false
    made.own = ownAfter(mind, entry.own, owner, now, false)
    const expected = kept(mind.merged(before), owner, move.keep, move.signIn)
    // It may have ended at once, from outside, and nobody knows yet.
    if (made.end === undefined) {
      this.#expectContents(mind, made, withCount(expected, made.counted))
      this.expect(mind, made.record.owner === expected.owner, 'the owner is another one')
    }
    if (move.signIn === undefined && !expected.isFresh) made.startedAt = entry.startedAt
    mind.key = made.record.key
    mind.hasNews = true
    mind.writes++
    // What happened to the copy from outside it does not know yet.
    mind.restart({ data: expected.data, flash: expected.flash })
    if (made.end === undefined) this.#expectSpan(mind, made, now)
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
    const entry = this.#entries.get(key)
    const held = entry !== undefined && entry.record.expiresAt > now ? entry.record : undefined
    this.expect(mind, answer === (held?.version === version), `touch said ${answer}`)
    if (answer && entry !== undefined) {
      if (lastSeenAt >= entry.record.lastSeenAt) entry.record = { ...entry.record, lastSeenAt, expiresAt }
      this.#expectSpan(mind, entry, now)
    }
    if (mind === undefined) return
    this.expect(mind, mind.doing.do === 'commit' && key === mind.key, 'a session was touched')
    mind.isConfirmed = answer
    // A refusal does not tell whether the session ended or another request changed it.
    if (answer) this.#look(mind, now)
  }

  delete(mind: Mind | undefined, key: string, now: number): void {
    const entry = this.#entries.get(key)
    if (this.live(key, now) !== undefined && entry !== undefined) {
      this.expect(mind, key === mind?.made, 'a live session was deleted')
      entry.end = 'ended'
    }
    // It tries again under another id.
    if (key === mind?.made) mind.made = undefined
    if (entry?.end === 'replaced') this.fail(mind, 'a tombstone was deleted')
    if (entry !== undefined) entry.record = { ...entry.record, expiresAt: -Infinity }
  }

  // ---- what must be

  /** A change of a session that goes on, or the first record of one. */
  #change(mind: Mind, entry: Entry, before: Contents, now: number): void {
    const { doing } = mind
    this.expect(mind, ['commit', 'save', 'update'].includes(doing.do), 'data was stored')
    this.#clash(mind, before)
    const merged = mind.merged(before)
    this.#expectContents(mind, entry, withCount(merged, doing.do === 'update' ? 1 : 0))
    mind.writes++
    this.expect(mind, mind.writes === 1, 'it was stored twice')
    mind.isConfirmed = true
    if (mind.maxAge !== undefined) {
      entry.own = { maxAge: mind.maxAge, since: now }
      mind.hasLifetime = true
      const due = Math.min(now + mind.maxAge, entry.startedAt + this.#lifetime.cap)
      this.expect(
        mind,
        entry.record.expiresAt >= due,
        `ends ${due - entry.record.expiresAt} ms before its own lifetime`,
      )
    }
    if (doing.do === 'update') mind.restart(entry.contents)
    else mind.settle(entry.contents)
  }

  /** One update from outside. */
  #counted(mind: Mind, entry: Entry, before: Contents, owner: string | undefined): void {
    const { doing } = mind
    const { key } = entry.record
    if (doing.do === 'updateAll') this.expect(mind, owner === doing.owner, 'a session of another owner was updated')
    else this.expect(mind, doing.do === 'update' && key === mind.key, 'another session was updated')
    this.#expectContents(mind, entry, withCount(before, 1))
    if (entry.isCopy) entry.counted++
    mind.updated.push(key)
  }

  // ---- from outside

  /** The sessions of an owner, or all, that can be used now. */
  lives(now: number, owner?: string): string[] {
    return this.keys.filter((key) => {
      const entry = this.live(key, now)
      return entry?.isCopy === false && (owner === undefined || entry.ownedBy === owner)
    })
  }

  /** An update of all sessions of an owner is over: `lived` of theirs lived when it began, `known` is all that there was. */
  expectUpdated(mind: Mind, owner: string, lived: readonly string[], known: ReadonlySet<string>, now: number): void {
    const chainOf = (key: string): number | undefined => this.#entries.get(key)?.chain
    const sure = mind.updated.filter((key) => this.#entries.get(key)?.isCopy === false).map(chainOf)
    this.expect(mind, new Set(sure).size === sure.length, 'a session was updated twice')
    const chains = mind.updated.map(chainOf)
    for (const key of lived) {
      const chain = chainOf(key)
      const news = [...this.#entries].filter(([one, entry]) => entry.chain === chain && !known.has(one))
      const stayed = news.every(([, { ownedBy, isCopy }]) => isCopy || ownedBy === owner)
      if (!stayed || this.#liveSuccessor(key, now) === undefined) continue
      this.expect(mind, chains.includes(chain), `the session ${key} was not updated`)
    }
  }

  #clash(mind: Mind, before: Contents): void {
    const keys = mind.conflicts(before)
    if (this.#throwsOnConflict) this.expect(mind, keys.length === 0, `a conflict in ${keys.join(', ')} was not refused`)
    else for (const key of keys) mind.clashes.add(key)
  }

  #expectContents(mind: Mind, { contents }: Entry, { data, flash }: Contents): void {
    const isSame = isDeepStrictEqual(contents.data, data) && isDeepStrictEqual(contents.flash, flash)
    this.expect(mind, isSame, `stored ${JSON.stringify(contents)} instead of ${JSON.stringify({ data, flash })}`)
  }

  #absoluteEnd({ startedAt, own }: Entry): number {
    const { absolute, cap, options } = this.#lifetime
    if (own === undefined) return startedAt + absolute
    return Math.min(options.rolling === true ? Infinity : own.since + own.maxAge, startedAt + cap)
  }

  #expectSpan(mind: Mind | undefined, entry: Entry, now: number): void {
    const { record, own } = entry
    const idle = own?.maxAge ?? this.#lifetime.idle
    const past = record.expiresAt - this.#absoluteEnd(entry)
    this.expect(mind, past <= 0, `expires ${past} ms past the absolute end`)
    this.expect(mind, record.expiresAt <= now + idle, `expires ${record.expiresAt - now - idle} ms past the idle end`)
  }

  #look(mind: Mind, now: number): void {
    mind.wasAlive = mind.key === undefined || this.live(mind.key, now) !== undefined
  }
}

function moveOf({ doing }: Mind): { readonly keep: Keep; readonly signIn: string | undefined } | undefined {
  if (doing.do === 'regenerate') return { keep: doing.keep, signIn: undefined }
  return doing.do === 'signIn' ? { keep: doing.keep, signIn: doing.owner } : undefined
}

/** The lifetime of its own that a session has after a new id; `before` and `owner` are of the old one. */
function ownAfter(
  mind: Mind,
  before: Own | undefined,
  owner: string | undefined,
  now: number,
  hasEnded: boolean,
): Own | undefined {
  const { keep, signIn } = moveOf(mind) ?? { keep: true, signIn: undefined }
  const set = mind.maxAge === undefined ? undefined : { maxAge: mind.maxAge, since: now }
  const isAnother = signIn !== undefined && owner !== undefined && owner !== signIn
  const stays = !hasEnded && keep !== false && !(keep === true && isAnother)
  const own = stays ? (set ?? before) : undefined
  if (signIn === undefined) return own
  const length = (set ?? own)?.maxAge
  return length === undefined ? undefined : { maxAge: length, since: now }
}

function withCount<T extends Contents>(contents: T, times: number): T {
  const { n } = contents.data as { n?: unknown }
  return times === 0
    ? contents
    : { ...contents, data: { ...contents.data, n: (typeof n === 'number' ? n : 0) + times } }
}

function contentsOf({ payload }: SessionRecord): Contents {
  const value = JSON.parse(String(payload)) as Contents['data'] | [Contents['data'], [string, string, string][]]
  if (!Array.isArray(value)) return { data: value, flash: [] }
  return { data: value[0], flash: value[1].map(([, key, message]): Message => [key, message]) }
}

function sameRecord(one: SessionRecord | undefined, other: SessionRecord | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return (
    one.key === other.key &&
    one.version === other.version &&
    one.payload === other.payload &&
    one.owner === other.owner &&
    one.createdAt === other.createdAt &&
    one.lastSeenAt === other.lastSeenAt &&
    one.expiresAt === other.expiresAt &&
    one.meta === other.meta
  )
}

function shown(record: SessionRecord | undefined): string {
  return record === undefined ? 'nothing' : `version ${record.version}, seen at ${record.lastSeenAt}`
}
