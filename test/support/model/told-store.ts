// A store whose calls wait for their turn, and are reported to the judge one by one.
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../../../src/store.ts'
import type { Scenario } from './scenario.ts'
import type { Schedule } from './schedule.ts'

/** The context of the store's calls. `Asker` is a request in the model. */
export interface Traffic<Asker> {
  readonly schedule: Schedule
  readonly calls: Scenario['calls']
  /** The request that runs now; `undefined` for one that only reads, after the run. */
  readonly mind: Asker | undefined
}

/** Hears of each call when it has happened, in the order in which they happen. */
export interface Witness<Asker> {
  /** Whether a key belongs to this world: the store may hold sessions of others. */
  knows(key: string): boolean
  read(mind: Asker | undefined, key: string, now: number, answer: SessionRecord | undefined): void
  create(mind: Asker | undefined, record: SessionRecord, now: number, answer: boolean): void
  replace(mind: Asker | undefined, record: SessionRecord, version: number, now: number, answer: Replaced): void
  /** A touch is about to be sent to the store. */
  touching(key: string, touch: Pick<SessionRecord, 'version' | 'lastSeenAt' | 'expiresAt'>): void
  touch(
    mind: Asker | undefined,
    key: string,
    version: number,
    lastSeenAt: number,
    expiresAt: number,
    now: number,
    answer: boolean,
  ): void
  delete(mind: Asker | undefined, key: string, now: number): void
}

export class ToldStore<Asker> implements SessionStore {
  readonly #inner: SessionStore
  readonly #stage: Traffic<Asker>
  readonly #judge: Witness<Asker>

  constructor(inner: SessionStore, stage: Traffic<Asker>, judge: Witness<Asker>) {
    this.#inner = inner
    this.#stage = stage
    this.#judge = judge
  }

  create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    const { mind } = this.#stage
    return this.#ask(
      () => this.#inner.create(record, now),
      (answer) => this.#judge.create(mind, record, now, answer),
    )
  }

  read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
    const { mind } = this.#stage
    return this.#ask(
      () => this.#inner.read(key, now),
      (answer) => this.#judge.read(mind, key, now, answer),
    )
  }

  replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    const { mind } = this.#stage
    return this.#ask(
      () => this.#inner.replace(record, version, now),
      (answer) => this.#judge.replace(mind, record, version, now, answer),
    )
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean | Promise<boolean> {
    const { mind } = this.#stage
    this.#judge.touching(key, { version, lastSeenAt, expiresAt })
    return this.#ask(
      () => this.#inner.touch(key, version, lastSeenAt, expiresAt, now),
      (answer) => this.#judge.touch(mind, key, version, lastSeenAt, expiresAt, now, answer),
    )
  }

  delete(key: string): boolean | Promise<boolean> {
    const { mind } = this.#stage
    // `delete` takes no instant: a record that has expired meanwhile may be gone or not.
    return this.#ask(
      () => this.#inner.delete(key),
      () => this.#judge.delete(mind, key, -Infinity),
    )
  }

  // The store may hold sessions of other worlds, which are filtered out.
  list(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
    return this.#walk(() => this.#inner.list?.(owner, now, limit, cursor))
  }

  scan(now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
    return this.#walk(() => this.#inner.scan?.(now, limit, cursor))
  }

  listKeys(owner: string, now: number, limit: number, cursor: string | undefined): KeyPage | Promise<KeyPage> {
    const page = this.#ask(
      () => this.#inner.listKeys?.(owner, now, limit, cursor) ?? { keys: [], cursor: undefined },
      () => undefined,
    )
    const ours = (found: KeyPage): KeyPage => ({ ...found, keys: found.keys.filter((key) => this.#judge.knows(key)) })
    return page instanceof Promise ? page.then(ours) : ours(page)
  }

  #walk(call: () => RecordPage | Promise<RecordPage> | undefined): RecordPage | Promise<RecordPage> {
    const page = this.#ask(
      () => call() ?? { records: [], cursor: undefined },
      () => undefined,
    )
    const ours = (found: RecordPage): RecordPage => ({
      ...found,
      records: found.records.filter(({ key }) => this.#judge.knows(key)),
    })
    return page instanceof Promise ? page.then(ours) : ours(page)
  }

  #ask<T>(call: () => T | Promise<T>, tell: (answer: T) => void): T | Promise<T> {
    const { calls, mind } = this.#stage
    if (mind !== undefined && calls !== 'at once') return this.#later(call, tell)
    const answer = this.#begun(call)
    if (answer instanceof Promise) return this.#settled(answer, tell)
    tell(answer)
    return answer
  }

  async #later<T>(call: () => T | Promise<T>, tell: (answer: T) => void): Promise<T> {
    const { schedule, calls } = this.#stage
    await schedule.wait('call')
    const answer = await this.#settled(this.#begun(call), tell)
    if (calls === 'around') await schedule.wait('answer')
    return answer
  }

  /** `calling` is counted during the call: a store that meets a lock pauses at once, and that must not be a turn of the schedule. */
  #begun<T>(call: () => T | Promise<T>): T | Promise<T> {
    const { schedule } = this.#stage
    schedule.calling++
    try {
      return call()
    } finally {
      schedule.calling--
    }
  }

  async #settled<T>(call: T | Promise<T>, tell: (answer: T) => void): Promise<T> {
    const { schedule } = this.#stage
    schedule.calling++
    try {
      const answer = await call
      tell(answer)
      return answer
    } finally {
      schedule.calling--
    }
  }
}
