// What the new store holds about old sessions: claims (which session took an old one over) and ties (which old session a new one
// came from). These records have no payload, so that nothing shows them as sessions, and keys that no id has. The secret that a
// record names is sealed under another secret that only the browser has: reading the store reveals neither.
import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto'
import type { CheckedStore as Store } from '../checked-store.ts'
import type { SessionRecord } from '../store.ts'
import type { Passage } from './passage.ts'

/** How long a take-over may take, in milliseconds. After that another request may claim the session. */
const MAX_WORK = 15_000

/** The record of a claim, and the name of the old session that it is for. */
export interface Held {
  readonly name: string
  readonly record: SessionRecord
}

/** The claim of a session that was taken over at `takenAt`. `id` is the id of its new session; `undefined` if that was ended. */
export interface Taken extends Held {
  readonly kind: 'taken'
  readonly id: string | undefined
  readonly takenAt: number
}

/**
 * The state of an old session in the new store. `'ours'`: the caller takes it over, then calls `settle` or `release`. `'busy'`:
 * another request is taking it over.
 */
export type Claim = ({ readonly kind: 'ours' } & Held) | { readonly kind: 'busy' } | Taken

/** Claims an old session. Of any number of concurrent callers, in any process, one gets `'ours'`. */
export async function claim(store: Store, name: string, until: number, now: number): Promise<Claim> {
  const key = keyOf('claim', name)
  const record = noteOf(key, now, Math.max(until, now + MAX_WORK), undefined)
  if (await store.create(record, now)) return { kind: 'ours', name, record }
  const held = await read(store, key, now)
  if (held === undefined) return { kind: 'busy' }
  if (held.meta !== undefined) return taken(held, name)
  if (now - held.lastSeenAt < MAX_WORK) return { kind: 'busy' }
  // `createdAt` is that of this take-over: the one before came to nothing.
  const again = { ...record, version: held.version + 1 }
  const isOurs = (await store.replace(again, held.version, now)) === 'done'
  return isOurs ? { kind: 'ours', name, record: again } : { kind: 'busy' }
}

/** The claim of an old session that was taken over, without claiming it; `undefined` if it was not. */
export async function claimOf(store: Store, name: string, now: number): Promise<Taken | undefined> {
  const held = await read(store, keyOf('claim', name), now)
  return held?.meta === undefined ? undefined : taken(held, name)
}

function taken(record: SessionRecord, name: string): Taken {
  const id = unseal(record.meta, 'claim', name)
  return { kind: 'taken', name, id: typeof id === 'string' ? id : undefined, takenAt: record.createdAt, record }
}

/** Records which session an old one goes on in; `undefined` ends it for good. Returns `false` if the claim has changed meanwhile. */
export async function settle(store: Store, claim: Held, id: string | undefined, now: number): Promise<boolean> {
  const { name, record } = claim
  const settled = { ...record, version: record.version + 1, lastSeenAt: now, meta: seal(id ?? null, 'claim', name) }
  return (await store.replace(settled, record.version, now)) === 'done'
}

/**
 * Releases a claim, so that the next request can take the old session over, unless another request already has. A claim that was
 * settled for `id` is released as well: the answer to that write may have been lost.
 */
export async function release(store: Store, claim: Held, id: string | undefined, now: number): Promise<void> {
  const { name, record } = claim
  if (await endClaim(store, record, now)) return
  const held = await read(store, record.key, now)
  if (held?.meta !== undefined && taken(held, name).id === id) await endClaim(store, held, now)
}

async function endClaim(store: Store, record: SessionRecord, now: number): Promise<boolean> {
  const ended = { ...record, version: record.version + 1, expiresAt: now }
  return (await store.replace(ended, record.version, now)) === 'done'
}

/** The old session that a new one came from. */
export interface Tie {
  /** The name of the old session; empty where the cookie itself holds it, and where the session got an id that no claim names. */
  readonly name: string
  /** When the old session expires, as far as is known. If it is missing before that, it was logged out of. */
  readonly expiresAt: number
  /** When the overlap ends. The next request after it sees once more whether the old session was logged out of. */
  readonly until: number
  /** Whether the cookie itself holds the session, and named its owner. */
  readonly isNamed: boolean
}

/** Ties the session with this id to the old one that it came from. Replaces an earlier tie. */
export async function tie({ store, settings }: Passage, id: string, old: Tie): Promise<void> {
  const { name, expiresAt, until, isNamed } = old
  const now = settings.now()
  const key = keyOf('tie', id)
  const end = Number.isFinite(expiresAt) ? expiresAt : 0
  // An old session without an end is missed up to the last day.
  const last = end === 0 && settings.from.isStored ? settings.until : end
  const meta = seal([name, end, until, isNamed, settings.from.cookies[0]], 'tie', id)
  const record = noteOf(key, now, Math.max(until, last), meta)
  if (await store.create(record, now)) return
  const held = await read(store, key, now)
  // If two requests replace the tie at once, either may win.
  if (held !== undefined) await store.replace({ ...record, version: held.version + 1 }, held.version, now)
}

/** The tie of that session to an old one of this `from`; one of another takeOver() is none of its. The version before told not which. */
export async function tieOf({ store, settings }: Passage, id: string, now: number): Promise<Tie | undefined> {
  const held = await read(store, keyOf('tie', id), now)
  const found = unseal(held?.meta, 'tie', id)
  if (held === undefined || !Array.isArray(found)) return undefined
  const [cookie] = settings.from.cookies
  const [name, expiresAt, until = held.expiresAt, isNamed, from = cookie] = found as unknown[]
  if (typeof name !== 'string' || typeof expiresAt !== 'number' || typeof until !== 'number' || from !== cookie)
    return undefined
  return { name, expiresAt: expiresAt === 0 ? Infinity : expiresAt, until, isNamed: isNamed === true }
}

export async function untie(store: Store, id: string): Promise<void> {
  await store.delete(keyOf('tie', id))
}

/** The note under that key. A damaged one is deleted, and the result is `undefined`. */
async function read(store: Store, key: string, now: number): Promise<SessionRecord | undefined> {
  const held = await store.read(key, now)
  if (held !== 'corrupt') return held
  await store.delete(key)
  return undefined
}

function noteOf(key: string, now: number, expiresAt: number, meta: string | undefined): SessionRecord {
  return { key, version: 1, payload: '', owner: undefined, createdAt: now, lastSeenAt: now, expiresAt, meta }
}

type Kind = 'claim' | 'tie'

/** The hash of a text that is no id, because it contains spaces. */
function keyOf(kind: Kind, secret: string): string {
  return hash('sha256', `koa-fastsession/migrate ${kind} ${secret}`, 'base64url')
}

function sealKey(kind: Kind, secret: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `koa-fastsession/migrate ${kind}`, 32))
}

function seal(value: unknown, kind: Kind, secret: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', sealKey(kind, secret), nonce)
  const sealed = [nonce, cipher.update(JSON.stringify(value)), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(sealed).toString('base64url')
}

/** The sealed value; `undefined` if the text was not sealed for this kind and secret. */
function unseal(text: string | undefined, kind: Kind, secret: string): unknown {
  const bytes = Buffer.from(text ?? '', 'base64url')
  if (bytes.length < 28) return undefined
  try {
    const cipher = createDecipheriv('aes-256-gcm', sealKey(kind, secret), bytes.subarray(0, 12), { authTagLength: 16 })
    cipher.setAuthTag(bytes.subarray(-16))
    return JSON.parse(Buffer.concat([cipher.update(bytes.subarray(12, -16)), cipher.final()]).toString())
  } catch {
    return undefined // changed in the store: ignored
  }
}
