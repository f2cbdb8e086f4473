// What the memory store keeps of a record beside its numbers: as little as possible, and for the few that are in use the
// frozen record itself, so that the core meets the same object again and need not parse it twice.
import type { SessionRecord } from '../../store.ts'

/** A payload alone, for most sessions; or what else there is. Bytes are private to the store: never handed in or out. */
export type Kept = string | Uint8Array | Rest | Hot

/** A cold record that has an owner or a meta. */
export class Rest {
  readonly payload: string | Uint8Array
  readonly owner: string | undefined
  readonly meta: string | undefined

  constructor(payload: string | Uint8Array, owner: string | undefined, meta: string | undefined) {
    this.payload = payload
    this.owner = owner
    this.meta = meta
  }
}

/** A record that was written or read lately, as a link of {@link HotRecords}. */
export class Hot {
  readonly record: SessionRecord & { readonly payload: string }
  readonly size: number
  /** Where its shard has it. */
  slot = 0
  older: Hot | undefined = undefined
  newer: Hot | undefined = undefined

  constructor(record: SessionRecord & { readonly payload: string }, size: number) {
    this.record = record
    this.size = size
  }
}

/** Whether a record can be handed out again and again: nobody can write to it, nor to its payload. */
export function isShareable(record: SessionRecord): record is SessionRecord & { readonly payload: string } {
  return typeof record.payload === 'string' && Object.isFrozen(record)
}

export function cold(record: SessionRecord): Kept {
  const payload = typeof record.payload === 'string' ? record.payload : Uint8Array.from(record.payload)
  return record.owner === undefined && record.meta === undefined
    ? payload
    : new Rest(payload, record.owner, record.meta)
}

export function ownerOf(kept: Kept): string | undefined {
  if (kept instanceof Hot) return kept.record.owner
  return kept instanceof Rest ? kept.owner : undefined
}

// Found by measuring, and rounded up: the two strings' headers, the entries in the maps, the columns and their slack.
const RECORD_BYTES = 180
const REST_BYTES = 72
const OWNER_BYTES = 120

/** About how much memory a record takes. A text outside ASCII is taken for two bytes a character, the most it can be. */
export function sizeOf({ key, payload, owner, meta }: SessionRecord): number {
  let size = RECORD_BYTES + key.length + (typeof payload === 'string' ? textBytes(payload) : payload.byteLength + 128)
  if (owner !== undefined || meta !== undefined) size += REST_BYTES
  if (owner !== undefined) size += OWNER_BYTES + textBytes(owner)
  if (meta !== undefined) size += textBytes(meta)
  return size
}

function textBytes(text: string): number {
  const { length } = text
  return Buffer.byteLength(text) === length ? length : 2 * length
}

/**
 * The records in use, the latest 8192 of them or 16 MiB, first in, first out.
 *
 * Who parsed a record can remember it by identity for as long as it is here; hence the bound in bytes.
 */
export class HotRecords {
  static readonly COUNT: number = 8192
  static readonly BYTES: number = 16 * 1024 * 1024
  #count = 0
  #bytes = 0
  #oldest: Hot | undefined
  #newest: Hot | undefined

  add(hot: Hot): void {
    hot.older = this.#newest
    if (this.#newest) this.#newest.newer = hot
    else this.#oldest = hot
    this.#newest = hot
    this.#count++
    this.#bytes += hot.size
  }

  remove(hot: Hot): void {
    if (hot.older) hot.older.newer = hot.newer
    else this.#oldest = hot.newer
    if (hot.newer) hot.newer.older = hot.older
    else this.#newest = hot.older
    hot.older = hot.newer = undefined
    this.#count--
    this.#bytes -= hot.size
  }

  /** One that has to give way, if any. */
  surplus(): Hot | undefined {
    return this.#count > HotRecords.COUNT || this.#bytes > HotRecords.BYTES ? this.#oldest : undefined
  }
}
