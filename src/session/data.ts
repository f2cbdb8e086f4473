// What `session.data` is: a view that behaves as a plain object over an immutable snapshot and the keys that this
// request touched. Cost follows what was touched: an untouched key is neither copied nor compared.
import { inspect } from 'node:util'
import { ABSENT, valueOf, type Change, type Changes, type Snapshot } from '../record/merge.ts'
import type { Codec } from '../record/codec.ts'
import { SessionError } from '../errors.ts'

/** Decides whether data may be used now; throws the error that says why not. */
export interface Gate {
  readable(): void
  writable(): void
}

/** A key that this request read as an object, wrote or deleted. */
interface Entry {
  readonly key: string
  /** What the handler holds or put there. */
  value: unknown
  /** What was stored when it was touched: the value itself is never handed out. */
  base: unknown
  /** The objects that our copy is made of, to be frozen when it is detached; `undefined` where `value` is the app's own. */
  lent: readonly object[] | undefined
}

/** What a request touches is a few keys: to look through them costs less than to make a Map. */
const FEW = 16

const NONE: readonly Entry[] = []

/** The keys that a request touched, in the order in which it did. */
class Entries {
  #list: Entry[] = []
  #byKey: Map<string, Entry> | undefined = undefined;

  [Symbol.iterator](): Iterator<Entry> {
    return this.#list[Symbol.iterator]()
  }

  get(key: string): Entry | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(key)
    for (const entry of this.#list) if (entry.key === key) return entry
    return undefined
  }

  /** An entry for a key that has none. */
  add(entry: Entry): void {
    this.#list.push(entry)
    if (this.#byKey !== undefined) this.#byKey.set(entry.key, entry)
    else if (this.#list.length > FEW) this.#byKey = new Map(this.#list.map((one) => [one.key, one]))
  }

  /** Keeps those that `isKept` says so of. */
  filter(isKept: (entry: Entry) => boolean): void {
    this.#list = this.#list.filter(isKept)
    this.#byKey = this.#list.length > FEW ? new Map(this.#list.map((one) => [one.key, one])) : undefined
  }
}

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
    for (const key of Object.keys(this.#snapshot)) if (this.#entries?.get(key) === undefined) return false
    for (const { value } of this.#entries ?? NONE) if (!isGone(value)) return false
    return true
  }

  /**
   * What was changed since it was read, as copies: the handler may go on writing.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` where a changed value cannot be stored as it is.
   */
  changes(): Changes {
    const changes: Change[] = []
    for (const entry of this.#entries ?? NONE) {
      if (!this.#isChanged(entry)) continue
      const { key, base, value } = entry
      changes.push({ key, base, value: isGone(value) ? ABSENT : this.#codec.copy(value, 'session.data', key) })
    }
    return changes
  }

  /** Makes changes pending again, over this snapshot: what `update` starts from. */
  adopt(changes: Changes): void {
    for (const { key, value } of changes) this.#lend(key, value, valueOf(this.#snapshot, key))
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
    for (const { key } of changes) {
      const entry = this.#entries?.get(key)
      if (entry !== undefined) entry.base = valueOf(snapshot, key)
    }
    this.#entries?.filter((entry) => isObject(entry.value) || this.#isChanged(entry))
  }

  /** `changes` are dealt with and the snapshot is another one: what was lent before is detached, and writing to it throws. */
  detach(snapshot: Snapshot, changes: Changes): void {
    this.#snapshot = snapshot
    const dealtWith = new Map(changes.map((change) => [change.key, change]))
    this.#entries?.filter((entry) => {
      const seen = dealtWith.get(entry.key)
      if (seen !== undefined) entry.base = seen.value
      const stored = valueOf(snapshot, entry.key)
      if (this.#isChanged(entry)) {
        // Written while the store was asked: still to come.
        if (seen !== undefined) entry.base = stored
        return true
      }
      if (
        entry.lent === undefined &&
        isObject(entry.value) &&
        stored !== ABSENT &&
        this.#codec.same(entry.value, stored)
      ) {
        // An object of the app's own is not ours to freeze; as long as it is what is stored, it stays attached.
        entry.base = stored
        return true
      }
      freeze(entry.lent)
      return false
    })
  }

  /** Forgets what this request changed. */
  reset(snapshot: Snapshot): void {
    this.#snapshot = snapshot
    for (const { lent } of this.#entries ?? NONE) freeze(lent)
    this.#entries = undefined
  }

  /** From now on what was handed out and what will be is frozen. */
  seal(): void {
    if (this.#frozen) return
    this.#frozen = true
    for (const { lent } of this.#entries ?? NONE) freeze(lent)
  }

  #isChanged({ value, base }: Entry): boolean {
    if (isGone(value) || base === ABSENT) return isGone(value) !== (base === ABSENT)
    return !this.#codec.same(value, base)
  }

  #lend(key: string, stored: unknown, base: unknown): unknown {
    const lent: object[] = []
    const value = stored === ABSENT ? ABSENT : this.#codec.lend(stored, lent)
    if (this.#frozen) freeze(lent)
    const entry = this.#entries?.get(key)
    if (entry === undefined) this.#touch({ key, value, base, lent })
    else Object.assign(entry, { value, base, lent })
    return value
  }

  #touch(entry: Entry): void {
    this.#entries ??= new Entries()
    this.#entries.add(entry)
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
      this.#touch({ key, value, base: valueOf(this.#snapshot, key), lent: undefined })
    } else if (entry.value !== value) {
      entry.value = value
      entry.lent = undefined
    }
  }

  #keys(): string[] {
    const keys = Object.keys(this.#snapshot)
    if (this.#entries === undefined) return keys
    const present = keys.filter((key) => this.#entries?.get(key)?.value !== ABSENT)
    for (const { key, value, base } of this.#entries) {
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
      if (receiver !== target.#view)
        return Reflect.defineProperty(receiver as object, key, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        })
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
