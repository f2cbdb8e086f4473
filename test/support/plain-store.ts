// The contract in its shortest correct form: a Map, nothing clever. A model for other stores, and what broken ones derive from.
import type { Replaced, SessionRecord, SessionStore } from '../../src/store.ts'

export class PlainStore implements SessionStore {
  protected readonly records = new Map<string, SessionRecord>()

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
    return 'done'
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean | Promise<boolean> {
    const stored = this.live(key, now)
    if (stored?.version !== version) return false
    if (lastSeenAt >= stored.lastSeenAt) this.put({ ...stored, lastSeenAt, expiresAt })
    return true
  }

  delete(key: string): boolean | Promise<boolean> {
    return this.records.delete(key)
  }

  list(owner: string, now: number): SessionRecord[] | Promise<SessionRecord[]> {
    return [...this.records.values()]
      .filter((record) => record.owner === owner && record.expiresAt > now)
      .map((record) => this.copy(record))
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
