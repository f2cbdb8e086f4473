// One request as the model sees it: which session it is in, what it saw there and what it wants to change. Says what
// must be stored when its changes meet those of others; knows nothing of how the core does it.
import { isDeepStrictEqual } from 'node:util'
import type { Call, Keep, Key, Plain, Step } from './scenario.ts'

export type Message = readonly [key: string, value: string]

/** What a session holds. */
export interface Contents {
  readonly data: Readonly<Record<string, unknown>>
  readonly flash: readonly Message[]
}

export const NOTHING: Contents = { data: {}, flash: [] }

/** A key that this request wrote, or holds an object of: what it saw there first, and what is there now. */
interface Entry {
  base: unknown
  value: unknown
}

/** What a request is at. */
export type Doing =
  | Step
  | { readonly do: Exclude<Call['do'], 'update'>; readonly owner: string }
  | { readonly do: 'load' | 'commit' | 'nothing' }

export class Mind {
  readonly browser: number
  hasCookie = false
  /** Every value is set once, by one request of one browser. */
  readonly name: string
  /** It is no request: it came with no session, and has no answer. */
  isOutside = false
  /** The record of its session. */
  key: string | undefined = undefined
  isResumed = false
  /** Came with an id that was replaced a moment ago. */
  isLate = false
  /** Was told that its session is no more. */
  isGone = false
  isDestroyed = false
  /** Its handler looked at data. */
  hasLooked = false
  /** The session is kept without data. */
  isKept = false
  /** The cookie it came with was signed with an older key. */
  hasOldKey = false
  /** It has a new id for its browser. */
  hasNews = false
  /** Its `destroy` ended a session. */
  hasEnded = false
  /** The store said after its handler that the session lives. */
  isConfirmed = false
  /** Whether the session lived when the store was asked last. */
  wasAlive = true
  doing: Doing = { do: 'nothing' }
  /** The record that it made for a new id in this step. */
  made: string | undefined = undefined
  /** Changes of an existing session, and first records, that were stored in this step. */
  writes = 0
  /** The lifetime that it gave its session, in milliseconds, where that is not stored yet. */
  maxAge: number | undefined = undefined
  /** It stored a lifetime, of which the cookie must tell. */
  hasLifetime = false
  /** When its session ends at the latest, by what it read or stored last: another may shorten that before its answer leaves. */
  storedEnd = -Infinity
  /** What it updated and what it ended from outside, by key. */
  readonly updated: string[] = []
  readonly ended: string[] = []
  /** Values of updates that failed. */
  readonly dropped: string[] = []
  /** Keys of others that it changed in this step, and those that events told. */
  readonly clashes = new Set<string>()
  readonly told = new Set<string>()
  /** The last record of its session that it read in this step. */
  read: Contents | undefined = undefined
  /** What its handler finds in data. */
  seen: Contents = NOTHING
  /** What was stored when it looked last. */
  known: Contents = NOTHING
  readonly #entries = new Map<string, Entry>()
  #put: Message[] = []
  readonly #taken = new Set<string>()
  #values = 0

  constructor(browser: number, at: number) {
    this.browser = browser
    this.name = `${browser}.${at}`
  }

  get isOver(): boolean {
    return this.isLate || this.isGone
  }

  get hasPending(): boolean {
    return this.maxAge !== undefined || this.changes().size > 0 || this.#put.length > 0 || this.#taken.size > 0
  }

  /** Whether the commit of a session that is not stored has to store it. */
  get hasSomething(): boolean {
    return (
      this.isKept ||
      this.maxAge !== undefined ||
      this.#put.length > 0 ||
      Object.keys(this.merged(NOTHING).data).length > 0
    )
  }

  /** It only takes away: what was to be taken away is gone with the session. */
  get isEmptied(): boolean {
    return (
      this.maxAge === undefined &&
      this.#put.length === 0 &&
      [...this.changes().values()].every(({ value }) => value === undefined)
    )
  }

  /**
   * A newer record of its session is known, `undefined` for none: what was read before is what it goes on with. Data
   * that its handler looked at stays as it is.
   */
  look(read: Contents | undefined): void {
    if (this.read !== undefined) this.seen = this.hasLooked ? { ...this.read, data: this.seen.data } : this.read
    this.read = read
    this.known = read ?? this.known
  }

  /** Begins a step. */
  begin(doing: Doing): void {
    this.look(undefined)
    this.doing = doing
    this.made = undefined
    this.writes = 0
    this.clashes.clear()
    this.told.clear()
  }

  // ---- what its handler does

  newValue(): string {
    return `${this.name}.${this.#values++}`
  }

  /** What the handler must find in a key. */
  valueOf(key: Key): unknown {
    const entry = this.#entries.get(key)
    if (entry !== undefined) return entry.value
    const stored = this.seen.data[key]
    if (!Array.isArray(stored)) return stored
    // Who holds an object goes on with what it holds.
    const value = [...(stored as unknown[])]
    this.#entries.set(key, { base: stored, value })
    return value
  }

  set(key: Key, value: unknown): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) this.#entries.set(key, { base: this.seen.data[key], value })
    else entry.value = value
  }

  push(value: string): void {
    if (this.valueOf('list') === undefined) this.set('list', [])
    const list = this.valueOf('list') as unknown[]
    list.push(value)
  }

  replaceAll(data: Readonly<Record<string, unknown>>): void {
    for (const key of Object.keys(this.merged(this.seen).data)) this.set(key as Key, undefined)
    for (const [key, value] of Object.entries(data)) this.set(key as Key, value)
  }

  put(key: Plain, value: string): void {
    this.#put.push([key, value])
  }

  /** The messages that the handler must get. */
  take(key: Plain): string[] {
    const stored = this.seen.flash.filter(([name, value]) => name === key && !this.#taken.has(value))
    for (const [, value] of stored) this.#taken.add(value)
    const own = this.#put.filter(([name]) => name === key)
    this.#put = this.#put.filter(([name]) => name !== key)
    return [...stored, ...own].map(([, value]) => value)
  }

  // ---- what is to be stored

  /** What it changed, by key: what it saw there and what it wants there. */
  changes(): Map<string, Readonly<Entry>> {
    return new Map([...this.#entries].filter(([, { base, value }]) => !isDeepStrictEqual(base, value)))
  }

  /** What others stored, with its own changes. */
  merged({ data, flash }: Contents): Contents {
    const merged: Record<string, unknown> = { ...data }
    for (const [key, { value }] of this.changes()) merged[key] = structuredClone(value)
    for (const key of Object.keys(merged)) if (merged[key] === undefined) Reflect.deleteProperty(merged, key)
    return { data: merged, flash: [...flash.filter(([, value]) => !this.#taken.has(value)), ...this.#put] }
  }

  /** Keys that it changed and others as well. */
  conflicts({ data }: Contents): string[] {
    return [...this.changes()].filter(([key, { base }]) => !isDeepStrictEqual(base, data[key])).map(([key]) => key)
  }

  // ---- what became of it

  /** All changes are stored. */
  settle(written: Contents): void {
    this.maxAge = undefined
    this.known = written
    this.read = undefined
    for (const key of this.changes().keys()) {
      this.#entries.set(key, { base: written.data[key], value: this.#entries.get(key)?.value })
    }
    for (const [key, { value }] of this.#entries) if (!Array.isArray(value)) this.#entries.delete(key)
    this.seen = written
    this.#put = []
    this.#taken.clear()
  }

  /** Goes on with what is stored: nothing that it held before counts. */
  restart(stored: Contents): void {
    this.maxAge = undefined
    this.known = stored
    this.read = undefined
    this.#entries.clear()
    this.seen = stored
    this.#put = []
    this.#taken.clear()
  }

  /** What it wanted to store was refused: it goes on with what is stored. */
  drop(): void {
    this.dropped.push(...this.pendingValues())
    this.restart(this.read ?? this.known)
  }

  /** The values that it wants to store, and those that never may be. */
  pendingValues(): string[] {
    const values = [...this.changes().values()].flatMap(({ value, base }) => {
      if (!Array.isArray(value)) return [value]
      return value.filter((one) => !(Array.isArray(base) && base.includes(one))) as unknown[]
    })
    return [
      ...this.dropped,
      ...values.filter((value) => typeof value === 'string'),
      ...this.#put.map(([, value]) => value),
    ]
  }
}

/** What goes on under a new id. */
export function kept(
  { data, flash }: Contents,
  owner: string | undefined,
  keep: Keep,
  signIn: string | undefined,
): Contents & { readonly owner: string | undefined; readonly isFresh: boolean } {
  const isSomebodyElse = signIn !== undefined && owner !== undefined && owner !== signIn
  if (keep === false || (keep === true && isSomebodyElse)) return { ...NOTHING, owner: signIn, isFresh: true }
  const keys: readonly string[] = keep === true ? Object.keys(data) : keep
  const some = Object.fromEntries(Object.entries(data).filter(([key]) => keys.includes(key)))
  // Messages were for whoever was there before.
  return { data: some, flash: isSomebodyElse ? [] : flash, owner: signIn ?? owner, isFresh: false }
}
