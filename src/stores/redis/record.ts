// A record as text.
import { CorruptRecord, unlessCorrupt, type SessionRecord } from '../../store.ts'
import { base64, isWellFormed, textIn } from '../text.ts'
import { HEAD_LENGTH } from './scripts.ts'

// Eight lines and the payload. Scripts change the first lines and leave `back` alone.
//
//   kind and version       kind: t = text payload, j = text as JSON, b = bytes as base64
//   expiresAt
//   lastSeenAt
//   listedUntil            the least score of its entry in the owner's index; empty without an owner
//   tags                   the last writers, eight characters each, see below
//   owner                  as JSON; empty without one
//   createdAt
//   meta                   as JSON; empty without one
//   payload
//
// Numbers are in base 36; a number that is no safe integer from 0 on is in decimal after `=`.
//
// Tags: a client may send a command twice, if the connection broke before the answer came (ioredis does). So each create and
// replace carries a tag, four characters for the store and four for the call, and a script that finds its own tag in the record
// has run before and answers again. Others may have replaced the record in between: other stores, and this one, for a client of a
// Cluster sends a command again a while later, on another connection. So a replace keeps the last two tags of each store, up to
// sixteen in all. No field of the record tells when a tag is too old to matter: a replace need not move lastSeenAt.

/** Five digits of base 36. */
const FIVE_DIGITS = 36 ** 5

export function encodeNumber(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) return `=${value}`
  if (value < FIVE_DIGITS) return value.toString(36)
  // As two numbers below 2^31: 55 ns per instant instead of 200 (Node 20), and a change writes seven.
  const low = value % FIVE_DIGITS
  return ((value - low) / FIVE_DIGITS).toString(36) + (low + FIVE_DIGITS).toString(36).slice(1)
}

/** The lines of a record before listedUntil. */
export function front({ version, payload, expiresAt, lastSeenAt }: SessionRecord): string {
  const kind = typeof payload !== 'string' ? 'b' : isWellFormed(payload) ? 't' : 'j'
  return `${kind}${encodeNumber(version)}\n${encodeNumber(expiresAt)}\n${encodeNumber(lastSeenAt)}\n`
}

/** The part of a record after the tags. */
export function back({ owner, createdAt, meta, payload }: SessionRecord): string {
  const ownerLine = owner === undefined ? '' : JSON.stringify(owner)
  const metaLine = meta === undefined ? '' : JSON.stringify(meta)
  return `\n${ownerLine}\n${encodeNumber(createdAt)}\n${metaLine}\n${encode(payload)}`
}

function encode(payload: string | Uint8Array): string {
  if (typeof payload !== 'string') return base64(payload)
  return isWellFormed(payload) ? payload : JSON.stringify(payload)
}

// Matches exactly what the scripts parse.
const NUMBER = '(?:[\\da-z]+|=-?(?:[\\d.e+-]+|Infinity))'
const HEAD = new RegExp(`^[a-z]${NUMBER}\n${NUMBER}\n${NUMBER}\n(?:\n[^\n]*\n\n|${NUMBER}\n[^\n]*\n[^\n]*\n)`)

/**
 * The record in a value.
 *
 * @throws {CorruptRecord} when the value was not written by a store.
 */
export function decode(key: string, value: string): SessionRecord {
  const lines: string[] = []
  let start = 0
  for (let end = value.indexOf('\n'); end >= 0 && lines.length < 8; end = value.indexOf('\n', start)) {
    lines.push(value.slice(start, end))
    start = end + 1
  }
  const [first = '', expiresAt = '', lastSeenAt = '', , , owner = '', createdAt = '', meta] = lines
  if (meta === undefined || !HEAD.test(value.slice(0, HEAD_LENGTH))) throw damaged()
  const version = parse(first.slice(1))
  if (!Number.isSafeInteger(version) || version < 1) throw damaged()
  return {
    key,
    version,
    payload: decodePayload(first.charAt(0), value.slice(start)),
    owner: owner === '' ? undefined : decodeOwner(owner),
    createdAt: parse(createdAt),
    lastSeenAt: parse(lastSeenAt),
    expiresAt: parse(expiresAt),
    meta: meta === '' ? undefined : textIn(meta),
  }
}

/** The expiry of a record of that owner, from its lines up to the owner; `undefined` for any other record. */
export function expiryOf(owner: string, head: string): number | undefined {
  const [, expiresAt = '', , , , line = ''] = head.split('\n', 6)
  if (line === '' || !HEAD.test(head)) return undefined
  return unlessCorrupt(() => (decodeOwner(line) === owner ? parse(expiresAt) : undefined))
}

/** The expiry of a record that has meta and no owner, so may name a successor, from its lines up to meta; else `undefined`. */
export function expiryOfReplaced(head: string): number | undefined {
  const [, expiresAt = '', , , , owner, , meta = ''] = head.split('\n', 8)
  if (owner !== '' || meta === '' || !HEAD.test(head)) return undefined
  return unlessCorrupt(() => parse(expiresAt))
}

/**
 * The owner in a line that is not empty.
 *
 * @throws {CorruptRecord} when the line holds no owner.
 */
export function decodeOwner(line: string): string {
  const owner = textIn(line)
  if (owner === '') throw damaged()
  return owner
}

/** The owner in a line of an answer; `undefined` if there is none or it cannot be read. */
export function readableOwner(line: string): string | undefined {
  return line === '' ? undefined : unlessCorrupt(() => decodeOwner(line))
}

/** The record in a value; `undefined` if there is none or it cannot be read, because it must not hide other records. */
export function readable(key: string, value: string | undefined): SessionRecord | undefined {
  return value === undefined ? undefined : unlessCorrupt(() => decode(key, value))
}

/** The error for a value that no store has written. */
export function damaged(cause?: unknown): CorruptRecord {
  return new CorruptRecord(
    'the value of a session was not written by RedisStore: give the store a prefix that nobody else uses',
    { cause },
  )
}

function decodePayload(kind: string, text: string): string | Uint8Array {
  if (kind === 't') return text
  if (kind === 'j') return textIn(text)
  if (kind === 'b') return Uint8Array.from(Buffer.from(text, 'base64'))
  throw new CorruptRecord(
    'the value of a session was written by another version of RedisStore: give each version a prefix of its own',
  )
}

/** @throws {CorruptRecord} for text that is no number, or a whole number that is not a safe integer. */
function parse(text: string): number {
  const isDecimal = text.startsWith('=')
  const value = isDecimal ? Number(text.slice(1)) : /^[\da-z]+$/.test(text) ? Number.parseInt(text, 36) : NaN
  if (isDecimal ? Number.isNaN(value) : !Number.isSafeInteger(value)) throw damaged()
  return value
}
