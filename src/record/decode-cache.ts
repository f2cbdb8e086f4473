// What this process wrote or read last of a record, and what it holds: an equal payload is not parsed again, and a write
// can start from the newest version that is known. A payload of 850 bytes takes 0.02 µs instead of 1.5, an encrypted one 0.1
// instead of 18 (Node 20).
import { DirectMappedCache } from '../direct-mapped-cache.ts'
import type { SessionRecord } from '../store.ts'

/** A record and its contents, which nobody may write to. */
export interface KnownRecord<Contents> {
  readonly record: SessionRecord
  readonly contents: Contents
}

interface Entry<Contents> extends KnownRecord<Contents> {
  readonly key: string
  /** When it was written or read, by `performance.now()`. */
  readonly at: number
}

const SLOTS = 4096
const MAX_LENGTH = 8_388_608

/** Bounded: 4096 records, 8 MiB of payload. */
export class DecodeCache<Contents> {
  readonly #entries = new DirectMappedCache<Entry<Contents>>(SLOTS)
  #length = 0

  /** The contents of a record, if an equal payload of it was decoded before. */
  contentsOf(record: SessionRecord): Contents | undefined {
    const entry = this.#entries.get(record.key)
    if (entry === undefined || !isSame(entry.record, record)) return undefined
    if (record.version > entry.record.version) this.#set(record, entry.contents)
    return entry.contents
  }

  /** Remembers a record, unless a newer version of it is known: this read came in late. */
  remember(record: SessionRecord, contents: Contents): void {
    const known = this.#entries.get(record.key)
    if (known === undefined || known.record.version <= record.version) this.#set(record, contents)
  }

  /**
   * The record that took this one's place since that instant of `performance.now()`, if this process wrote or read it. A
   * higher version that was known before means that the store has gone back, and that others may count anew from there.
   */
  newestKnown({ key, version }: SessionRecord, since: number): KnownRecord<Contents> | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.record.version <= version) return undefined
    if (entry.at >= since) return entry
    this.forget(key)
    return undefined
  }

  /** A store that was restored, or failed over, may have gone back: what was known does not count any more. */
  forget(key: string): void {
    this.#length -= this.#entries.delete(key)?.record.payload.length ?? 0
  }

  #set(record: SessionRecord, contents: Contents): void {
    const { key, payload } = record
    // A store may use its buffer again.
    const kept = typeof payload === 'string' ? record : { ...record, payload: new Uint8Array(payload) }
    const replaced = this.#entries.set({ key, record: kept, contents, at: performance.now() })
    this.#length += payload.length - (replaced?.record.payload.length ?? 0)
    if (this.#length <= MAX_LENGTH) return
    this.#entries.clear()
    this.#length = 0
  }
}

// An encrypted payload is bound to the fields around it: with another owner it must fail.
function isSame(known: SessionRecord, record: SessionRecord): boolean {
  const { payload } = record
  if (typeof payload === 'string') return known.payload === payload
  return (
    typeof known.payload !== 'string' &&
    known.owner === record.owner &&
    known.meta === record.meta &&
    known.createdAt === record.createdAt &&
    Buffer.compare(known.payload, payload) === 0
  )
}
