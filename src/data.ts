// What `session.data` is: a view that behaves as a plain object over an immutable snapshot and the keys that this
// request touched. Cost follows what was touched: an untouched key is neither copied nor compared.
import { inspect } from 'node:util'
import { ABSENT, valueOf, type Change, type Changes, type Snapshot } from './changes.ts'
import type { Codec } from './codec.ts'
import { SessionError } from './errors.ts'

/** Decides whether data may be used now; throws the error that says why not. */
export interface Gate {
  readable(): void
  writable(): void
}

/** A key that this request read as an object, wrote or deleted. */
interface Entry {
  /** What the handler holds or put there. */
  value: unknown
  /** What was stored when it was touched: the value itself is never handed out. */
  base: unknown
  /** The objects that our copy is made of, to be frozen when it is detached; `undefined` where `value` is the app's own. */
  lent: readonly object[] | undefined
}

type Entries = Map<string, Entry>

export class Data {
  #snapshot: Snapshot
  readonly #codec: Codec
  readonly #gate: Gate
  #entries: Entries | undefined = undefined
  #view: object | undefined = undefined
  #frozen = false

  constructor(snapshot: Snapshot, codec: Codec, gate: Gate) {
    this.#snapshot = snapshot
    this.#codec = codec
    this.#gate = gate
  }

  /** The object that a handler holds; the same one for the life of this. */
  get view(): object {
    return (this.#view ??= new Proxy(this, Data.#handler))
  }

  /** Whether any key was touched; if not there is nothing to compare. */
  get isTouched(): boolean {
    return this.#entries !== undefined
  }

  /** Whether data holds no key: a new session without one need not be kept. */
  get isEmpty(): boolean {
    return this.#keys().every((key) => this.#entries?.get(key)?.value === undefined && this.#entries?.has(key))
  }

  /**
   * What was changed since it was read, as copies: the handler may go on writing.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` where a changed value cannot be stored as it is.
   */
  changes(): Changes {
    const changes = new Map<string, Change>()
    if (this.#entries === undefined) return changes
    for (const [key, entry] of this.#entries) {
      if (!this.#isChanged(entry)) continue
      const value = isGone(entry.value) ? ABSENT : this.#codec.copy(entry.value, `session.data.${key}`)
      changes.set(key, { base: entry.base, value })
    }
    return changes
  }

  /** Makes changes pending again, over this snapshot: what `update` starts from. */
  adopt(changes: Changes): void {
    for (const [key, { value }] of changes) {
      this.#lend(key, value, valueOf(this.#snapshot, key))
    }
  }

  /** Replaces everything; keys that are not in `contents` are deleted. */
  replaceAll(contents: object): void {
    this.#gate.writable()
    const next = Object.entries(contents)
    for (const key of this.#keys()) this.#write(key, ABSENT)
    for (const [key, value] of next) this.#write(key, value)
  }

  /** After a commit: `changes` are stored, in `snapshot`. What the handler holds stays attached. */
  settle(snapshot: Snapshot, changes: Changes): void {
    this.#snapshot = snapshot
    if (this.#entries === undefined) return
    for (const [key, entry] of this.#entries) {
      if (changes.has(key)) entry.base = valueOf(snapshot, key)
      if (!isObject(entry.value) && !this.#isChanged(entry)) this.#entries.delete(key)
    }
  }

  /** `changes` are dealt with and the snapshot is another one: what was lent before is detached, and writing to it throws. */
  detach(snapshot: Snapshot, changes: Changes): void {
    this.#snapshot = snapshot
    for (const [key, entry] of this.#entries ?? []) {
      const seen = changes.get(key)
      if (seen !== undefined) entry.base = seen.value
      const stored = valueOf(snapshot, key)
      if (this.#isChanged(entry)) {
        // Written while the store was asked: still to come.
        if (seen !== undefined) entry.base = stored
      } else if (entry.lent === undefined && isObject(entry.value) && stored !== ABSENT && this.#codec.same(entry.value, stored)) {
        // An object of the app's own is not ours to freeze; as long as it is what is stored, it stays attached.
        entry.base = stored
      } else {
        this.#drop(key, entry)
      }
    }
  }

  /** Forgets what this request changed. */
  reset(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    for (const [key, entry] of this.#entries ?? []) this.#drop(key, entry)
  }

  /** The end of the request: from now on what is handed out is frozen. `isStored`: all changes were. */
  freeze(isStored: boolean): void {
    this.#frozen = true
    for (const [key, entry] of this.#entries ?? []) {
      if (isStored) this.#drop(key, entry)
      else freeze(entry.lent)
    }
  }

  #isChanged({ value, base }: Entry): boolean {
    if (isGone(value) || base === ABSENT) return isGone(value) !== (base === ABSENT)
    return !this.#codec.same(value, base)
  }

  #drop(key: string, entry: Entry): void {
    freeze(entry.lent)
    this.#entries?.delete(key)
  }

  #lend(key: string, stored: unknown, base: unknown): unknown {
    const lent: object[] = []
    const value = stored === ABSENT ? ABSENT : this.#codec.lend(stored, lent)
    if (this.#frozen) freeze(lent)
    this.#touched().set(key, { value, base, lent })
    return value
  }

  #touched(): Entries {
    return (this.#entries ??= new Map<string, Entry>())
  }

  #has(key: string): boolean {
    const entry = this.#entries?.get(key)
    return entry === undefined ? Object.hasOwn(this.#snapshot, key) : entry.value !== ABSENT
  }

  #read(key: string): unknown {
    const entry = this.#entries?.get(key)
    if (entry !== undefined) return entry.value === ABSENT ? inherited(key) : entry.value
    const base = valueOf(this.#snapshot, key)
    if (base === ABSENT) return inherited(key)
    return isObject(base) ? this.#lend(key, base, base) : base
  }

  #write(key: string, value: unknown): void {
    const entry = this.#entries?.get(key)
    if (entry === undefined) {
      this.#touched().set(key, { value, base: valueOf(this.#snapshot, key), lent: undefined })
    } else if (entry.value !== value) {
      entry.value = value
      entry.lent = undefined
    }
  }

  #keys(): string[] {
    const keys = Object.keys(this.#snapshot)
    if (this.#entries === undefined) return keys
    const present = keys.filter((key) => this.#entries?.get(key)?.value !== ABSENT)
    for (const [key, { value, base }] of this.#entries) {
      if (value !== ABSENT && (base === ABSENT || !Object.hasOwn(this.#snapshot, key))) present.push(key)
    }
    return present
  }

  // One handler for all requests: the target is the Data itself, its state is private and so never among the keys.
  static readonly #handler: ProxyHandler<Data> = {
    get(target, key) {
      if (typeof key === 'symbol') return undefined
      target.#gate.readable()
      return target.#read(key)
    },
    set(target, key, value, receiver) {
      // An object that inherits from data keeps its own properties itself.
      if (receiver !== target.#view) return Reflect.defineProperty(receiver as object, key, { value, writable: true, enumerable: true, configurable: true })
      target.#gate.writable()
      target.#write(named(key), value)
      return true
    },
    deleteProperty(target, key) {
      target.#gate.writable()
      if (typeof key === 'string' && target.#has(key)) target.#write(key, ABSENT)
      return true
    },
    has(target, key) {
      target.#gate.readable()
      return typeof key === 'string' && (target.#has(key) || inherited(key) !== undefined)
    },
    ownKeys(target) {
      target.#gate.readable()
      return target.#keys()
    },
    getOwnPropertyDescriptor(target, key) {
      target.#gate.readable()
      if (typeof key === 'symbol' || !target.#has(key)) return undefined
      return { value: target.#read(key), writable: true, enumerable: true, configurable: true }
    },
    defineProperty(target, key, property) {
      if ('get' in property || 'set' in property) return false
      if (property.writable === false || property.enumerable === false || property.configurable === false) return false
      target.#gate.writable()
      const name = named(key)
      if ('value' in property || !target.#has(name)) target.#write(name, property.value)
      return true
    },
    preventExtensions: () => false,
    setPrototypeOf: (_target, prototype) => prototype === Object.prototype,
    getPrototypeOf: () => Object.prototype,
  }
}

// Print-outs show what the app keeps. Node takes this method from the proxy's target and calls it on the proxy.
Object.defineProperty(Data.prototype, inspect.custom, {
  value(this: Record<string, unknown>): unknown {
    return Object.fromEntries(Object.entries(this))
  },
})

function named(key: string | symbol): string {
  if (typeof key === 'string') return key
  throw new SessionError('ERR_SESSION_VALUE', 'session.data takes strings for keys: a symbol cannot be stored')
}

/** What any plain object has. Not `__proto__`: through it a key that a client chose could reach every object. */
function inherited(key: string): unknown {
  return key === '__proto__' ? undefined : (Object.prototype as unknown as Record<string, unknown>)[key]
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** An `undefined` property counts as deleted. */
function isGone(value: unknown): boolean {
  return value === ABSENT || value === undefined
}

/** Only what we made: an object that the app put into a copy of ours stays the app's. */
function freeze(lent: readonly object[] | undefined): void {
  if (lent === undefined) return
  // A typed array cannot be frozen while it has elements.
  for (const object of lent) if (!ArrayBuffer.isView(object)) Object.freeze(object)
}
