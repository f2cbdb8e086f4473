// How data becomes text and comes back: JSON, or what the app passes (devalue, superjson). What a codec would change on the
// way is refused, in the request that wrote it, with the path to it.
import { isDeepStrictEqual } from 'node:util'
import type { Snapshot } from './changes.ts'
import { objectsOf } from './objects.ts'
import { cloneJson, convertToJson, copyJson, DEEPEST, isDeeper, refused, sameJson } from './json-value.ts'
import type { SessionError } from '../errors.ts'

/** A pair of functions that turn data into text and back; `devalue` and `superjson` fit as they are. */
export interface SessionCodec {
  /** What it throws for a value becomes `ERR_SESSION_VALUE`. Equal texts mean equal values: an equal value is no change. */
  stringify(value: unknown): string
  /** Makes of that text an equal value, at each call a new one. What it throws means that the record is corrupt. */
  parse(text: string): unknown
}

/** A codec, and what data needs beside it. A stored value is never changed: what is known of it may be kept by its identity. */
export interface Codec extends SessionCodec {
  /**
   * Whether texts, truth values and finite numbers but zero are stored as they are: then neither `copy` nor `same` need be
   * asked about them.
   */
  readonly keepsScalars: boolean
  /** The text of `data` alone, or of the list `[data, ...beside]`. */
  stringifyContents(data: Snapshot, beside: readonly unknown[]): string
  /** Whether what a handler holds would be stored as `stored`. */
  same(value: unknown, stored: unknown): boolean
  /** A copy of a stored value that its receiver may change; the objects it is made of are added to `made`. */
  lend(stored: unknown, made: object[]): unknown
  /**
   * The value as it will be read back; `undefined` where the codec leaves it out of data. `place` and `key` say where it
   * stands: `session.data`, `cart`. Without a key it stands in a list.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` naming the path where the codec would change it.
   */
  copy(value: unknown, place: string, key?: string): unknown
}

/** From this length on the text of data is joined from the texts of its keys, which are kept from one commit to the next. */
const LONG_TEXT = 4096

/** With more keys than this, JSON.stringify makes the whole as fast. */
const FEW_KEYS = 64

/** JSON, refusing what JSON would change. At most `maxNodes` values in one key. */
export function jsonCodec(maxNodes: number): Codec {
  return {
    ...jsonText(),
    same: sameJson,
    copy(value, place, key) {
      // What needs no look inside; JSON has no negative zero.
      if (typeof value === 'string' || typeof value === 'boolean') return value
      if (typeof value === 'number' && Number.isFinite(value)) return value + 0
      return withinStack(copyOfJson, value, place, key, maxNodes)
    },
  }
}

/**
 * JSON as koa-session uses it: data is what `JSON.stringify` makes of it. A Date becomes its text, `toJSON` is asked, other
 * objects give their own properties, functions are left out. Only a cycle and a BigInt are refused, as `JSON.stringify` does.
 */
export function koaJsonCodec(maxNodes: number): Codec {
  const convert = (value: unknown, place: string, key: string | undefined): unknown =>
    withinStack(convertToJson, value, place, key, maxNodes)
  return {
    ...jsonText(),
    same(value, stored) {
      if (sameJson(value, stored)) return true
      try {
        return sameJson(convert(value, '', undefined), stored)
      } catch {
        // `copy` says why.
        return false
      }
    },
    copy(value, place, key) {
      if (typeof value === 'string' || typeof value === 'boolean') return value
      const kept = convert(value, place, key)
      return kept === undefined && key === undefined ? null : kept
    },
  }
}

function jsonText(): Omit<Codec, 'same' | 'copy'> {
  // The texts of objects in data that is long, if any was; undefined where one was not needed yet. The objects are stored values, which
  // are never changed, and the same ones from one version of a session to the next.
  const texts: Texts = new WeakMap()
  let isLong = false
  const remember = (data: Snapshot): void => {
    isLong = true
    for (const value of Object.values(data))
      if (typeof value === 'object' && value !== null) texts.set(value, undefined)
  }
  const join = (data: Snapshot): string => {
    let text = ''
    for (const [key, value] of Object.entries(data)) {
      if (value !== undefined) text += `${text === '' ? '{' : ','}${JSON.stringify(key)}:${textOf(value, JSON, texts)}`
    }
    return text === '' ? '{}' : `${text}}`
  }
  return {
    keepsScalars: true,
    stringify: (value) => JSON.stringify(value),
    stringifyContents(data, beside) {
      // What is no object has no text there.
      if (isLong && hasFewKeys(data) && Object.values(data).some((value) => texts.has(value as object))) {
        const text = join(data)
        return beside.length === 0 ? text : `[${text},${JSON.stringify(beside).slice(1)}`
      }
      const text = JSON.stringify(beside.length === 0 ? data : [data, ...beside])
      if (text.length >= LONG_TEXT && hasFewKeys(data)) remember(data)
      return text
    },
    parse(text) {
      const value: unknown = JSON.parse(text)
      // Nothing nests deeper than half its text has brackets. What is deeper overflows the stack when it is copied.
      if (text.length > DEEPEST * 2 && isDeeper(value, DEEPEST + 2))
        throw new RangeError('nested deeper than anything that was stored')
      return value
    },
    lend: cloneJson,
  }
}

function hasFewKeys(data: Snapshot): boolean {
  return Object.keys(data).length <= FEW_KEYS
}

/** The texts of stored values, which are never changed; `undefined` where one was not needed yet. */
type Texts = WeakMap<object, string | undefined>

/** The text of a stored value, which is made once. */
function textOf(stored: unknown, codec: Pick<SessionCodec, 'stringify'>, texts: Texts): string {
  if (typeof stored !== 'object' || stored === null) return codec.stringify(stored)
  const known = texts.get(stored)
  if (known !== undefined) return known
  const text = codec.stringify(stored)
  texts.set(stored, text)
  return text
}

function placeOf(place: string, key: string | undefined): string {
  return key === undefined ? place : `${place}.${key}`
}

type Walk = typeof convertToJson

const copyOfJson: Walk = (value, _key, path, budget) => copyJson(value, path, budget)

function withinStack(walk: Walk, value: unknown, place: string, key: string | undefined, maxNodes: number): unknown {
  const start = placeOf(place, key)
  try {
    return walk(value, key ?? '', [start], { left: maxNodes })
  } catch (error) {
    if (error instanceof RangeError) throw refused([start], 'nested too deeply for the stack that is left', error)
    throw error
  }
}

/** An app's codec. Values go through it once more than with JSON: only it knows what it keeps. */
export function customCodec(codec: SessionCodec): Codec {
  // Of stored values, which never change.
  const texts: Texts = new WeakMap()
  const stringify = (value: unknown): string => {
    try {
      return codec.stringify(value)
    } catch (cause) {
      // The values were checked one by one, so the name of a key is at fault.
      throw refusedByCodec('session.data', cause)
    }
  }
  return {
    keepsScalars: false,
    stringify,
    stringifyContents: (data, beside) => stringify(beside.length === 0 ? data : [data, ...beside]),
    parse: (text) => codec.parse(text),
    same(value, stored) {
      // What the codec keeps of a value is in its text alone: private fields, the order of a Map, references that are shared.
      if ((typeof value !== 'object' || value === null) && Object.is(value, stored)) return true
      try {
        return codec.stringify(value) === textOf(stored, codec, texts)
      } catch {
        // `copy` says why.
        return false
      }
    },
    lend(stored, made) {
      if (typeof stored !== 'object' || stored === null) return stored
      const value = codec.parse(textOf(stored, codec, texts))
      for (const object of objectsOf([value])) made.push(object)
      return value
    },
    copy(value, place, key) {
      const start = placeOf(place, key)
      let text: string
      let back: unknown
      let isSame: boolean
      try {
        text = codec.stringify(value)
        back = codec.parse(text)
        isSame = isDeepStrictEqual(back, value)
      } catch (cause) {
        throw refusedByCodec(start, cause)
      }
      if (!isSame) throw refused([start], 'changed by options.codec')
      if (typeof back === 'object' && back !== null) texts.set(back, text)
      return back
    },
  }
}

function refusedByCodec(start: string, cause: unknown): SessionError {
  return refused([start, ...pathIn(cause)], 'refused by options.codec', plain(cause))
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
