// Any store behind a deadline and one kind of error; what it answers is checked. An answer that comes at once is passed on
// at once.
import { count, keyPage, liveRecord, recordPage, replaced, WrongAnswer, yesOrNo } from './answers.ts'
import { atMost, Deadlines } from './deadlines.ts'
import { storeClosedError, type SessionError, unsupportedIndex, unsupportedScan } from './errors.ts'
import type { Events } from './events.ts'
import { spans, trace } from './trace.ts'
import { lateError, storeError, type Subject } from './store-failure.ts'
import {
  CorruptRecord,
  isPromise,
  type KeyPage,
  type MaybePromise,
  type RecordPage,
  type Replaced,
  type SessionRecord,
  type SessionStore,
} from './store.ts'

/** How long `close` waits for what is under way, and for the store to close, in milliseconds. */
const MAX_CLOSING = 15_000

type Arguments<Verb extends keyof SessionStore> = Parameters<Extract<SessionStore[Verb], (...args: never) => unknown>>

/** What an answer of the store means; throws what it may not be. */
type Check<Args extends readonly unknown[], Answer> = (answer: unknown, ...args: Args) => Answer

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
  read(key: string, now: number): MaybePromise<SessionRecord | undefined | 'corrupt'> {
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
   * A portion of an owner's live records; those that cannot be read are passed over.
   *
   * @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner.
   */
  async list(owner: string, now: number, limit: number, cursor: string | undefined): Promise<RecordPage> {
    this.assertIndex()
    return this.#call('list', undefined, [owner, now, limit, cursor], (answer) => recordPage(answer, now, cursor))
  }

  /**
   * As `list`, the keys alone.
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
    if (this.#store.scan === undefined) throw unsupportedScan()
    return this.#call('scan', undefined, [now, limit, cursor], (answer) => recordPage(answer, now, cursor))
  }

  /** How many were deleted; 0 where the store expires records itself. */
  deleteExpired(now: number, limit: number): MaybePromise<number> {
    if (!this.isSweepable) return 0
    return this.#call('deleteExpired', undefined, [now, limit], count)
  }

  /** What the clock of the store's server shows; `undefined` where it has none, or does not say: no verb has failed. */
  async serverTime(): Promise<number | undefined> {
    try {
      const answer: unknown = await this.#store.serverTime?.()
      return typeof answer === 'number' && Number.isFinite(answer) ? answer : undefined
    } catch {
      return undefined
    }
  }

  // ---- what the store announces

  /**
   * The store calls `onEnd` when a record ends, in whichever process. A subscription that the store refuses is a
   * `store-error`, and as good as none.
   *
   * @returns a function that ends it, safe to call twice; `undefined` when this store cannot announce.
   */
  subscribe(onEnd: (key: string | undefined) => void): (() => void) | undefined {
    return this.#watch('subscribe', onEnd)
  }

  /** A bounded store calls `onEvict` for each live record that it removed to make room; as `subscribe` otherwise. */
  watchEvictions(onEvict: (evicted: Pick<SessionRecord, 'key' | 'owner'>) => void): (() => void) | undefined {
    return this.#watch('watchEvictions', onEvict)
  }

  #watch(operation: 'subscribe' | 'watchEvictions', listener: (told: never) => void): (() => void) | undefined {
    let end: (() => void) | undefined
    try {
      // The compiler loses sight of which verb this listener is for.
      end = (this.#store[operation] as ((given: typeof listener) => () => void) | undefined)?.(listener)
      if (end === undefined) return undefined
      // What an async one rejects with must not end the process.
      if (isPromise<unknown>(end)) end.then(undefined, () => undefined)
      if (typeof end !== 'function') throw new WrongAnswer('at once, with a function that ends it', end)
    } catch (cause) {
      this.#failed(operation, undefined, cause)
      return undefined
    }
    return () => {
      const ending = end
      end = undefined
      try {
        ending?.()
      } catch (cause) {
        this.#failed(operation, undefined, cause)
      }
    }
  }

  /** @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner. */
  assertIndex(): void {
    if (this.#store.list === undefined) throw unsupportedIndex()
  }

  /** Whether it has a server whose clock can be asked. */
  get hasServerTime(): boolean {
    return this.#store.serverTime !== undefined
  }

  get isSweepable(): boolean {
    return this.#store.deleteExpired !== undefined
  }

  // ---- the end

  /**
   * A piece of work of several calls that `close` waits for.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` after `close`.
   */
  begin(): void {
    if (this.isClosed) throw storeClosedError()
    this.#running++
  }

  end(): void {
    if (--this.#running === 0) this.#onIdle?.()
  }

  /** Does such a piece of work. */
  async during<Result>(work: () => MaybePromise<Result>): Promise<Result> {
    this.begin()
    try {
      return await work()
    } finally {
      this.end()
    }
  }

  /**
   * Waits for the work that is under way, 15 seconds at most, then closes the store. A later call waits as well, and is told of
   * no failure.
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
      throw this.#failed('close', undefined, cause)
    }
  }

  // ---- one call

  #call<Verb extends keyof SessionStore, Answer>(
    operation: Verb,
    subject: Subject,
    args: Arguments<Verb>,
    check: Check<Arguments<Verb>, Answer>,
    isTraced = false,
  ): MaybePromise<Answer> {
    if (!isTraced && spans.store.hasSubscribers)
      return trace('store', { operation }, () => this.#call(operation, subject, args, check, true))
    let answer: unknown
    try {
      // The compiler loses sight of which verb these arguments are for.
      answer = (this.#store[operation] as (...given: readonly unknown[]) => unknown)(...args)
      const { then } = (answer ?? {}) as Partial<PromiseLike<unknown>>
      if (typeof then !== 'function') return check(answer, ...args)
    } catch (cause) {
      return this.#recover(operation, subject, cause)
    }
    // Query builders are awaited, but are no promises.
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

  /** What a failed call answers after all: a record that cannot be read is an answer. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller knows what its verb answers
  #recover<T>(operation: string, subject: Subject, cause: unknown): T {
    // Only `read` throws it, and that answers 'corrupt' among others.
    if (operation === 'read' && cause instanceof CorruptRecord) return 'corrupt' as T
    throw this.#failed(operation, subject, cause)
  }

  #failed(operation: string, subject: Subject, cause: unknown): SessionError {
    return storeError(this.#events, operation, subject, cause)
  }
}
