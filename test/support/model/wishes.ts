// What one request read in its session and wants to change. Computes what must be stored when its changes meet those of other
// requests, independently of how the core does it.
import { isDeepStrictEqual } from 'node:util'

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

export abstract class Wishes {
  /** The prefix of the values that it sets: each value is set once, by one request of one browser. */
  readonly name: string
  /** Whether its handler has accessed data. */
  hasLooked = false
  /** Whether the session is to be stored even without data. */
  isKept = false
  /** The lifetime that it set for its session and that is not stored yet, in milliseconds. */
  maxAge: number | undefined = undefined
  /** Values of updates that failed. */
  readonly dropped: string[] = []
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

  constructor(name: string) {
    this.name = name
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

  // ---- actions of the handler

  newValue(): string {
    return `${this.name}.${this.#values++}`
  }

  /** What the handler must find in a key. */
  valueOf(key: string): unknown {
    const entry = this.#entries.get(key)
    if (entry !== undefined) return entry.value
    const stored = this.seen.data[key]
    if (!isObject(stored)) return stored
    // A handler that holds an object keeps working on that object.
    const value = structuredClone(stored)
    this.#entries.set(key, { base: stored, value })
    return value
  }

  set(key: string, value: unknown): void {
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
    for (const key of Object.keys(this.merged(this.seen).data)) this.set(key, undefined)
    for (const [key, value] of Object.entries(data)) this.set(key, value)
  }

  put(key: string, value: string): void {
    this.#put.push([key, value])
  }

  /** The messages that it puts. */
  get messages(): readonly Message[] {
    return this.#put
  }

  /** The messages that the handler must get. */
  take(key: string): string[] {
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

  /** What is kept under the new id that it asks for. */
  abstract get keep(): boolean | readonly string[]

  /** The keys that both this request and another one changed, and that are kept. */
  conflicts({ data }: Contents): string[] {
    const { keep } = this
    const kept = [...this.changes()].filter(([key]) => (typeof keep === 'boolean' ? keep : keep.includes(key)))
    return kept.filter(([key, { base }]) => !isDeepStrictEqual(base, data[key])).map(([key]) => key)
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
    for (const [key, { value }] of this.#entries) if (!isObject(value)) this.#entries.delete(key)
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
      if (!isObject(value)) return [value]
      const read: unknown[] = isObject(base) ? Object.values(base) : []
      return Object.values<unknown>({ ...value }).filter((one) => !read.includes(one))
    })
    return [
      ...this.dropped,
      ...values.filter((value) => typeof value === 'string'),
      ...this.#put.map(([, value]) => value),
    ]
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
