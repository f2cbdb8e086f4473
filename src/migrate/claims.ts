// What the new store knows of old sessions: who has taken one over, and which old session a new one came from. Records without
// a payload, so that nothing shows them as sessions, under keys that no id has. What they name is a secret, sealed under
// another secret that only the browser has: whoever reads the store learns neither.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import type { SessionRecord } from '../store.ts'
import type { ClaimStore as Store } from './session-access.ts'

/** How long a take-over may work, in milliseconds. After that another process may claim the session. */
const MAX_WORK = 15_000

/** How an old session stands with the new store. */
export type Claim =
  /** Nobody else has it: go on with it, then `settle` or `release`. */
  | { readonly kind: 'ours'; readonly record: SessionRecord }
  /** Another request is at it. */
  | { readonly kind: 'busy' }
  /** It was taken over at that instant; `id` is that of its session, `undefined` where that was ended. */
  | {
      readonly kind: 'taken'
      readonly id: string | undefined
      readonly takenAt: number
      readonly record: SessionRecord
    }

/** Claims an old session: of any number of callers, in whichever process, one gets `'ours'`. */
export async function claim(store: Store, name: string, until: number, now: number): Promise<Claim> {
  const key = keyOf('claim', name)
  const record = noteOf(key, now, Math.max(until, now + MAX_WORK), undefined)
  if (await store.create(record, now)) return { kind: 'ours', record }
  const held = await store.read(key, now)
  if (held === undefined) return { kind: 'busy' }
  if (held.meta !== undefined) return taken(held, name)
  if (now - held.lastSeenAt < MAX_WORK) return { kind: 'busy' }
  const again = { ...record, version: held.version + 1, createdAt: held.createdAt }
  return (await store.replace(again, held.version, now)) === 'done' ? { kind: 'ours', record: again } : { kind: 'busy' }
}

/** What became of an old session, without claiming it. */
export async function claimOf(
  store: Store,
  name: string,
  now: number,
): Promise<Extract<Claim, { kind: 'taken' }> | undefined> {
  const held = await store.read(keyOf('claim', name), now)
  return held?.meta === undefined ? undefined : taken(held, name)
}

function taken(record: SessionRecord, name: string): Extract<Claim, { kind: 'taken' }> {
  const id = unseal(record.meta, 'claim', name)
  return { kind: 'taken', id: typeof id === 'string' ? id : undefined, takenAt: record.createdAt, record }
}

/** Says which session an old one goes on in, `undefined` for none ever again; whether the claim was still as it was read. */
export async function settle(
  store: Store,
  record: SessionRecord,
  name: string,
  id: string | undefined,
  now: number,
): Promise<boolean> {
  const settled = { ...record, version: record.version + 1, lastSeenAt: now, meta: seal(id ?? null, 'claim', name) }
  return (await store.replace(settled, record.version, now)) === 'done'
}

/**
 * Leaves an old session to the next request, unless another has taken it over already. A claim that was settled for `id` is
 * released as well: the answer to that may have been lost.
 */
export async function release(
  store: Store,
  record: SessionRecord,
  name: string,
  id: string | undefined,
  now: number,
): Promise<void> {
  if (await endClaim(store, record, now)) return
  const held = await store.read(record.key, now)
  if (held?.meta !== undefined && taken(held, name).id === id) await endClaim(store, held, now)
}

async function endClaim(store: Store, record: SessionRecord, now: number): Promise<boolean> {
  const ended = { ...record, version: record.version + 1, expiresAt: now }
  return (await store.replace(ended, record.version, now)) === 'done'
}

/** The old session that a new one came from. */
export interface Tie {
  /** Its name; empty where its cookie holds it. */
  readonly name: string
  /** When the old session was to end, as far as is known: its absence before that is a logout. */
  readonly expiresAt: number
  /** When both cease to belong together. */
  readonly until: number
}

/** Ties the session of an id to the old one that it came from, in the place of what is known of it. */
export async function tie(store: Store, id: string, { name, expiresAt, until }: Tie, now: number): Promise<void> {
  const key = keyOf('tie', id)
  const content = [name, Number.isFinite(expiresAt) ? expiresAt : 0]
  const record = noteOf(key, now, until, seal(content, 'tie', id))
  if (await store.create(record, now)) return
  const held = await store.read(key, now)
  // Of two that know something newer one may win.
  if (held !== undefined) await store.replace({ ...record, version: held.version + 1 }, held.version, now)
}

export async function tieOf(store: Store, id: string, now: number): Promise<Tie | undefined> {
  const held = await store.read(keyOf('tie', id), now)
  const found = unseal(held?.meta, 'tie', id)
  if (held === undefined || !Array.isArray(found)) return undefined
  const [name, expiresAt] = found as unknown[]
  if (typeof name !== 'string' || typeof expiresAt !== 'number') return undefined
  return { name, expiresAt: expiresAt === 0 ? Infinity : expiresAt, until: held.expiresAt }
}

function noteOf(key: string, now: number, expiresAt: number, meta: string | undefined): SessionRecord {
  return { key, version: 1, payload: '', owner: undefined, createdAt: now, lastSeenAt: now, expiresAt, meta }
}

type Kind = 'claim' | 'tie'

/** A hash of a text that no id is, for it has a space in it. */
function keyOf(kind: Kind, secret: string): string {
  return createHash('sha256').update(`koa-fastsession/migrate ${kind} ${secret}`).digest('base64url')
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

/** What was sealed; `undefined` for what was not sealed so. */
function unseal(text: string | undefined, kind: Kind, secret: string): unknown {
  const bytes = Buffer.from(text ?? '', 'base64url')
  if (bytes.length < 28) return undefined
  try {
    const cipher = createDecipheriv('aes-256-gcm', sealKey(kind, secret), bytes.subarray(0, 12), { authTagLength: 16 })
    cipher.setAuthTag(bytes.subarray(-16))
    return JSON.parse(Buffer.concat([cipher.update(bytes.subarray(12, -16)), cipher.final()]).toString())
  } catch {
    return undefined // changed in the store: then it says nothing
  }
}
