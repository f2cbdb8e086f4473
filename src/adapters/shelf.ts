// The contract over a foreign store that only knows get, put and remove. A record travels as one text, so that it comes
// through whatever the foreign store makes of objects; each write reads, compares and writes in its key's own turn.
import type { Replaced, SessionRecord, SessionStore } from '../store.ts'
import { turnsOf } from './turns.ts'

/** What is asked of a foreign store, in its own words by an adapter. What it throws passes on as it is. */
export interface Shelf {
  /** What was put there; anything that is not a text counts as nothing. */
  get(key: string): Promise<unknown>
  /** Keeps the text for `ttl` milliseconds at least. */
  put(key: string, text: string, ttl: number): Promise<void>
  remove(key: string): Promise<void>
}

// A foreign store's own expiry collects garbage, by a clock and in units of its own: it comes well after the end of a
// session, which the middleware's clock decides.
const SLACK = 3_600_000

/** Of 400 days, the longest that a session may live, and the slack: for those who ask for a lifetime when none is known. */
export const LONGEST_TTL: number = 400 * 86_400_000 + SLACK

/** Session records in a foreign store. It has no `list`, no `deleteExpired`, and nothing to close. */
export class ShelfStore implements SessionStore {
  readonly limits: string
  readonly #shelf: Shelf
  readonly #turns: ReturnType<typeof turnsOf>

  /** `adapter` is the name of the function that made it, `foreign` the object that all its adapters have in common. */
  constructor(adapter: string, foreign: object, shelf: Shelf) {
    this.limits = `${adapter}: this store cannot compare and set in one step. Within one process nothing is lost or revived; between processes, of two requests that change one session at the same moment the later write wins, and it may bring back a session that the other has just ended. It keeps no index by owner: list, destroyAll and destroy with an owner are ERR_SESSION_UNSUPPORTED`
    this.#shelf = shelf
    this.#turns = turnsOf(foreign)
  }

  create(record: SessionRecord, now: number): Promise<boolean> {
    const text = packed(record)
    const { key, expiresAt } = record
    return this.#turns.take(key, async () => {
      if ((await this.read(key, now)) !== undefined) return false
      await this.#put(key, text, expiresAt, now)
      return true
    })
  }

  async read(key: string, now: number): Promise<SessionRecord | undefined> {
    const record = unpacked(await this.#shelf.get(key), key)
    return record !== undefined && record.expiresAt > now ? record : undefined
  }

  replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    const text = packed(record)
    const { key, expiresAt } = record
    return this.#turns.take(key, async () => {
      const stored = await this.read(key, now)
      if (stored === undefined) return 'gone'
      if (stored.version !== version) return 'stale'
      await this.#put(key, text, expiresAt, now)
      return 'done'
    })
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    return this.#turns.take(key, async () => {
      const stored = await this.read(key, now)
      if (stored?.version !== version) return false
      // A foreign touch moves the foreign expiry alone, and the one that counts is in the record.
      if (lastSeenAt >= stored.lastSeenAt)
        await this.#put(key, packed({ ...stored, lastSeenAt, expiresAt }), expiresAt, now)
      return true
    })
  }

  delete(key: string): Promise<boolean> {
    return this.#turns.take(key, async () => {
      const held = await this.#shelf.get(key)
      if (typeof held !== 'string') return false
      await this.#shelf.remove(key)
      return true
    })
  }

  async #put(key: string, text: string, expiresAt: number, now: number): Promise<void> {
    if (expiresAt > now) await this.#shelf.put(key, text, Math.ceil(expiresAt - now) + SLACK)
    else await this.#shelf.remove(key)
  }
}

/** A record as JSON; bytes as base64. */
function packed({ payload, ...rest }: SessionRecord): string {
  const { key, version, owner, createdAt, lastSeenAt, expiresAt, meta } = rest
  const content = typeof payload === 'string' ? { payload } : { bytes: bytesOf(payload).toString('base64') }
  return JSON.stringify({ key, version, owner, createdAt, lastSeenAt, expiresAt, meta, ...content })
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** The record in a text; `undefined` for what is not one of ours: cut off, or another record's. */
function unpacked(text: unknown, key: string): SessionRecord | undefined {
  if (typeof text !== 'string') return undefined
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    return undefined // nothing that a session could go on from
  }
  if (!isPacked(found) || found.key !== key) return undefined
  const { version, payload, bytes = '', owner, createdAt, lastSeenAt, expiresAt, meta } = found
  return {
    key,
    version,
    payload: payload ?? Buffer.from(bytes, 'base64'),
    owner,
    createdAt,
    lastSeenAt,
    expiresAt,
    meta,
  }
}

type Packed = Omit<SessionRecord, 'payload'> & { readonly payload?: string; readonly bytes?: string }

function isPacked(found: unknown): found is Packed {
  if (typeof found !== 'object' || found === null) return false
  const fields = found as Readonly<Record<string, unknown>>
  const numbers = [fields['version'], fields['createdAt'], fields['lastSeenAt'], fields['expiresAt']]
  const texts = [fields['owner'], fields['meta']]
  return (
    numbers.every((value) => typeof value === 'number') &&
    texts.every((value) => value === undefined || typeof value === 'string') &&
    (typeof fields['payload'] === 'string' || typeof fields['bytes'] === 'string')
  )
}
