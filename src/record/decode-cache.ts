// The newest version of each record that this process wrote or read, with its contents: an equal payload is not parsed again,
// and a write can start from that version. A payload of 850 bytes takes 0.02 µs instead of 1.5, an encrypted one 0.1 instead
// of 18 (Node 20).
import type { SessionRecord } from '../store.ts'

/** A record and its contents, which must not be written to. */
export interface KnownRecord<Contents> {
  readonly record: SessionRecord
  readonly contents: Contents
}

interface Entry<Contents> extends KnownRecord<Contents> {
  /** When it was written or read, by `performance.now()`. */
  readonly at: number
}

const MAX_RECORDS = 4096
const MAX_LENGTH = 8_388_608

/** At most 4096 records and 8 MiB of payload. A full cache is emptied, so that no order of use has to be kept. */
export class DecodeCache<Contents> {
  readonly #entries = new Map<string, Entry<Contents>>()
  #length = 0

  /** The contents of a record, if an equal payload of it was decoded before. */
  contentsOf(record: SessionRecord): Contents | undefined {
    const entry = this.#entries.get(record.key)
    if (entry === undefined) return
    const known = entry.record
    if (known.payload !== record.payload && !isSameSecret(known, record)) return
    if (record.version > known.version) this.remember(record, entry.contents)
    return entry.contents
  }

  /** Remembers a record that was read or written, unless a newer version is known: then this read is late. */
  remember(record: SessionRecord, contents: Contents): void {
    const { key, payload, version } = record
    const known = this.#entries.get(key)?.record
    if (known !== undefined && known.version > version) return
    // A store may reuse its buffer.
    const kept = typeof payload === 'string' ? record : { ...record, payload: new Uint8Array(payload) }
    this.#entries.set(key, { record: kept, contents, at: performance.now() })
    this.#length += payload.length - (known?.payload.length ?? 0)
    if (this.#length <= MAX_LENGTH && this.#entries.size <= MAX_RECORDS) return
    this.#entries.clear()
    this.#length = 0
  }

  /**
   * The record that has replaced this one since that instant of `performance.now()`, if this process wrote or read it. If a
   * higher version was known before that instant, the store has lost writes since, and other processes may use its number again.
   */
  newest({ key, version }: SessionRecord, since: number): KnownRecord<Contents> | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.record.version <= version) return
    if (entry.at >= since) return entry
    this.forget(key)
  }

  /** For a version on which the store refused a write: a store that was restored or failed over may have lost that version. */
  forget(key: string): void {
    const known = this.#entries.get(key)?.record
    if (known === undefined) return
    this.#entries.delete(key)
    this.#length -= known.payload.length
  }
}

// Encrypted bytes are bound to these fields: with another owner they must fail to decrypt.
function isSameSecret(known: SessionRecord, record: SessionRecord): boolean {
  return (
    typeof known.payload !== 'string' &&
    typeof record.payload !== 'string' &&
    known.owner === record.owner &&
    known.meta === record.meta &&
    known.createdAt === record.createdAt &&
    Buffer.compare(known.payload, record.payload) === 0
  )
}
