// An object whose own enumerable properties are data, and which has the members of another object as well.
import { invalidMix } from '../errors.ts'
import { setOwn } from '../record/changes.ts'
import { isPlainObject } from '../record/json-value.ts'

export type Bag = Record<string, unknown>

/** Where a facade reads data and writes it. */
export interface BagSource {
  readonly read: () => Bag
  /** Throws where nothing may be written any more. */
  readonly write: () => Bag
  /** What a replaced object shows. Its keys come before the names of the object, because all of its data may be kept. */
  readonly past: () => Bag | undefined
  /** Whether a replaced object showed that value under that key. */
  readonly wasShown: (key: string | symbol, value: unknown) => boolean
}

/** Data as own enumerable properties over an object whose names come first. */
export class DataFacade implements ProxyHandler<object> {
  readonly #bag: BagSource
  readonly #own: Bag
  readonly #prototype: object

  constructor(bag: BagSource, own: Bag, prototype: object) {
    this.#bag = bag
    this.#own = own
    this.#prototype = prototype
  }

  get(target: object, key: string | symbol): unknown {
    const past = this.#bag.past()
    if (past !== undefined && Object.hasOwn(past, key)) return Reflect.get(past, key)
    if (typeof key === 'string' && Object.hasOwn(this.#own, key)) return this.#own[key]
    if (!isNamed(target, key)) return Reflect.get(this.#bag.read(), key)
    const value: unknown = Reflect.get(target, key)
    // A method of the manager needs the manager itself as `this`: a proxy has no private fields.
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
  }

  set(target: object, key: string | symbol, value: unknown): boolean {
    const isOfTarget = isNamed(target, key) && !this.#bag.wasShown(key, value)
    return isOfTarget ? Reflect.set(target, key, value) : Reflect.set(this.#bag.write(), key, value)
  }

  has(target: object, key: string | symbol): boolean {
    return isNamed(target, key) || Reflect.has(this.#bag.read(), key)
  }

  deleteProperty(_target: object, key: string | symbol): boolean {
    return Reflect.deleteProperty(this.#bag.write(), key)
  }

  ownKeys(): string[] {
    return Object.keys(this.#bag.read())
  }

  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    return Reflect.getOwnPropertyDescriptor(this.#bag.read(), key)
  }

  defineProperty(_target: object, key: string | symbol, property: PropertyDescriptor): boolean {
    return Reflect.defineProperty(this.#bag.write(), key, property)
  }

  getPrototypeOf(): object {
    return this.#prototype
  }

  setPrototypeOf(_target: object, prototype: object | null): boolean {
    return prototype === this.#prototype
  }

  preventExtensions(): boolean {
    throw invalidMix('a session cannot be frozen or sealed: freeze a copy of its data, { ...ctx.session }')
  }
}

/** Whether the object has a member of that name. Names that every object inherits may be keys of data, too. */
function isNamed(target: object, key: string | symbol): boolean {
  return key in target && (typeof key === 'symbol' || !(key in Object.prototype))
}

/** A copy that shares no plain object, array, Map, Set or Date with the value; other objects are not copied. */
export function copyOf(value: unknown, seen: Map<unknown, unknown> = new Map<unknown, unknown>()): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = seen.get(value)
  if (known !== undefined) return known
  const into = <Copy extends object>(copy: Copy): Copy => {
    seen.set(value, copy)
    return copy
  }
  if (Array.isArray(value)) {
    const list = into<unknown[]>([])
    for (const part of value) list.push(copyOf(part, seen))
    return list
  }
  if (value instanceof Date) return into(new Date(value))
  if (value instanceof Map) {
    const map = into(new Map<unknown, unknown>())
    for (const [key, part] of value as Map<unknown, unknown>) map.set(copyOf(key, seen), copyOf(part, seen))
    return map
  }
  if (value instanceof Set) {
    const set = into(new Set<unknown>())
    for (const part of value as Set<unknown>) set.add(copyOf(part, seen))
    return set
  }
  if (!isPlainObject(value)) return value
  const copy = into<Bag>({})
  for (const [key, part] of Object.entries(value)) setOwn(copy, key, copyOf(part, seen))
  return copy
}
