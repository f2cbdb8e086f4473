// What the store must hold: every session that was ever stored, which of them live, and the first fault.
import { isDeepStrictEqual } from 'node:util'
import type { SessionRecord } from '../../../src/store.ts'
import type { Entry } from './entry.ts'
import type { Mind } from './mind.ts'
import type { Lifetime } from './scenario.ts'
import type { Contents } from './wishes.ts'

export class Ledger {
  readonly #entries = new Map<string, Entry>()
  readonly lifetime: Lifetime
  readonly #throwsOnConflict: boolean
  #chains = 0
  /** The first fault. */
  fault: string | undefined = undefined

  constructor(lifetime: Lifetime, throwsOnConflict: boolean) {
    this.lifetime = lifetime
    this.#throwsOnConflict = throwsOnConflict
  }

  fail(mind: Mind | undefined, what: string): void {
    this.fault ??= mind === undefined ? what : `request ${mind.name}, ${mind.doing.do}: ${what}`
  }

  expect(mind: Mind | undefined, holds: boolean, what: string): void {
    if (!holds) this.fail(mind, what)
  }

  // ---- known records

  get keys(): string[] {
    return [...this.#entries.keys()]
  }

  record(key: string): SessionRecord | undefined {
    return this.#entries.get(key)?.record
  }

  entry(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  add(entry: Entry): void {
    this.#entries.set(entry.record.key, entry)
  }

  /** The number of a new chain. */
  newChain(): number {
    return this.#chains++
  }

  /** The live session of a key. */
  live(key: string | undefined, now: number): Entry | undefined {
    const entry = key === undefined ? undefined : this.#entries.get(key)
    return entry !== undefined && entry.end === undefined && entry.record.expiresAt > now ? entry : undefined
  }

  /** The key of the live session that a key leads to: its own session, or a successor. */
  #liveSuccessor(key: string, now: number): string | undefined {
    for (let at: string | undefined = key; at !== undefined;) {
      const entry = this.#entries.get(at)
      if (entry === undefined || entry.record.expiresAt <= now) return undefined
      if (entry.end === undefined) return at
      at = entry.end === 'replaced' ? entry.successor : undefined
    }
    return undefined
  }

  /** Expects that neither the session of a key nor a successor is live. */
  expectEnded(mind: Mind, key: string, now: number): void {
    const live = this.#liveSuccessor(key, now)
    this.expect(mind, live === undefined, `the session ${String(live)} should have ended`)
  }

  /** Called after a step: events must have reported each conflict, and nothing else. */
  expectTold(mind: Mind): void {
    const [told, clashes] = [[...mind.told].sort().join(), [...mind.clashes].sort().join()]
    this.expect(mind, told === clashes, `events told conflicts in [${told}] instead of [${clashes}]`)
  }

  absoluteEnd(key: string): number {
    const entry = this.#entries.get(key)
    return entry === undefined ? -Infinity : this.#absoluteEnd(entry)
  }

  /** A response sends this id to a browser. */
  announce(mind: Mind, key: string, now: number): void {
    const entry = this.#entries.get(key)
    this.expect(mind, entry !== undefined, 'a cookie names a session that was never stored')
    if (entry === undefined) return
    entry.isAnnounced = true
    this.#expectOne(mind, entry.chain, now)
  }

  /** Called at the end: each chain has at most one live id, and every live session is known to its browser. */
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

  // ---- from outside

  /** The keys of all live sessions, or of those of an owner. */
  lives(now: number, owner?: string): string[] {
    return this.keys.filter((key) => {
      const entry = this.live(key, now)
      return entry?.isCopy === false && (owner === undefined || entry.ownedBy === owner)
    })
  }

  /** The number of sessions under these ids. A session that is getting a new id has two. */
  sessionsUnder(keys: readonly string[]): number {
    return this.#chainsOf(keys).size
  }

  #chainsOf(keys: readonly string[]): Set<number | undefined> {
    return new Set(keys.map((key) => this.#entries.get(key)?.chain))
  }

  /** Called after an update of all sessions of an owner. `lived`: those that lived when it began; `known`: all keys at that time. */
  expectUpdated(mind: Mind, owner: string, lived: readonly string[], known: ReadonlySet<string>, now: number): void {
    const sure = mind.updated.filter((key) => this.#entries.get(key)?.isCopy === false)
    this.expect(mind, this.#chainsOf(sure).size === sure.length, 'a session was updated twice')
    const chains = this.#chainsOf(mind.updated)
    for (const key of lived) {
      const chain = this.#entries.get(key)?.chain
      const news = [...this.#entries].filter(([one, entry]) => entry.chain === chain && !known.has(one))
      const stayed = news.every(([, { ownedBy, isCopy }]) => isCopy || ownedBy === owner)
      // The successor may have existed before, and belong to another owner.
      const live = this.#liveSuccessor(key, now)
      if (!stayed || live === undefined || this.#entries.get(live)?.ownedBy !== owner) continue
      this.expect(mind, chains.has(chain), `the session ${key} was not updated`)
    }
  }

  // ---- expectations

  clash(mind: Mind, before: Contents): void {
    const keys = mind.conflicts(before)
    if (this.#throwsOnConflict) this.expect(mind, keys.length === 0, `a conflict in ${keys.join(', ')} was not refused`)
    else for (const key of keys) mind.clashes.add(key)
  }

  expectContents(mind: Mind, { contents }: Entry, { data, flash }: Contents): void {
    const isSame = isDeepStrictEqual(contents.data, data) && isDeepStrictEqual(contents.flash, flash)
    this.expect(mind, isSame, `stored ${JSON.stringify(contents)} instead of ${JSON.stringify({ data, flash })}`)
  }

  #absoluteEnd({ startedAt, own }: Entry): number {
    const { absolute, cap, options } = this.lifetime
    if (own === undefined) return startedAt + absolute
    return Math.min(options.rolling === true ? Infinity : own.since + own.maxAge, startedAt + cap)
  }

  expectSpan(mind: Mind | undefined, entry: Entry, now: number): void {
    const { record, own } = entry
    const idle = own?.maxAge ?? this.lifetime.idle
    const past = record.expiresAt - this.#absoluteEnd(entry)
    this.expect(mind, past <= 0, `expires ${past} ms past the absolute end`)
    this.expect(mind, record.expiresAt <= now + idle, `expires ${record.expiresAt - now - idle} ms past the idle end`)
  }

  look(mind: Mind, now: number): void {
    mind.wasAlive = mind.key === undefined || this.live(mind.key, now) !== undefined
  }
}
