// `session.data`: a proxy that behaves as a plain object, over an immutable snapshot and the keys that this request touched.
// Only touched keys cost anything: an untouched key is neither copied nor compared.
import { inspect } from 'node:util'
import { ABSENT, NO_CHANGES, valueOf, type Change, type Changes, type Snapshot } from '../record/changes.ts'
import type { Codec } from '../record/codec.ts'
import { freeze, objectsOf } from '../record/objects.ts'
import { closedError, destroyedError, invalidMix, SessionError } from '../errors.ts'
import { isObject } from '../store.ts'
import { Entries, type Entry } from './entries.ts'
import { updateAround } from './inside-update.ts'
import type { RequestSession } from './request-session.ts'

/** What data needs to know of its session: whether it may be used, and whether a running update works on other data. */
export type DataSession = Pick<RequestSession, 'core' | 'publicId' | 'status' | 'phase'>

const NO_ENTRIES: readonly Entry[] = []

/** What the touched keys of data held. */
export type Held = ReadonlyMap<Entry, unknown>

/**
 * How changes were dealt with, if not stored: `'failed'`, or what the keys held when the session began anew. What was assigned since
 * is new there; what was written into an object of the session before stays behind.
 */
export type Detached = 'failed' | Held

export class Data {
  #snapshot: Snapshot
  readonly #codec: Codec
  readonly #session: DataSession | undefined
  /** The object that a handler holds. */
  readonly proxy: object
  #entries: Entries | undefined
  /** The objects that were handed out as copies, wherever the app put them since. */
  #lent: object[] | undefined
  #isFrozen: boolean

  /** Without a session, it is the data that the function of an update works on. */
  constructor(snapshot: Snapshot, codec: Codec, session?: DataSession) {
    this.#snapshot = snapshot
    this.#codec = codec
    this.#session = session
    // Nothing stores what is written into objects that are taken for the first time after the commit.
    this.#isFrozen = (session?.phase ?? 'open') !== 'open'
    this.proxy = new Proxy(this, Data.#handler)
  }

  /** Whether data holds no key: a new session without one need not be kept. */
  get isEmpty(): boolean {
    for (const key of Object.keys(this.#snapshot)) if (this.#entries?.get(key) === undefined) return false
    for (const { value } of this.#entries?.list ?? NO_ENTRIES) if (value !== ABSENT && value !== undefined) return false
    return true
  }

  /**
   * The changes since the data was read, as copies, because the handler may go on writing.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` if a changed value cannot be stored as it is.
   */
  changes(): Changes {
    if (this.#entries === undefined) return NO_CHANGES.changes
    const changes: Change[] = []
    for (const entry of this.#entries.list) {
      if (!this.#isChanged(entry)) continue
      const { key, base, value } = entry
      // The form in which the value is stored; `undefined` if it is not.
      let kept: unknown
      if (value !== ABSENT && value !== undefined)
        kept = this.#isScalar(value) ? value : this.#codec.copy(value, 'session.data', key)
      if (kept === undefined && base === ABSENT) continue
      changes.push({ key, base, value: kept === undefined ? ABSENT : kept })
    }
    return changes
  }

  /** Makes changes pending over this snapshot, as the start of `update`. */
  adopt(changes: Changes): void {
    for (const { key, value } of changes) this.#lend(key, value, valueOf(this.#snapshot, key))
  }

  /** Replaces everything; keys that are not in `contents` are deleted. Keys that stay keep their place in the order. */
  replaceAll(contents: object): void {
    const data = this.#toWrite()
    const next = Object.entries(contents)
    for (const key of data.#keys()) data.#write(key, ABSENT)
    for (const [key, value] of next) data.#write(key, value)
  }

  /**
   * After a commit: `changes` are stored, and `snapshot` is what is stored now. Objects that the handler holds stay attached.
   *
   * The base of a stored key is this request's own value: a later change in the same write belongs to another request.
   */
  settle(snapshot: Snapshot, changes: Changes): void {
    this.#snapshot = snapshot
    for (const { key, value } of changes) {
      const entry = this.#entries?.get(key)
      if (entry !== undefined) entry.base = value
    }
    this.#entries?.filter((entry) => isObject(entry.value) || this.#isChanged(entry))
  }

  /**
   * `changes` are dealt with, and the snapshot is another one: objects lent before are detached, and writing to them throws. See
   * {@link Detached} for `how`.
   */
  detach(snapshot: Snapshot, changes: Changes, how?: Detached): void {
    this.#snapshot = snapshot
    if (this.#entries === undefined) return
    const dealtWith = new Map(changes.map((change) => [change.key, change]))
    const lent = new Set(this.#lent)
    const attached: unknown[] = []
    this.#entries.filter((entry) => {
      const seen = dealtWith.get(entry.key)
      if (seen !== undefined) entry.base = seen.value
      const stored = valueOf(snapshot, entry.key)
      const { value } = entry
      if (typeof how === 'object' && stored === ABSENT) {
        if (lent.has(value as object) || how.get(entry) === value) return false
        if (seen === undefined) entry.base = ABSENT
      }
      if (this.#isChanged(entry)) {
        // Written during the store call: still pending.
        if (seen !== undefined) entry.base = how === 'failed' ? seen.base : stored
        attached.push(value)
        return true
      }
      // An object of the app's own must not be frozen. It stays attached as long as it equals what is stored.
      if (!isObject(value) || lent.has(value) || stored === ABSENT || !this.#codec.same(value, stored)) return false
      entry.base = stored
      attached.push(value)
      return true
    })
    this.#freezeLent(attached)
  }

  /** Forgets what was assigned and changed nothing. @returns what else is assigned. */
  held(): Held {
    this.settle(this.#snapshot, NO_CHANGES.changes)
    return new Map(this.#entries?.list.map((entry) => [entry, entry.value]))
  }

  /** Forgets what this request changed. */
  reset(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    this.#entries = undefined
    this.#freezeLent()
  }

  /** Freezes the objects that were handed out, and those that will be. Of an update, whose function has returned, writes throw then. */
  freeze(): void {
    this.#isFrozen = true
    if (this.#lent !== undefined) this.#freezeLent()
  }

  /** The same, and forgets what this request changed. */
  close(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    this.#entries = undefined
    this.freeze()
  }

  /** This data; inside the function of `session.update`, the data that the update works on. */
  #toRead(): Data {
    const session = this.#session
    if (session === undefined) return this
    const active = session.core.running === 0 ? undefined : updateAround(session)?.data
    if (active !== undefined) return active
    if (session.status === 'destroyed') throw destroyedError()
    return this
  }

  #toWrite(): Data {
    const session = this.#session
    if (session === undefined && this.#isFrozen)
      throw new SessionError(
        'ERR_SESSION_CLOSED',
        'the data of session.update() was written after its function had returned: await everything inside the function',
      )
    const data = this.#toRead()
    if (data === this && session !== undefined && session.phase !== 'open') throw closedError()
    return data
  }

  /** Freezes the lent copies that are no part of `attached`. An object of the app's own is never frozen. */
  #freezeLent(attached: readonly unknown[] = NO_ENTRIES): void {
    if (this.#lent === undefined) return
    const kept = attached.length === 0 ? undefined : objectsOf(attached)
    for (const object of this.#lent) if (kept?.has(object) !== true) freeze(object)
    this.#lent = kept && this.#lent.filter((object) => kept.has(object))
  }

  #isChanged({ value, base }: Entry): boolean {
    // An `undefined` property counts as deleted.
    const isDeleted = value === ABSENT || value === undefined
    if (isDeleted || base === ABSENT) return isDeleted !== (base === ABSENT)
    return this.#isScalar(value) && this.#isScalar(base) ? value !== base : !this.#codec.same(value, base)
  }

  /** Whether a value is stored as it is, without a look inside. */
  #isScalar(value: unknown): boolean {
    if (!this.#codec.keepsScalars) return false
    return typeof value === 'string' || typeof value === 'boolean' || (value !== 0 && Number.isFinite(value))
  }

  /** Hands out a copy of a value under a key that was not touched yet. */
  #lend(key: string, stored: unknown, base: unknown): unknown {
    const value = stored === ABSENT ? ABSENT : this.#codec.lend(stored, (this.#lent ??= []))
    if (this.#isFrozen) this.#freezeLent()
    ;(this.#entries ??= new Entries()).add({ key, value, base })
    return value
  }

  #has(key: string): boolean {
    const entry = this.#entries?.get(key)
    return entry === undefined ? Object.hasOwn(this.#snapshot, key) : entry.value !== ABSENT
  }

  #read(key: string): unknown {
    const entry = this.#entries?.get(key)
    if (entry !== undefined) return entry.value === ABSENT ? inherited(key) : entry.value
    if (!Object.hasOwn(this.#snapshot, key)) return inherited(key)
    const base = this.#snapshot[key]
    return typeof base === 'object' && base !== null ? this.#lend(key, base, base) : base
  }

  #write(key: string, value: unknown): void {
    const entry = this.#entries?.get(key)
    if (entry !== undefined) {
      entry.value = value
      return
    }
    const base = Object.hasOwn(this.#snapshot, key) ? this.#snapshot[key] : ABSENT
    ;(this.#entries ??= new Entries()).add({ key, value, base })
  }

  /** Each key once, in the order in which they will be stored: stored ones keep their place, new ones follow. */
  #keys(): string[] {
    if (this.#entries === undefined) return Object.keys(this.#snapshot)
    // An object orders its keys as the next request will find them: keys like indexes come first.
    const keys = Object.create(null) as Record<string, true>
    for (const key of Object.keys(this.#snapshot)) if (this.#entries.get(key)?.value !== ABSENT) keys[key] = true
    for (const { key, value } of this.#entries.list) if (value !== ABSENT) keys[key] = true
    return Object.keys(keys)
  }

  // One handler for all requests. The target is the Data itself, whose own properties are never shown.
  static readonly #handler: ProxyHandler<Data> = {
    get(target, key) {
      return typeof key === 'symbol' ? undefined : target.#toRead().#read(key)
    },
    set(target, key, value, receiver) {
      // An object that inherits from data keeps its own properties itself.
      if (receiver !== target.proxy) return Reflect.set(Object.create(null) as object, key, value, receiver)
      const data = target.#toWrite()
      if (typeof key === 'symbol') throw symbolKey()
      data.#write(key, value)
      return true
    },
    deleteProperty(target, key) {
      const data = target.#toWrite()
      if (typeof key === 'string' && data.#has(key)) data.#write(key, ABSENT)
      return true
    },
    has(target, key) {
      const data = target.#toRead()
      return typeof key === 'string' && (data.#has(key) || inherited(key) !== undefined)
    },
    ownKeys(target) {
      return target.#toRead().#keys()
    },
    getOwnPropertyDescriptor(target, key) {
      const data = target.#toRead()
      if (typeof key === 'symbol' || !data.#has(key)) return
      return { value: data.#read(key), writable: true, enumerable: true, configurable: true }
    },
    defineProperty(target, key, property) {
      const data = target.#toWrite()
      if (typeof key === 'symbol') throw symbolKey()
      // An attribute that is left out stays as it is; for a new property it is false.
      const fallback = data.#has(key)
      const { writable = fallback, enumerable = fallback, configurable = fallback } = property
      if ('get' in property || 'set' in property || !writable || !enumerable || !configurable)
        throw invalidMix(
          `session.data keeps plain properties alone, which are writable, enumerable and configurable: assign the value instead of defining it`,
        )
      if ('value' in property || !fallback) data.#write(key, property.value)
      return true
    },
    preventExtensions() {
      throw invalidMix('session.data cannot be frozen or sealed: freeze a copy of it, { ...session.data }')
    },
    setPrototypeOf(_target, prototype) {
      if (prototype === Object.prototype) return true
      throw invalidMix('session.data is a plain object and has no other prototype')
    },
    getPrototypeOf: () => Object.prototype,
  }
}

// util.inspect shows the app's data. Node takes this method from the proxy's target and calls it on the proxy.
Object.defineProperty(Data.prototype, inspect.custom, {
  value(this: Record<string, unknown>): unknown {
    return Object.fromEntries(Object.entries(this))
  },
})

export function symbolKey(): SessionError {
  return new SessionError('ERR_SESSION_VALUE', 'session.data takes strings for keys: a symbol cannot be stored')
}

/** A member that every plain object inherits. Not `__proto__`: through it a key that a client chose could reach every object. */
function inherited(key: string): unknown {
  return key === '__proto__' ? undefined : (Object.prototype as unknown as Record<string, unknown>)[key]
}
