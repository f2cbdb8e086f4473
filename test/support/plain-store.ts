// The contract in its shortest correct form, over a Map. It is a model for other stores, and the base class of the broken ones.
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../../src/store.ts'

/** The arguments of a touch: key, version, lastSeenAt, expiresAt, now. */
export type Touch = Parameters<SessionStore['touch']>

export type Listener = (key: string | undefined) => void

/** The listeners of all stores over the same records. */
const listenersOf = new WeakMap<Map<string, SessionRecord>, Set<Listener>>()

export class PlainStore implements SessionStore {
  protected readonly records: Map<string, SessionRecord>
  protected readonly listeners: Set<Listener>

  /** @param records the records of another store, for two stores over the same data. */
  constructor(records = new Map<string, SessionRecord>()) {
    this.records = records
    this.listeners = listenersOf.get(records) ?? new Set()
    listenersOf.set(records, this.listeners)
  }

  create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    if (this.live(record.key, now)) return false
    this.put(record)
    return true
  }

  read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
    const record = this.live(key, now)
    return record && this.copy(record)
  }

  replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    const stored = this.live(record.key, now)
    if (!stored) return 'gone'
    if (stored.version !== version) return 'stale'
    this.put(record)
    if (record.expiresAt <= now || record.payload.length === 0) this.announce(record.key)
    return 'done'
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean | Promise<boolean> {
    const stored = this.live(key, now)
    if (stored?.version !== version) return false
    if (lastSeenAt >= stored.lastSeenAt) this.put({ ...stored, lastSeenAt, expiresAt })
    return true
  }

  delete(key: string): boolean | Promise<boolean> {
    const isThere = this.records.delete(key)
    if (isThere) this.announce(key)
    return isThere
  }

  list(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
    const all = this.owned(owner, now)
    return all instanceof Promise
      ? all.then((records) => this.portion(records, limit, cursor))
      : this.portion(all, limit, cursor)
  }

  listKeys(owner: string, now: number, limit: number, cursor: string | undefined): KeyPage | Promise<KeyPage> {
    const keysOf = (page: RecordPage): KeyPage => ({ keys: page.records.map(({ key }) => key), cursor: page.cursor })
    const page = this.list(owner, now, limit, cursor)
    return page instanceof Promise ? page.then(keysOf) : keysOf(page)
  }

  scan(now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
    const live = [...this.records.values()].filter((record) => record.expiresAt > now)
    return this.portion(
      live.map((record) => this.copy(record)),
      limit,
      cursor,
    )
  }

  subscribe(onEnd: Listener): () => void {
    const listener: Listener = (key) => onEnd(key)
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  deleteExpired(now: number, limit: number): number | Promise<number> {
    let count = 0
    for (const { key, expiresAt } of this.records.values()) {
      if (count < limit && expiresAt <= now && this.records.delete(key)) count++
    }
    return count
  }

  close(): void | Promise<void> {
    // nothing was opened
  }

  /** The live records of an owner. */
  protected owned(owner: string, now: number): SessionRecord[] | Promise<SessionRecord[]> {
    return [...this.records.values()]
      .filter((record) => record.owner === owner && record.expiresAt > now)
      .map((record) => this.copy(record))
  }

  /** The records after the cursor, which is the last key of the portion before. */
  protected portion(all: readonly SessionRecord[], limit: number, cursor: string | undefined): RecordPage {
    const records = all
      .filter(({ key }) => cursor === undefined || key > cursor)
      .sort((first, second) => (first.key < second.key ? -1 : 1))
      .slice(0, limit)
    return { records, cursor: records.length < limit ? undefined : records.at(-1)?.key }
  }

  protected announce(key: string): void {
    for (const listener of this.listeners) listener(key)
  }

  protected live(key: string, now: number): SessionRecord | undefined {
    const record = this.records.get(key)
    return record && record.expiresAt > now ? record : undefined
  }

  protected put(record: SessionRecord): void {
    this.records.set(record.key, this.copy(record))
  }

  protected copy(record: SessionRecord): SessionRecord {
    return { ...record, payload: typeof record.payload === 'string' ? record.payload : record.payload.slice() }
  }
}
