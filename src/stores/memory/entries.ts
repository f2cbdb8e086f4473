// What the memory store keeps of a record beside its numbers and its key: as little as possible.
import type { SessionRecord } from '../../store.ts'
import { Queue, type Link } from './queue.ts'
import { ownText } from './size.ts'
import { SortedKeys } from './sorted-keys.ts'

/** The payload alone for most anonymous sessions, else a DetailedEntry. Bytes are the store's own copies, which no caller has. */
export type Entry = string | Uint8Array | DetailedEntry

/** The entry of a record that has an owner or a meta. */
export class DetailedEntry implements Link<DetailedEntry | Owner> {
  readonly key: string
  payload: string | Uint8Array
  /** Always equal to the record's owner: a record with another owner gets another entry. */
  owner: string | undefined
  meta: string | undefined
  /** All entries of its owner, if the owner has had more than one at a time. */
  holder: Owner | undefined
  before: DetailedEntry | Owner | undefined
  after: DetailedEntry | Owner | undefined

  constructor({ key, payload, owner, meta }: SessionRecord) {
    this.key = key
    this.payload = ownPayload(payload)
    this.owner = ownText(owner)
    this.meta = ownText(meta)
  }

  /** Takes over payload and meta of a record of the same owner. */
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

// Up to this many keys are sorted whenever they are listed; more are kept sorted.
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

  /** Up to `limit` keys after `cursor`, in ascending order. */
  keysAfter(cursor: string, limit: number): string[] {
    if (this.#sorted) return this.#sorted.after(cursor, limit)
    const keys = this.#keys().filter((key) => key > cursor)
    return keys.sort().slice(0, limit)
  }

  #keys(): string[] {
    const keys: string[] = []
    for (let entry = this.entries.first; entry instanceof DetailedEntry; entry = entry.after) keys.push(entry.key)
    return keys
  }
}
