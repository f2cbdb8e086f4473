// Wraps a store with a deadline, one kind of error, and checks of its answers. A synchronous answer stays synchronous.
import { count, keyPage, liveRecord, recordPage, replaced, WrongAnswer, yesOrNo } from './answers.ts'
import { atMost, Deadlines } from './deadlines.ts'
import { storeClosedError, unsupportedError } from './errors.ts'
import type { Events } from './events.ts'
import { spans, trace } from './trace.ts'
import { lateError, storeError, type Subject } from './store-failure.ts'
import {
  CorruptRecord,
  isPromise,
  type FoundRecord,
  type KeyPage,
  type MaybePromise,
  type RecordPage,
  type Replaced,
  type SessionRecord,
  type SessionStore,
} from './store.ts'

/** How long `close` waits for the work under way, and then for the store to close, in milliseconds. */
const MAX_CLOSING = 15_000

type Arguments<Verb extends keyof SessionStore> = Parameters<Extract<SessionStore[Verb], (...args: never) => unknown>>

export class CheckedStore {
  readonly #store: SessionStore
  readonly #deadlines: Deadlines
  readonly #events: Events
  /** Whether `close` was called: new work is refused. */
  isClosed = false
  #running = 0
  #closing: Promise<void> | undefined
  #onIdle: (() => void) | undefined

  /** `timeout` of one call, in milliseconds. */
  constructor(store: SessionStore, timeout: number, events: Events) {
    this.#store = store
    this.#deadlines = new Deadlines(timeout)
    this.#events = events
  }

  // ---- the verbs of one record

  create(record: SessionRecord, now: number): MaybePromise<boolean> {
    return this.#call('create', record, [record, now], yesOrNo)
  }

  /** The live record of that key; `'corrupt'` where the store holds something else there. */
  read(key: string, now: number): MaybePromise<FoundRecord> {
    return this.#call('read', key, [key, now], liveRecord)
  }

  replace(record: SessionRecord, version: number, now: number): MaybePromise<Replaced> {
    return this.#call('replace', record, [record, version, now], replaced)
  }

  touch(
    record: Pick<SessionRecord, 'key' | 'version' | 'owner'>,
    lastSeenAt: number,
    expiresAt: number,
    now: number,
  ): MaybePromise<boolean> {
    return this.#call('touch', record, [record.key, record.version, lastSeenAt, expiresAt, now], yesOrNo)
  }

  delete(key: string): MaybePromise<boolean> {
    return this.#call('delete', key, [key], yesOrNo)
  }

  // ---- the verbs of many records

  /**
   * A portion of an owner's live records, without those that cannot be read.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  async list(owner: string, now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    this.assertIndex()
    return this.#call('list', undefined, [owner, now, limit, cursor], (answer) => recordPage(answer, now, cursor))
  }

  /**
   * As `list`, but only the keys.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  async listKeys(owner: string, now: number, limit: number, cursor: string | undefined): Promise<KeyPage> {
    if (this.#store.listKeys === undefined) {
      const { records, cursor: next } = await this.list(owner, now, limit, cursor)
      return { keys: records.map(({ key }) => key), cursor: next }
    }
    this.assertIndex()
    return this.#call('listKeys', undefined, [owner, now, limit, cursor], (answer) => keyPage(answer, cursor))
  }

  /**
   * A portion of all live records.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no `scan`.
   */
  async scan(now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    if (this.#store.scan === undefined)
      throw unsupportedError('cannot go through all its sessions', 'scan and destroyEverything')
    return this.#call('scan', undefined, [now, limit, cursor], (answer) => recordPage(answer, now, cursor))
  }

  /** Deletes expired records and gives their number; 0 where the store expires records itself. */
  deleteExpired(now: number, limit: number): MaybePromise<number> {
    if (!this.isSweepable) return 0
    return this.#call('deleteExpired', undefined, [now, limit], count)
  }

  /** The time of the store's server; `undefined` where it has no clock or the call fails, which is not a `store-error`. */
  async serverTime(): Promise<number | undefined> {
    try {
      const answer: unknown = await this.#store.serverTime?.()
      return Number.isFinite(answer) ? (answer as number) : undefined
    } catch {
      // then nothing is known of it
    }
  }

  // ---- what the store announces

  /**
   * `subscribe`: the store calls the listener when a record ends, in whichever process. `watchEvictions`: a bounded store calls
   * it for each live record that it removed to make room. When the store refuses the subscription, a `store-error` is emitted,
   * and the store counts as unable to announce.
   *
   * @returns a function that ends the subscription, safe to call twice; `undefined` when this store cannot announce.
   */
  watch<Verb extends 'subscribe' | 'watchEvictions'>(
    operation: Verb,
    listener: Arguments<Verb>[0],
  ): (() => void) | undefined {
    let end: (() => void) | undefined
    try {
      // The compiler does not track which verb this listener is for.
      end = (this.#store[operation] as ((given: typeof listener) => () => void) | undefined)?.(listener)
      if (end === undefined) return
      // The rejection of an async implementation must not end the process.
      if (isPromise<unknown>(end)) end.then(undefined, () => undefined)
      if (typeof end !== 'function') throw new WrongAnswer('at once, with a function that ends it', end)
    } catch (cause) {
      storeError(this.#events, operation, undefined, cause)
      return
    }
    return () => {
      const ending = end
      end = undefined
      // Its function may be async.
      void new Promise((resolve) => resolve(ending?.())).catch((cause: unknown) =>
        storeError(this.#events, operation, undefined, cause),
      )
    }
  }

  /** @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner. */
  assertIndex(): void {
    if (this.#store.list === undefined)
      throw unsupportedError(
        'keeps no index by owner',
        'list, destroyAll, updateAll, maxPerOwner, and get, update and destroy with an owner',
      )
  }

  /** Whether the store has a server whose clock can be asked. */
  get hasServerTime(): boolean {
    return this.#store.serverTime !== undefined
  }

  get isSweepable(): boolean {
    return this.#store.deleteExpired !== undefined
  }

  // ---- the end

  /** @throws {SessionError} `ERR_SESSION_STORE` after `close`. */
  assertOpen(): void {
    if (this.isClosed) throw storeClosedError()
  }

  /**
   * Begins a piece of work that `close` waits for. It may make several calls.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` after `close`.
   */
  begin(): void {
    this.assertOpen()
    this.#running++
  }

  end(): void {
    if (--this.#running === 0) this.#onIdle?.()
  }

  /** Runs `work` between `begin` and `end`. */
  async during<Result>(work: () => MaybePromise<Result>): Promise<Result> {
    this.begin()
    try {
      return await work()
    } finally {
      this.end()
    }
  }

  /**
   * Waits for the work that is under way, 15 seconds at most, then closes the store. A later call waits as well, but does not
   * reject when the store fails to close.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` when the store fails to close.
   */
  close(): Promise<void> {
    this.isClosed = true
    return this.#closing?.catch(() => undefined) ?? (this.#closing = this.#close())
  }

  async #close(): Promise<void> {
    if (this.#running > 0) await atMost(MAX_CLOSING, new Promise<void>((resolve) => (this.#onIdle = resolve)))
    try {
      await atMost(MAX_CLOSING, Promise.resolve(this.#store.close?.()))
    } catch (cause) {
      throw storeError(this.#events, 'close', undefined, cause)
    }
  }

  // ---- one call

  /** `check` gives the meaning of the store's answer, and throws when the contract does not allow it. */
  #call<Verb extends keyof SessionStore, Answer>(
    operation: Verb,
    subject: Subject,
    args: Arguments<Verb>,
    check: (answer: unknown, ...args: Arguments<Verb>) => Answer,
    isTraced = false,
  ): MaybePromise<Answer> {
    if (!isTraced && spans.store.hasSubscribers)
      return trace('store', { operation }, () => this.#call(operation, subject, args, check, true))
    let answer: unknown
    try {
      // The compiler does not track which verb these arguments are for.
      answer = (this.#store[operation] as (...given: readonly unknown[]) => unknown)(...args)
      const { then } = (answer ?? {}) as Partial<PromiseLike<unknown>>
      if (typeof then !== 'function') return check(answer, ...args)
    } catch (cause) {
      return this.#recover(operation, subject, cause)
    }
    // Query builders are thenables, not promises.
    const promise = answer instanceof Promise ? answer : Promise.resolve(answer)
    return this.#wait(operation, subject, promise, (value) => check(value, ...args))
  }

  // A late answer changes nothing: the promise that the caller holds is settled by then.
  #wait<T>(operation: string, subject: Subject, answer: Promise<unknown>, check: (answer: unknown) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const { timeout } = this.#deadlines
      const deadline = this.#deadlines.set(() => reject(lateError(this.#events, operation, subject, timeout)))
      const recover = (cause: unknown): void => {
        try {
          resolve(this.#recover(operation, subject, cause))
        } catch (error) {
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what it throws is a SessionError
          reject(error)
        }
      }
      answer.then(
        (value) => {
          if (!this.#deadlines.clear(deadline)) return
          try {
            resolve(check(value))
          } catch (cause) {
            recover(cause)
          }
        },
        (cause: unknown) => {
          if (this.#deadlines.clear(deadline)) recover(cause)
        },
      )
    })
  }

  /** Turns a record that cannot be read into the answer `'corrupt'`, and throws any other failure. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller knows what its verb answers
  #recover<T>(operation: string, subject: Subject, cause: unknown): T {
    // Only `read` throws it, and 'corrupt' is one of the answers of `read`.
    if (operation === 'read' && cause instanceof CorruptRecord) return 'corrupt' as T
    throw storeError(this.#events, operation, subject, cause)
  }
}
