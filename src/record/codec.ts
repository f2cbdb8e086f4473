// How data becomes text and comes back: JSON, or what the app passes (devalue, superjson). Whatever a codec would
// change on the way is refused, in the request that wrote it, with the path to it.
import { isDeepStrictEqual } from 'node:util'
import { setOwn } from './merge.ts'
import { SessionError } from '../errors.ts'

/** A pair of functions that turn data into text and back; `devalue` and `superjson` fit as they are. */
export interface SessionCodec {
  /** What it throws for a value becomes `ERR_SESSION_VALUE`. */
  stringify(value: unknown): string
  /** Makes of that text an equal value, at each call a new one. What it throws means that the record is corrupt. */
  parse(text: string): unknown
}

/** A codec, and what data needs beside it. */
export interface Codec extends SessionCodec {
  /** Whether what a handler holds would be stored as `stored`. */
  same(value: unknown, stored: unknown): boolean
  /** A copy of a stored value that its receiver may change; the objects it is made of are added to `made`. */
  lend(stored: unknown, made: object[]): unknown
  /**
   * The value as it will be read back. `place` and `key` say where it stands: `session.data`, `cart`.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` naming the path where the codec would change it.
   */
  copy(value: unknown, place: string, key?: string): unknown
}

/** Deeper nesting overflows the stack of one JSON implementation or another, at the latest when it is read back. */
export const DEEPEST = 1000

/** JSON, refusing what JSON would change. At most `maxNodes` values in one key: shared parts can multiply without end. */
export function jsonCodec(maxNodes: number): Codec {
  return {
    stringify: (value) => JSON.stringify(value),
    parse(text) {
      const value: unknown = JSON.parse(text)
      // Nothing nests deeper than half its text has brackets. What is deeper overflows the stack when it is copied.
      if (text.length > DEEPEST * 2 && isDeeper(value, DEEPEST + 2))
        throw new RangeError('nested deeper than anything that was stored')
      return value
    },
    same: sameJson,
    lend: lendJson,
    copy(value, place, key) {
      // What needs no look inside; JSON has no negative zero.
      if (typeof value === 'string' || typeof value === 'boolean') return value
      if (typeof value === 'number' && Number.isFinite(value)) return value + 0
      const start = key === undefined ? place : `${place}.${key}`
      try {
        return copyJson(value, [start], { left: maxNodes })
      } catch (error) {
        if (error instanceof RangeError) throw refused([start], 'nested too deeply for the stack that is left', error)
        throw error
      }
    },
  }
}

/** An app's codec. Values go through it once more than with JSON: only it knows what it keeps. */
export function customCodec(codec: SessionCodec): Codec {
  return {
    stringify(value) {
      try {
        return codec.stringify(value)
      } catch (cause) {
        // Each value has passed by itself: it is the name of a key.
        throw refused(['session.data', ...pathIn(cause)], 'refused by options.codec', plain(cause))
      }
    },
    parse: (text) => codec.parse(text),
    same: (value, stored) => isDeepStrictEqual(value, stored),
    lend(stored, made) {
      if (typeof stored !== 'object' || stored === null) return stored
      const value = codec.parse(codec.stringify(stored))
      const seen = new Set<object>()
      collect(value, seen)
      made.push(...seen)
      return value
    },
    copy(value, place, key) {
      const start = key === undefined ? place : `${place}.${key}`
      let back: unknown
      let isSame: boolean
      try {
        back = codec.parse(codec.stringify(value))
        isSame = isDeepStrictEqual(back, value)
      } catch (cause) {
        throw refused([start, ...pathIn(cause)], 'refused by options.codec', plain(cause))
      }
      if (!isSame) throw refused([start], 'changed by options.codec')
      return back
    },
  }
}

/** The error without what it carries: devalue's hold the value, and all that it is part of. */
function plain(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined
  const { name, message, stack } = error
  return Object.assign(new Error(message), { name, stack })
}

/** devalue's errors say where they happened. */
function pathIn(error: unknown): string[] {
  const path = error instanceof Error && 'path' in error ? error.path : undefined
  return typeof path === 'string' && path !== '' ? [path.replace(/^\./, '')] : []
}

function refused(path: readonly (string | number)[], what: string, cause?: unknown): SessionError {
  const [start, ...steps] = path
  const place = `${String(start)}${steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`
  return new SessionError(
    'ERR_SESSION_VALUE',
    `${place.slice(0, 200)} cannot be stored as it is (${what}): convert it first, or pass a codec that keeps it, such as devalue`,
    cause === undefined ? undefined : { cause },
  )
}

function copyJson(value: unknown, path: (string | number)[], budget: { left: number }): unknown {
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
  if (path.length > DEEPEST) throw refused(path, `nested more than ${DEEPEST} deep, or containing itself`)
  if (--budget.left < 0) throw tooManyParts(path)
  return Array.isArray(value) ? copyArray(value, path, budget) : copyObject(value, path, budget)
}

function copyArray(value: readonly unknown[], path: (string | number)[], budget: { left: number }): unknown[] {
  if (!isPlainArray(value)) throw refused(path, 'an array with holes, extra properties or a class of its own')
  const copy: unknown[] = []
  for (let index = 0; index < value.length; index++) {
    path.push(index)
    copy.push(copyJson(value[index], path, budget))
    path.pop()
  }
  return copy
}

function copyObject(value: object, path: (string | number)[], budget: { left: number }): Record<string, unknown> {
  if (!isPlainObject(value)) throw refused(path, `an instance of ${className(value)}`)
  if (Object.getOwnPropertySymbols(value).length > 0) throw refused(path, 'an object with a symbol for a key')
  const copy: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value) as [string, unknown][]) {
    if (part === undefined) continue
    path.push(key)
    setOwn(copy, key, copyJson(part, path, budget))
    path.pop()
  }
  return copy
}

function tooManyParts(path: readonly (string | number)[]): SessionError {
  return new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `${String(path[0])} has more parts than options.maxBytes could hold: store less, or a reference to it`,
  )
}

function sameJson(value: unknown, stored: unknown): boolean {
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
  if (Array.isArray(stored) || !isPlainObject(value) || Object.getOwnPropertySymbols(value).length > 0) return false
  const there = stored as Record<string, unknown>
  let count = 0
  for (const [key, part] of Object.entries(value) as [string, unknown][]) {
    if (part === undefined) continue
    if (!Object.hasOwn(there, key) || !sameJson(part, there[key])) return false
    count++
  }
  return count === Object.keys(there).length
}

function lendJson(stored: unknown, made: object[]): unknown {
  if (typeof stored !== 'object' || stored === null) return stored
  if (Array.isArray(stored)) {
    const list = stored.map((part) => lendJson(part, made))
    made.push(list)
    return list
  }
  const copy: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(stored)) setOwn(copy, key, lendJson(part, made))
  made.push(copy)
  return copy
}

/** The objects of a value, each once: a codec may keep cycles. Map and Set are frozen outside only, no rule freezes their contents. */
function collect(value: unknown, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  for (const part of Object.values(value)) collect(part, seen)
}

/** Whether it is no instance of a class. Any root prototype will do: objects of another realm (vm, a test runner) are as plain as ours. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function isPlainArray(value: readonly unknown[]): boolean {
  return Array.isArray(Object.getPrototypeOf(value)) && Object.keys(value).length === value.length
}

function className(value: object): string {
  const { constructor } = value as { constructor?: { name?: unknown } }
  return typeof constructor?.name === 'string' && constructor.name !== '' ? constructor.name : 'a class'
}

function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (limit === 0) return true
  for (const part of Object.values(value)) if (isDeeper(part, limit - 1)) return true
  return false
}
