// The types of what a request changed: snapshots, changes of keys, flash messages.

/** The data of a session as it was stored: shared, never handed out, never written to. */
export type Snapshot = Readonly<Record<string, unknown>>

/** Stands for "no such key": `undefined` cannot, because a codec may keep it as a value. */
export const ABSENT: unique symbol = Symbol('absent')

/** The change of one top-level key: the value that the request read, and the new value. */
export interface Change {
  readonly key: string
  readonly base: unknown
  readonly value: unknown
}

/** The changes of one request, one for each key. */
export type Changes = readonly Change[]

/** A message for a later request: a random tag that distinguishes it from equal messages, its key and its value. */
export type Flash = readonly [tag: string, key: string, value: unknown]

/** What a request did with flash messages: those it put, and the tags of the stored ones that it took. */
export interface FlashChanges {
  readonly put: readonly Flash[]
  readonly taken: ReadonlySet<string>
}

/** All that a request wants to change. */
export interface PendingChanges extends FlashChanges {
  readonly changes: Changes
  /** The session's new lifetime of its own, in milliseconds; `undefined` where the request did not set it. */
  readonly maxAge: number | undefined
  /** What all data was replaced by; `undefined` where it was not. Compared by identity alone. */
  readonly replacement?: object | undefined
  /** All data as the request sees it, where nothing else that was stored is kept in its new session. */
  readonly seen?: Snapshot
}

/** No changes, recognised by identity. */
export const NO_CHANGES: PendingChanges = Object.freeze({
  changes: Object.freeze([]),
  put: Object.freeze([]),
  taken: new Set<string>(),
  maxAge: undefined,
})

/** The value of a key. Only own properties count: `toString` is not data. */
export function valueOf(snapshot: Snapshot, key: string): unknown {
  return Object.hasOwn(snapshot, key) ? snapshot[key] : ABSENT
}

/** Assigns an own property, `__proto__` included, which plain assignment would take for the prototype. */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else object[key] = value
}
