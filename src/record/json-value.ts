// What JSON makes of a value, by our own walks: they are bounded in depth and size, and name the path of a refused value.
import { types } from 'node:util'
import { setOwn } from './changes.ts'
import { printable, SessionError } from '../errors.ts'

/** Deeper nesting overflows the stack of some JSON implementations, at the latest when it is read back. */
export const DEEPEST = 1000

/** The position of a walk: the name of the root value, then keys and indexes. */
export type Path = (string | number)[]

/** How many more values a walk may visit: shared parts can multiply without end. */
export interface Budget {
  left: number
}

type Json = Readonly<Record<string, unknown>>

/**
 * A copy of a value that JSON keeps as it is.
 *
 * @throws {SessionError} `ERR_SESSION_VALUE` naming the path of what JSON would change, `ERR_SESSION_TOO_LARGE` over budget.
 */
export function copyJson(value: unknown, path: Path, budget: Budget): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (!Number.isFinite(value)) throw refused(path, String(value))
      // JSON has no negative zero.
      return value + 0
    case 'object':
      break
    default:
      throw refused(path, value === undefined ? 'undefined' : `a ${typeof value}`)
  }
  if (value === null) return null
  spend(budget, path, 1)
  return Array.isArray(value) ? copyArray(value, path, budget) : copyObject(value, path, budget)
}

function copyArray(value: readonly unknown[], path: Path, budget: Budget): unknown[] {
  if (!isPlainArray(value)) throw refused(path, 'an array with holes, extra properties or a class of its own')
  spend(budget, path, value.length)
  // Made at its full length: an array that grows reserves room for seventeen.
  const copy = new Array<unknown>(value.length)
  for (let index = 0; index < copy.length; index++) copy[index] = copyPart(value[index], index, path, budget)
  return copy
}

function copyObject(value: object, path: Path, budget: Budget): Record<string, unknown> {
  if (!isPlainObject(value)) throw refused(path, `an instance of ${className(value)}`)
  const keys = Object.keys(value)
  const hidden = hiddenProperty(value, keys)
  if (hidden !== undefined) throw refused(path, hidden)
  const copy: Record<string, unknown> = {}
  for (const key of keys) {
    const part = (value as Json)[key]
    if (part !== undefined) setOwn(copy, key, copyPart(part, key, path, budget))
  }
  return copy
}

function copyPart(part: unknown, step: string | number, path: Path, budget: Budget): unknown {
  if (typeof part === 'string' || typeof part === 'boolean') return part
  path.push(step)
  const copy = copyJson(part, path, budget)
  path.pop()
  return copy
}

/**
 * What `JSON.parse(JSON.stringify({ [key]: value }))[key]` gives; `undefined` for what `JSON.stringify` leaves out.
 *
 * @throws {SessionError} `ERR_SESSION_VALUE` for a cycle or a BigInt, `ERR_SESSION_TOO_LARGE` over budget.
 */
export function convertToJson(given: unknown, key: string, path: Path, budget: Budget): unknown {
  const value = unwrap(given, key)
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value + 0 : null
    case 'bigint':
      throw refused(path, 'a bigint')
    case 'object':
      break
    default:
      return
  }
  if (value === null) return null
  spend(budget, path, 1)
  if (!Array.isArray(value)) return convertObject(value, path, budget)
  spend(budget, path, value.length)
  const list: unknown[] = []
  for (let index = 0; index < value.length; index++) {
    path.push(index)
    list.push(convertToJson(value[index], String(index), path, budget) ?? null)
    path.pop()
  }
  return list
}

function convertObject(value: object, path: Path, budget: Budget): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    path.push(key)
    const part = convertToJson((value as Json)[key], key, path, budget)
    path.pop()
    if (part !== undefined) setOwn(copy, key, part)
  }
  return copy
}

/** ECMA-262, SerializeJSONProperty: `toJSON` first (a BigInt's too), then objects around a primitive. */
function unwrap(value: unknown, key: string): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'bigint'))
    return value
  const { toJSON } = value as { readonly toJSON?: unknown }
  const told: unknown = typeof toJSON === 'function' ? toJSON.call(value, key) : value
  const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => value is { rawJSON: string } }
  if (isRawJSON?.(told)) return JSON.parse(told.rawJSON)
  if (types.isNumberObject(told)) return Number(told)
  if (types.isStringObject(told)) return String(told)
  return types.isBooleanObject(told) || types.isBigIntObject(told) ? told.valueOf() : told
}

/** Whether JSON keeps the value unchanged and it equals the stored one, the order of keys included. */
export function sameJson(value: unknown, stored: unknown): boolean {
  if (typeof value !== 'object' || typeof stored !== 'object' || value === null || stored === null)
    return value === stored
  if (Array.isArray(value)) {
    return (
      Array.isArray(stored) &&
      value.length === stored.length &&
      isPlainArray(value) &&
      stored.every((part, index) => sameJson(value[index], part))
    )
  }
  return !Array.isArray(stored) && isPlainObject(value) && sameProperties(value as Json, stored as Json)
}

function sameProperties(value: Json, stored: Json): boolean {
  const keys = Object.keys(value)
  if (hiddenProperty(value, keys) !== undefined) return false
  const storedKeys = Object.keys(stored)
  let count = 0
  for (const key of keys) {
    const part = value[key]
    if (part === undefined) continue
    if (key !== storedKeys[count++] || !sameJson(part, stored[key])) return false
  }
  return count === storedKeys.length
}

/** A copy of a stored value; the objects that it is made of are added to `made`. */
export function cloneJson(stored: unknown, made: object[]): unknown {
  if (typeof stored !== 'object' || stored === null) return stored
  if (Array.isArray(stored)) {
    const list: unknown[] = []
    for (const part of stored) list.push(cloneJson(part, made))
    made.push(list)
    return list
  }
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(stored)) setOwn(copy, key, cloneJson((stored as Json)[key], made))
  made.push(copy)
  return copy
}

/** Whether an object is no instance of a class. Any root prototype counts: objects of another realm (vm, a test runner) are plain too. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Whether a value can be the data of a session, or a part of it with names: a plain object. */
export function isData(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isPlainObject(value)
}

/** A property beside `keys` that JSON leaves out, if any. These two checks are cheaper than `Reflect.ownKeys`. */
function hiddenProperty(value: object, keys: readonly string[]): string | undefined {
  if (Object.getOwnPropertySymbols(value).length > 0) return 'an object with a symbol for a key'
  if (Object.getOwnPropertyNames(value).length === keys.length) return
  return 'an object with a property that is not enumerable'
}

function isPlainArray(value: readonly unknown[]): boolean {
  return Array.isArray(Object.getPrototypeOf(value)) && Object.keys(value).length === value.length
}

function className(value: object): string {
  const { constructor } = value as { constructor?: { name?: unknown } }
  return typeof constructor?.name === 'string' && constructor.name !== '' ? constructor.name : 'a class'
}

/** Whether a value that was parsed nests deeper than `limit`. */
export function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (limit === 0) return true
  for (const part of Object.values(value)) if (isDeeper(part, limit - 1)) return true
  return false
}

function spend(budget: Budget, path: Path, count: number): void {
  if (path.length > DEEPEST) throw refused(path, `nested more than ${DEEPEST} deep, or containing itself`)
  budget.left -= count
  if (budget.left >= 0) return
  throw new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `${shown(String(path[0]))} has more parts than options.maxBytes could hold: store less, or a reference to it`,
  )
}

/** @returns the error for a value that would not come back as it is. */
export function refused(path: readonly (string | number)[], what: string, cause?: unknown): SessionError {
  const [start, ...steps] = path
  const place = `${String(start)}${steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`
  return new SessionError(
    'ERR_SESSION_VALUE',
    `${shown(place)} cannot be stored as it is (${shown(what)}): convert it first, or pass a codec that keeps it, such as devalue`,
    cause === undefined ? undefined : { cause },
  )
}

/** Cut, and on one line, because names of keys reach logs. */
function shown(text: string): string {
  return printable(text.length > 200 ? `${text.slice(0, 200)}...` : text)
}
