// A wrapper that adds `scan` to any store: it remembers the keys of its records and gives them in portions.
import type { RecordPage, Replaced, SessionRecord, SessionStore } from '../../src/store.ts'

export class WalkableStore implements SessionStore {
  readonly #inner: SessionStore
  readonly keys = new Set<string>()
  /** The number of calls under way, and its maximum. */
  underWay = 0
  most = 0

  constructor(inner: SessionStore) {
    this.#inner = inner
  }

  create(record: SessionRecord, now: number): Promise<boolean> {
    this.keys.add(record.key)
    return this.#counted(() => this.#inner.create(record, now))
  }

  read(key: string, now: number): Promise<SessionRecord | undefined> {
    return this.#counted(() => this.#inner.read(key, now))
  }

  replace(record: SessionRecord, version: number, now: number): Promise<Replaced> {
    return this.#counted(() => this.#inner.replace(record, version, now))
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): Promise<boolean> {
    return this.#counted(() => this.#inner.touch(key, version, lastSeenAt, expiresAt, now))
  }

  delete(key: string): Promise<boolean> {
    return this.#counted(() => this.#inner.delete(key))
  }

  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    const keys = [...this.keys].sort().filter((key) => cursor === undefined || key > cursor)
    const found = await Promise.all(keys.slice(0, limit).map(async (key) => this.#inner.read(key, now)))
    return {
      records: found.filter((record) => record !== undefined),
      cursor: keys.length > limit ? keys[limit - 1] : undefined,
    }
  }

  async #counted<T>(call: () => T | Promise<T>): Promise<T> {
    this.most = Math.max(this.most, ++this.underWay)
    try {
      await Promise.resolve()
      return await call()
    } finally {
      this.underWay--
    }
  }
}
