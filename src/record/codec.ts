// Converts data to text and back, by JSON or by the app's codec (devalue, superjson). A value that the codec would change is
// refused in the request that wrote it, with its path.
import { isDeepStrictEqual } from 'node:util'
import type { Snapshot } from './changes.ts'
import { objectsOf } from './objects.ts'
import { cloneJson, convertToJson, copyJson, DEEPEST, isDeeper, refused, sameJson } from './json-value.ts'
import type { SessionError } from '../errors.ts'
import { isObject } from '../store.ts'

/** A pair of functions that turn data into text and back; `devalue` and `superjson` fit as they are. */
export interface SessionCodec {
  /** An error that it throws becomes `ERR_SESSION_VALUE`. Values with equal texts count as equal: an equal value is no change. */
  stringify(value: unknown): string
  /** Makes an equal value from that text, a new one at each call. An error that it throws means that the record is corrupt. */
  parse(text: string): unknown
}

/** A codec, and the other operations on data. Stored values are never changed, so facts about them may be cached by identity. */
export interface Codec extends SessionCodec {
  /** Whether strings, booleans and finite numbers except zero are stored as they are: they need neither `copy` nor `same`. */
  readonly keepsScalars: boolean
  /** The text of `data`, or of the list `[data, ...beside]` where `beside` is not empty. */
  stringifyContents(data: Snapshot, beside: readonly unknown[]): string
  /** Whether a handler's value would be stored as `stored`. */
  same(value: unknown, stored: unknown): boolean
  /** A copy of a stored value that its receiver may change; the objects it is made of are added to `made`. */
  lend(stored: unknown, made: object[]): unknown
  /**
   * The value as it will be read back; `undefined` where the codec leaves it out of data. `place` and `key` name its
   * position: `session.data`, `cart`. Without a key it is an element of a list.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` naming the path where the codec would change it.
   */
  copy(value: unknown, place: string, key?: string): unknown
}

/** From this length on, the text of data is joined from the texts of its values, which are kept between commits. */
const LONG_TEXT = 4096

/** With more keys than this, JSON.stringify of the whole is as fast. */
const FEW_KEYS = 64

/** JSON, refusing what JSON would change. At most `maxNodes` values in one key. */
export function jsonCodec(maxNodes: number): Codec {
  return {
    ...jsonText(),
    same: sameJson,
    copy(value, place, key) {
      // Scalars need no walk. JSON has no negative zero.
      if (typeof value === 'string' || typeof value === 'boolean') return value
      if (Number.isFinite(value)) return (value as number) + 0
      return withinStack(copyOfJson, value, place, key, maxNodes)
    },
  }
}

/**
 * JSON as koa-session uses it: data is what `JSON.stringify` makes of it. A Date becomes its text, `toJSON` is called, other
 * objects are stored by their own properties, functions are left out. As in `JSON.stringify`, only cycles and BigInts are refused.
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
        // `copy` throws the reason.
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
  // The texts of objects in long data; undefined for one that was not needed yet. The objects are stored values: they are never
  // changed, and stay the same objects from one version of a session to the next.
  const texts: Texts = new WeakMap()
  let isLong = false
  const remember = (data: Snapshot): void => {
    isLong = true
    for (const value of Object.values(data)) if (isObject(value)) texts.set(value, undefined)
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
    stringify: JSON.stringify,
    stringifyContents(data, beside) {
      // `texts` has objects only.
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
      // Each level takes two characters, so shorter text cannot nest too deep. Copying a deeper value overflows the stack.
      // A value of data lies two levels down at most, a flash message three: `[data, [[tag, key, value]]]`.
      if (text.length > DEEPEST * 2 && isDeeper(value, DEEPEST + 3))
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

/** The text of a stored value; that of an object is made once. */
function textOf(stored: unknown, codec: Pick<SessionCodec, 'stringify'>, texts: Texts): string {
  if (!isObject(stored)) return codec.stringify(stored)
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

/** An app's codec. A value is checked by a round trip through it, because only the codec knows what it keeps. */
export function customCodec(codec: SessionCodec): Codec {
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
      // Only the text shows all that the codec keeps: private fields, the order of a Map, shared references.
      if (!isObject(value) && Object.is(value, stored)) return true
      try {
        return codec.stringify(value) === textOf(stored, codec, texts)
      } catch {
        // `copy` throws the reason.
        return false
      }
    },
    lend(stored, made) {
      if (!isObject(stored)) return stored
      const value = codec.parse(textOf(stored, { stringify }, texts))
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
      if (isObject(back)) texts.set(back, text)
      return back
    },
  }
}

function refusedByCodec(start: string, cause: unknown): SessionError {
  return refused([start, ...pathIn(cause)], 'refused by options.codec', plain(cause))
}

/** The error without its other properties: devalue's errors hold the value and everything that contains it. */
function plain(error: unknown): unknown {
  if (!(error instanceof Error)) return
  const { name, message, stack } = error
  return Object.assign(new Error(message), { name, stack })
}

/** The path that devalue's errors carry. */
function pathIn(error: unknown): string[] {
  const path = error instanceof Error && 'path' in error ? error.path : undefined
  return typeof path === 'string' && path !== '' ? [path.replace(/^\./, '')] : []
}
