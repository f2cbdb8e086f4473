// What the memory store keeps of a record beside its numbers and its key: as little as possible.
import type { SessionRecord } from '../../store.ts'
import { Queue, type Link } from './queue.ts'
import { ownText } from './size.ts'
import { SortedKeys } from './sorted-keys.ts'

/** A payload alone, for most anonymous sessions; or what else there is. Bytes are the store's own: never handed in or out. */
export type Entry = string | Uint8Array | DetailedEntry

/** The entry of a record that has an owner or a meta. */
export class DetailedEntry implements Link<DetailedEntry | Owner> {
  readonly key: string
  payload: string | Uint8Array
  /** Equal to the owner of the record for good: a record with another owner gets another entry. */
  owner: string | undefined
  meta: string | undefined
  /** The entries of its owner, where the owner has had more than one at a time. */
  holder: Owner | undefined
  before: DetailedEntry | Owner | undefined
  after: DetailedEntry | Owner | undefined

  constructor({ key, payload, owner, meta }: SessionRecord) {
    this.key = key
    this.payload = ownPayload(payload)
    this.owner = ownText(owner)
    this.meta = ownText(meta)
  }

  /** Takes over what a record of the same owner says. */
  update({ payload, meta }: SessionRecord): void {
    this.payload = ownPayload(payload)
    if (meta !== this.meta) this.meta = ownText(meta)
  }
}

export function toEntry(record: SessionRecord): Entry {
  return record.owner === undefined && record.meta === undefined
    ? ownPayload(record.payload)
    : new DetailedEntry(record)
}

export function isOwned(entry: Entry): entry is OwnedEntry {
  return entry instanceof DetailedEntry && entry.owner !== undefined
}

/** Whether a payload is empty: its session has ended, or goes on under another key. */
export function isEnded(entry: Entry): boolean {
  return (entry instanceof DetailedEntry ? entry.payload : entry).length === 0
}

function ownPayload(payload: string | Uint8Array): string | Uint8Array {
  return typeof payload === 'string' ? payload : new Uint8Array(payload)
}

/** An entry that has an owner. */
export type OwnedEntry = DetailedEntry & { owner: string }

// So many keys are sorted whenever they are listed, and kept sorted from there on.
const FEW = 32

/** The sessions of an owner who has had more than one at a time, in the order of their last use. */
export class Owner implements Link<DetailedEntry | Owner> {
  // eslint-disable-next-line @typescript-eslint/consistent-generic-constructors -- isolated declarations need the type
  readonly entries: Queue<DetailedEntry | Owner> = new Queue()
  readonly name: string
  count = 0
  before: DetailedEntry | Owner | undefined
  after: DetailedEntry | Owner | undefined
  #sorted: SortedKeys | undefined

  constructor(name: string) {
    this.name = name
  }

  add(entry: OwnedEntry): void {
    entry.owner = this.name
    entry.holder = this
    this.entries.append(entry)
    this.#sorted?.add(entry.key)
    if (++this.count <= FEW || this.#sorted) return
    this.#sorted = new SortedKeys()
    for (const key of this.#keys()) this.#sorted.add(key)
  }

  remove(entry: OwnedEntry): void {
    this.entries.remove(entry)
    this.#sorted?.remove(entry.key)
    if (--this.count <= FEW / 2) this.#sorted = undefined
  }

  /** Up to `limit` keys, in ascending order, from behind `cursor` on. */
  keysAfter(cursor: string | undefined, limit: number): string[] {
    if (this.#sorted) return this.#sorted.after(cursor, limit)
    const keys = this.#keys().sort()
    return (cursor === undefined ? keys : keys.filter((key) => key > cursor)).slice(0, limit)
  }

  #keys(): string[] {
    const keys: string[] = []
    for (let entry = this.entries.first; entry instanceof DetailedEntry; entry = entry.after) keys.push(entry.key)
    return keys
  }
}
