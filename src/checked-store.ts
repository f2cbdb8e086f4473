// Any store behind a deadline and one kind of error. What a store answers at once is passed on at once.
import { SessionError } from './errors.ts'
import type { Events } from './events.ts'
import { isPromise, type Maybe } from './session/steps.ts'
import { CorruptRecord, type Replaced, type SessionRecord, type SessionStore } from './store.ts'

/** Stands for what a store holds and nobody can read. To the core it is a session that has ended: it has no payload. */
export const CORRUPT: SessionRecord = Object.freeze({
  key: '',
  version: 0,
  payload: '',
  owner: undefined,
  createdAt: 0,
  lastSeenAt: 0,
  expiresAt: Infinity,
})

export class Guard {
  readonly #store: SessionStore
  readonly #timeout: number
  readonly #events: Events
  #running = 0
  #closing: Promise<void> | undefined = undefined
  #idle: (() => void) | undefined = undefined

  constructor(store: SessionStore, timeout: number, events: Events) {
    this.#store = store
    this.#timeout = timeout
    this.#events = events
  }

  /** @throws {SessionError} `ERR_SESSION_UNSUPPORTED` when the store has no index by owner. */
  assertIndex(): void {
    if (this.#store.list === undefined) throw unsupported()
  }

  get isSweepable(): boolean {
    return this.#store.deleteExpired !== undefined
  }

  // These three are on the way of requests: written out, since #ask makes a function for each call.
  create(record: SessionRecord, now: number): Maybe<boolean> {
    let answer: Maybe<boolean>
    try {
      answer = this.#store.create(record, now)
    } catch (cause) {
      throw this.#failed('create', record.key, cause)
    }
    return isPromise(answer) ? this.#wait('create', record.key, answer) : answer
  }

  /** The live record of that key; {@link CORRUPT} where the store holds something else there. */
  read(key: string, now: number): Maybe<SessionRecord | undefined> {
    let answer: Maybe<SessionRecord | undefined>
    try {
      answer = this.#store.read(key, now)
    } catch (cause) {
      if (cause instanceof CorruptRecord) return CORRUPT
      throw this.#failed('read', key, cause)
    }
    if (!isPromise(answer)) return live(answer, key, now)
    return this.#wait('read', key, answer.catch(unreadable)).then((record) =>
      record === CORRUPT ? record : live(record, key, now),
    )
  }

  replace(record: SessionRecord, version: number, now: number): Maybe<Replaced> {
    let answer: Maybe<Replaced>
    try {
      answer = this.#store.replace(record, version, now)
    } catch (cause) {
      throw this.#failed('replace', record.key, cause)
    }
    return isPromise(answer) ? this.#wait('replace', record.key, answer) : answer
  }

  touch(record: SessionRecord, lastSeenAt: number, expiresAt: number, now: number): Maybe<boolean> {
    return this.#ask('touch', record.key, (store) =>
      store.touch(record.key, record.version, lastSeenAt, expiresAt, now),
    )
  }

  delete(key: string): Maybe<boolean> {
    return this.#ask('delete', key, (store) => store.delete(key))
  }

  async list(owner: string, now: number): Promise<SessionRecord[]> {
    const all: SessionRecord[] = []
    let cursor: string | undefined
    do {
      const page = await this.#ask('list', undefined, (store) => {
        if (store.list === undefined) throw unsupported()
        return store.list(owner, now, 500, cursor)
      })
      all.push(...readable([...page.records]))
      cursor = page.cursor
    } while (cursor !== undefined)
    return all
  }

  deleteExpired(now: number, limit: number): Maybe<number> {
    return this.#ask('deleteExpired', undefined, (store) => store.deleteExpired?.(now, limit) ?? 0)
  }

  /**
   * A piece of work of several calls that `close` waits for.
   *
   * @throws {SessionError} `ERR_SESSION_STORE` after `close`.
   */
  enter(): void {
    if (this.#closing !== undefined) throw closed()
    this.#running++
  }

  leave(): void {
    if (--this.#running === 0) this.#idle?.()
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** @throws {SessionError} `ERR_SESSION_STORE` after `close`. */
  assertOpen(): void {
    if (this.#closing !== undefined) throw closed()
  }

  /** Waits for the work that is under way, then closes the store. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await this.#store.close?.()
  }

  #ask<T>(operation: string, key: string | undefined, call: (store: SessionStore) => Maybe<T>): Maybe<T> {
    let answer: Maybe<T>
    try {
      answer = call(this.#store)
    } catch (cause) {
      throw this.#failed(operation, key, cause)
    }
    return isPromise(answer) ? this.#wait(operation, key, answer) : answer
  }

  // A late answer changes nothing: the promise that the caller holds is settled by then.
  #wait<T>(operation: string, key: string | undefined, answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isLate = false
      const timer = setTimeout(() => {
        isLate = true
        reject(this.#failed(operation, key, undefined))
      }, this.#timeout)
      answer.then(
        (value) => {
          clearTimeout(timer)
          resolve(value)
        },
        (cause: unknown) => {
          clearTimeout(timer)
          if (!isLate) reject(this.#failed(operation, key, cause ?? new Error('it gave no reason')))
        },
      )
    })
  }

  #failed(operation: string, key: string | undefined, cause: unknown): SessionError {
    if (cause instanceof SessionError) return cause
    this.#events.emit('store-error', {
      publicId: key,
      operation,
      error: cause ?? new Error(`no answer within ${this.#timeout} ms`),
    })
    const isRead = operation === 'read' || operation === 'list'
    const message =
      cause !== undefined
        ? `the session store failed at ${operation}${kindOf(cause)}: error.cause says why`
        : `the session store did not answer ${operation} within options.storeTimeout (${this.#timeout} ms)${isRead ? '' : ': whether it happened is unknown, and it is not tried again'}`
    return new SessionError('ERR_SESSION_STORE', message, cause === undefined ? undefined : { cause })
  }
}

// Koa logs an error without its cause. A message may quote what was sent, and that may be data: a code or a class cannot.
function kindOf(cause: unknown): string {
  if (!(cause instanceof Error)) return ''
  const { code } = cause as { code?: unknown }
  const kind = typeof code === 'string' && /^\w{1,40}$/.test(code) ? code : cause.constructor.name
  return kind === '' || kind === 'Error' ? '' : ` (${kind})`
}

function unreadable(cause: unknown): SessionRecord {
  if (cause instanceof CorruptRecord) return CORRUPT
  throw cause
}

/** A store may break its promises: one that hands out what has expired, or `null` for nothing. */
function live(record: SessionRecord | null | undefined, key: string, now: number): SessionRecord | undefined {
  if (record === undefined || record === null) return undefined
  const whole = withoutNulls(record)
  if (!isRecord(whole) || whole.key !== key) return CORRUPT
  return whole.expiresAt > now ? whole : undefined
}

function readable(records: SessionRecord[]): SessionRecord[] {
  return records.every(isRecord) ? records : records.map(withoutNulls).filter(isRecord)
}

/** SQL's empty field. */
function withoutNulls(record: SessionRecord): SessionRecord {
  const { owner, meta } = record as { owner: unknown; meta?: unknown }
  return owner === null || meta === null
    ? { ...record, owner: record.owner ?? undefined, meta: record.meta ?? undefined }
    : record
}

/** What lies in a database may have been written by anybody: a field of another type must not be an error with every request. */
function isRecord(record: SessionRecord): boolean {
  const { key, version, payload, owner, createdAt, lastSeenAt, expiresAt, meta } = record as Readonly<
    Record<keyof SessionRecord, unknown>
  >
  return (
    typeof key === 'string' &&
    Number.isSafeInteger(version) &&
    (typeof payload === 'string' || payload instanceof Uint8Array) &&
    (owner === undefined || typeof owner === 'string') &&
    Number.isFinite(createdAt) &&
    Number.isFinite(lastSeenAt) &&
    Number.isFinite(expiresAt) &&
    (meta === undefined || typeof meta === 'string')
  )
}

function closed(): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    'the session middleware is closed: stop the server first, for no request with a session is served after close()',
  )
}

function unsupported(): SessionError {
  return new SessionError(
    'ERR_SESSION_UNSUPPORTED',
    'this store keeps no index by owner: use MemoryStore, SqliteStore, RedisStore or PostgresStore for list, destroyAll and destroy with an owner',
  )
}
