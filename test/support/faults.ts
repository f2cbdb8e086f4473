// A wrapper around any store that fails, hangs or pauses on demand, and counts calls.
import type { KeyPage, RecordPage, Replaced, SessionRecord, SessionStore } from '../../src/store.ts'

export type Verb = 'create' | 'read' | 'replace' | 'touch' | 'delete' | 'list' | 'listKeys' | 'scan' | 'deleteExpired'

/** A place where calls wait until they are let through. */
export class Barrier {
  /** Resolves when a call has arrived. */
  readonly arrived: Promise<void>
  #arrive!: () => void
  #open!: () => void
  readonly #opened: Promise<void>

  constructor() {
    this.arrived = new Promise((resolve) => (this.#arrive = resolve))
    this.#opened = new Promise((resolve) => (this.#open = resolve))
  }

  /** Lets every call through, including later ones. */
  open(): void {
    this.#open()
  }

  async pass(): Promise<void> {
    this.#arrive()
    await this.#opened
  }
}

export type Fault =
  /** The call fails before it reaches the store. */
  | { readonly kind: 'fail'; readonly error?: unknown }
  /** The call happens, but its answer is lost: the caller gets an error. */
  | { readonly kind: 'fail-after'; readonly error?: unknown }
  /** The call never reaches the store and is never answered. */
  | { readonly kind: 'hang' }
  /** The call happens, but is never answered. */
  | { readonly kind: 'hang-after' }
  /** The call waits at a barrier before it reaches the store. */
  | { readonly kind: 'before'; readonly barrier: Barrier }
  /** The call happens, and its answer waits at a barrier. */
  | { readonly kind: 'after'; readonly barrier: Barrier }

export class FaultyStore implements SessionStore {
  readonly inner: SessionStore
  readonly calls: Record<Verb, number> = {
    create: 0,
    read: 0,
    replace: 0,
    touch: 0,
    delete: 0,
    list: 0,
    listKeys: 0,
    scan: 0,
    deleteExpired: 0,
  }
  readonly #faults: { readonly verb: Verb; readonly fault: Fault; times: number }[] = []

  constructor(inner: SessionStore) {
    this.inner = inner
    // The wrapper must not have verbs that the store lacks.
    if (inner.list === undefined) Object.assign(this, { list: undefined })
    for (const verb of ['listKeys', 'scan', 'subscribe', 'deleteExpired'] as const) {
      if (inner[verb] === undefined) Object.assign(this, { [verb]: undefined })
    }
  }

  /** Applies a fault to the next `times` calls of a verb. */
  next(verb: Verb, fault: Fault, times = 1): this {
    this.#faults.push({ verb, fault, times })
    return this
  }

  /** Stops the next call of a verb before it reaches the store, or before its answer. Open the barrier to let it through. */
  pause(verb: Verb, when: 'before' | 'after' = 'before'): Barrier {
    const barrier = new Barrier()
    this.next(verb, { kind: when, barrier })
    return barrier
  }

  /** Every call of these verbs fails until `heal`. */
  break(...verbs: Verb[]): void {
    for (const verb of verbs) this.next(verb, { kind: 'fail' }, Infinity)
  }

  /** Whether a planned fault has not happened yet. */
  get isFaultDue(): boolean {
    return this.#faults.length > 0
  }

  heal(): void {
    this.#faults.length = 0
  }

  /** The number of calls by verb since the last call of this method, without zeros. */
  counted(): Partial<Record<Verb, number>> {
    const seen = Object.fromEntries(Object.entries(this.calls).filter(([, count]) => count > 0))
    for (const verb of Object.keys(this.calls) as Verb[]) this.calls[verb] = 0
    return seen
  }

  create(record: SessionRecord, now: number): boolean | Promise<boolean> {
    return this.#call('create', () => this.inner.create(record, now))
  }

  read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined> {
    return this.#call('read', () => this.inner.read(key, now))
  }

  replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    return this.#call('replace', () => this.inner.replace(record, version, now))
  }

  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean | Promise<boolean> {
    return this.#call('touch', () => this.inner.touch(key, version, lastSeenAt, expiresAt, now))
  }

  delete(key: string): boolean | Promise<boolean> {
    return this.#call('delete', () => this.inner.delete(key))
  }

  list(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
    return this.#call('list', () => this.inner.list?.(owner, now, limit, cursor) ?? { records: [], cursor: undefined })
  }

  listKeys(owner: string, now: number, limit: number, cursor: string | undefined): KeyPage | Promise<KeyPage> {
    return this.#call(
      'listKeys',
      () => this.inner.listKeys?.(owner, now, limit, cursor) ?? { keys: [], cursor: undefined },
    )
  }

  scan(now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage> {
    return this.#call('scan', () => this.inner.scan?.(now, limit, cursor) ?? { records: [], cursor: undefined })
  }

  subscribe(onEnd: (key: string | undefined) => void): () => void {
    return this.inner.subscribe?.(onEnd) ?? (() => undefined)
  }

  deleteExpired(now: number, limit: number): number | Promise<number> {
    return this.#call('deleteExpired', () => this.inner.deleteExpired?.(now, limit) ?? 0)
  }

  async close(): Promise<void> {
    await this.inner.close?.()
  }

  #call<T>(verb: Verb, ask: () => T | Promise<T>): T | Promise<T> {
    this.calls[verb]++
    const at = this.#faults.findIndex((planned) => planned.verb === verb)
    const planned = this.#faults[at]
    if (planned === undefined) return ask()
    if (--planned.times <= 0) this.#faults.splice(at, 1)
    return this.#suffer(planned.fault, ask)
  }

  async #suffer<T>(fault: Fault, ask: () => T | Promise<T>): Promise<T> {
    if (fault.kind === 'hang') return new Promise<T>(() => undefined)
    if (fault.kind === 'fail') throw broken(fault.error)
    if (fault.kind === 'before') await fault.barrier.pass()
    const answer = await ask()
    if (fault.kind === 'hang-after') return new Promise<T>(() => undefined)
    if (fault.kind === 'fail-after') throw broken(fault.error)
    if (fault.kind === 'after') await fault.barrier.pass()
    return answer
  }
}

function broken(error: unknown): Error {
  return error instanceof Error ? error : new Error('connect ECONNREFUSED 127.0.0.1:1')
}
