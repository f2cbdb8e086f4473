// One request in the model: its session, what it read there and what it wants to change. Computes what must be stored when its
// changes meet those of other requests, independently of how the core does it.
import { isDeepStrictEqual } from 'node:util'
import type { Call, Keep, Key, Plain, Step } from './scenario.ts'

export type Message = readonly [key: string, value: string]

/** The contents of a session. */
export interface Contents {
  readonly data: Readonly<Record<string, unknown>>
  readonly flash: readonly Message[]
}

export const NOTHING: Contents = { data: {}, flash: [] }

/** A key that this request wrote, or whose object it holds: the value that it read first, and the value now. */
interface Entry {
  base: unknown
  value: unknown
}

/** What a request is doing. */
export type Doing =
  | Step
  | { readonly do: Exclude<Call['do'], 'update'>; readonly owner: string }
  | { readonly do: 'load' | 'commit' | 'nothing' }

export class Mind {
  readonly browser: number
  hasCookie = false
  /** The prefix of the values that it sets: each value is set once, by one request of one browser. */
  readonly name: string
  /** Whether this is a call from outside of requests: it has no session of its own and no response. */
  isOutside = false
  /** The record of its session. */
  key: string | undefined = undefined
  isResumed = false
  /** Whether it came with an id that was replaced just before. */
  isLate = false
  /** Whether it was refused because its session has ended. */
  isGone = false
  isDestroyed = false
  /** Whether its handler has accessed data. */
  hasLooked = false
  /** Whether the session is to be stored even without data. */
  isKept = false
  /** Whether its cookie was signed with an older key. */
  hasOldKey = false
  /** Whether it has a new id for its browser. */
  hasNews = false
  /** Whether its `destroy` ended a session. */
  hasEnded = false
  /** Whether the store confirmed after the handler that the session lives. */
  isConfirmed = false
  /** Whether the session lived when the store was asked last. */
  wasAlive = true
  doing: Doing = { do: 'nothing' }
  /** The key of the record that it created for a new id in this step. */
  made: string | undefined = undefined
  /** The number of changes and first records that were stored in this step. */
  writes = 0
  /** The lifetime that it set for its session and that is not stored yet, in milliseconds. */
  maxAge: number | undefined = undefined
  /** Whether it stored a lifetime, which the cookie must show. */
  hasLifetime = false
  /** The latest end of its session, by what it read or stored last. Another request may shorten that before the response is sent. */
  storedEnd = -Infinity
  /** The keys of the sessions that it updated from outside, and of those that it ended. */
  readonly updated: string[] = []
  readonly ended: string[] = []
  /** Values of updates that failed. */
  readonly dropped: string[] = []
  /** The keys with conflicts in this step, and those that events reported. */
  readonly clashes = new Set<string>()
  readonly told = new Set<string>()
  /** The last record of its session that it read in this step. */
  read: Contents | undefined = undefined
  /** The contents as its handler sees them. */
  seen: Contents = NOTHING
  /** The contents that were stored when it last looked. */
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

  /** Whether the commit must store a session that is not stored yet. */
  get hasSomething(): boolean {
    return (
      this.isKept ||
      this.maxAge !== undefined ||
      this.#put.length > 0 ||
      Object.keys(this.merged(NOTHING).data).length > 0
    )
  }

  /** Whether it only deletes: if the session has ended, what it deletes is gone as well. */
  get isEmptied(): boolean {
    return (
      this.maxAge === undefined &&
      this.#put.length === 0 &&
      [...this.changes().values()].every(({ value }) => value === undefined)
    )
  }

  /**
   * Notes the record of its session that was read, `undefined` for none. The record that was read before becomes what the handler
   * sees, but data that the handler has accessed stays as it is.
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

  // ---- actions of the handler

  newValue(): string {
    return `${this.name}.${this.#values++}`
  }

  /** What the handler must find in a key. */
  valueOf(key: Key): unknown {
    const entry = this.#entries.get(key)
    if (entry !== undefined) return entry.value
    const stored = this.seen.data[key]
    if (!Array.isArray(stored)) return stored
    // A handler that holds an object keeps working on that object.
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

  // ---- what must be stored

  /** Its changes by key: the value that it read and the value that it wants. */
  changes(): Map<string, Readonly<Entry>> {
    return new Map([...this.#entries].filter(([, { base, value }]) => !isDeepStrictEqual(base, value)))
  }

  /** The stored contents with its own changes applied. */
  merged({ data, flash }: Contents): Contents {
    const merged: Record<string, unknown> = { ...data }
    for (const [key, { value }] of this.changes()) merged[key] = structuredClone(value)
    for (const key of Object.keys(merged)) if (merged[key] === undefined) Reflect.deleteProperty(merged, key)
    return { data: merged, flash: [...flash.filter(([, value]) => !this.#taken.has(value)), ...this.#put] }
  }

  /** The keys that both this request and another one changed. */
  conflicts({ data }: Contents): string[] {
    return [...this.changes()].filter(([key, { base }]) => !isDeepStrictEqual(base, data[key])).map(([key]) => key)
  }

  // ---- outcomes

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

  /** Goes on with the stored contents. Pending changes and held objects are dropped. */
  restart(stored: Contents): void {
    this.maxAge = undefined
    this.known = stored
    this.read = undefined
    this.#entries.clear()
    this.seen = stored
    this.#put = []
    this.#taken.clear()
  }

  /** Its changes were refused: drops them and goes on with the stored contents. */
  drop(): void {
    this.dropped.push(...this.pendingValues())
    this.restart(this.read ?? this.known)
  }

  /** The values that it wants to store, and those that must never be stored. */
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

/** The contents that are kept under a new id. */
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
  // Messages were for the previous owner.
  return { data: some, flash: isSomebodyElse ? [] : flash, owner: signIn ?? owner, isFresh: false }
}
