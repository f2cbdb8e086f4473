// The contract between the core and the stores. A store knows nothing of cookies, ids, requests or data: it keeps records under
// opaque keys, and compares a version and writes in one atomic step.
import { markClass } from './copies.ts'

/** What a store keeps for one session. A store copies every field and interprets only those named in its verbs. */
export interface SessionRecord {
  /** The name of the record: a hash of the session's id, 43 characters of the base64url alphabet. Never the id itself. */
  readonly key: string
  /** A whole number, 1 at first, and one larger with each `replace`. */
  readonly version: number
  /** The session's data as text or bytes, opaque to the store; empty once the session has ended or goes on under another key. */
  readonly payload: string | Uint8Array
  /** The account the session belongs to, 1 to 255 characters; `undefined` for an anonymous session. */
  readonly owner: string | undefined
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly lastSeenAt: number
  /** Epoch milliseconds; from this instant on the record counts as absent. */
  readonly expiresAt: number
  /** The core's own notes on the session: short text, opaque to the store; `undefined` (or left out) for most sessions. */
  readonly meta?: string | undefined
}

/** A portion of records. `cursor` is where the next one begins; `undefined` at the end. */
export interface RecordPage {
  /** In no particular order. */
  readonly records: readonly SessionRecord[]
  /** Opaque to the caller. */
  readonly cursor: string | undefined
}

/** A portion of keys. `cursor` is where the next one begins; `undefined` at the end. */
export interface KeyPage {
  /** In no particular order. */
  readonly keys: readonly string[]
  /** Opaque to the caller. */
  readonly cursor: string | undefined
}

/** The outcome of a `replace`. */
export type Replaced = 'done' | 'stale' | 'gone'

/**
 * A promise of `Answer`, a union of strings. For a store that implements the contract, it is a promise of any string: TypeScript
 * infers `Promise<string>` for `async replace() { return 'done' }` in a class. A string that is no answer is refused at run time.
 */
export interface PromiseOfText<Answer> extends Promise<Answer> {
  // Two signatures of one function: were it one, the compiler would ask that it takes any text.
  /** As of any promise. */
  then<Done = Answer, Failed = never>(
    onDone?: {
      (answer: Answer): Done | PromiseLike<Done>
      // eslint-disable-next-line @typescript-eslint/unified-signatures -- see above
      (answer: Answer, _?: never): Done | PromiseLike<Done>
    } | null,
    onFailed?: ((reason: unknown) => Failed | PromiseLike<Failed>) | null,
  ): Promise<Done | Failed>
  /** As of any promise. */
  catch<Failed = never>(
    onFailed?: ((reason: unknown) => Failed | PromiseLike<Failed>) | null,
  ): PromiseOfText<Answer | Failed>
  /** As of any promise. */
  finally(onDone?: (() => void) | null): PromiseOfText<Answer>
}

/**
 * Keeps session records.
 *
 * Every verb may answer synchronously or with a promise. `now` is the middleware's clock, in epoch milliseconds: it alone
 * decides what is expired (`expiresAt <= now`); a time to live of the server's own only collects garbage and must
 * never end a record early. Expected absence is a value; a thrown error or a rejection means that the store failed.
 * What a store returns is a copy or deeply frozen: stored records change only through these verbs.
 */
export interface SessionStore {
  /** What this store cannot promise, emitted once as a safety notice; left out where it keeps the whole contract. */
  readonly limits?: string | undefined

  /**
   * Inserts a record.
   *
   * Answers `false` and writes nothing when a live record holds the key; an expired one gives way. Of any number of
   * concurrent callers with the same key, exactly one gets `true`.
   */
  create(record: SessionRecord, now: number): boolean | Promise<boolean>

  /** The live record of that key, all fields as they were written. `undefined` when missing or expired. */
  read(key: string, now: number): SessionRecord | undefined | Promise<SessionRecord | undefined>

  /**
   * Puts `record` in the place of the live record of `record.key`, if and only if that one has `version`.
   *
   * `'stale'` when the live record has another version, `'gone'` when there is no live record; neither writes anything.
   * Comparison and write are one atomic step: of any number of concurrent callers with the same version, exactly one gets
   * `'done'`. The owner may change: the index by owner follows. A `record` that is already expired ends the session.
   */
  replace(record: SessionRecord, version: number, now: number): Replaced | PromiseOfText<Replaced>

  /**
   * Moves `lastSeenAt` and `expiresAt` of the live record that has `version`, and changes nothing else, not even the version.
   *
   * Answers `false` and writes nothing when that record is missing, expired or of another version. A `lastSeenAt` older than
   * the stored one changes nothing, and the answer is still `true`: of two touches the later instant is kept.
   */
  touch(key: string, version: number, lastSeenAt: number, expiresAt: number, now: number): boolean | Promise<boolean>

  /** Removes the record of that key, whatever its version. Answers whether there was one, which may have been expired. */
  delete(key: string): boolean | Promise<boolean>

  /**
   * The live records of an owner, in portions of about `limit`, in no particular order. Optional: a store without it has
   * no index by owner.
   *
   * The first call has no cursor; each later one takes the cursor of the portion before, until that is `undefined`. A
   * portion may be empty before the end. A record whose `create` or `replace` has been acknowledged before the first
   * call is listed at least once, unless it ends meanwhile. A record that is being written may be listed or not, but is never
   * live and unlisted afterwards: index entries are written before records. A store that reads its index first, and then the
   * records, also gives the empty record that replaced one in between: it may name the record in which its session goes on.
   * A single portion shows all records at one instant: a store that reads it in several steps gives a cursor all the same, and an
   * empty portion then.
   */
  list?(owner: string, now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage>

  /**
   * As `list`, but gives only the keys: no payload is read, and keys of records that lost their owner meanwhile may come.
   * Optional beside `list`; the core uses `list` without it.
   */
  listKeys?(owner: string, now: number, limit: number, cursor: string | undefined): KeyPage | Promise<KeyPage>

  /**
   * All live records, anonymous ones too, in portions of about `limit`, as `list` gives them.
   *
   * It takes constant memory, and holds neither a lock nor a transaction between portions. A record that lives from the first
   * call to the last comes at least once. A record that cannot be read is skipped. Optional.
   */
  scan?(now: number, limit: number, cursor: string | undefined): RecordPage | Promise<RecordPage>

  /**
   * Calls `onEnd` with the key of each record that is deleted, or replaced by an expired or an empty one, in whichever
   * process; it may be called with other keys, too. `onEnd(undefined)`: some keys may have been lost (a connection was cut and
   * is back).
   *
   * A record that merely expires is not announced. Every process announces, whether it has subscribed or not, and an announcement
   * that is refused never fails the verb. Optional; a store may lack it when it was made without what this verb needs.
   *
   * @returns a function that ends the subscription.
   */
  subscribe?(onEnd: (key: string | undefined) => void): () => void

  /**
   * Calls `onEvict` for each live record that a bounded store removed to make room, with the key and owner that it had. Optional.
   *
   * @returns a function that ends the subscription.
   */
  watchEvictions?(onEvict: (evicted: Pick<SessionRecord, 'key' | 'owner'>) => void): () => void

  /** Removes up to `limit` expired records, and no others; answers how many. Optional where the server expires records itself. */
  deleteExpired?(now: number, limit: number): number | Promise<number>

  /**
   * The time of the server, in epoch milliseconds. It decides nothing: where it is far from `now`, a notice says so.
   * `undefined` where the server cannot be asked. Optional; left out where there is no server.
   */
  serverTime?(): number | undefined | Promise<number | undefined>

  /** Stops timers and closes what the store opened itself, never a client of the caller. A second call does nothing. */
  close?(): void | Promise<void>
}

/** What was found under a key: its record (the only object), nothing, or `'corrupt'` for what is no record of that key. */
export type FoundRecord = SessionRecord | undefined | 'corrupt'

/** An answer, or a promise of it: stores may give either. */
export type MaybePromise<T> = T | Promise<T>

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Whether an answer is still to come. */
export function isPromise<T>(answer: MaybePromise<T>): answer is Promise<T> {
  return isObject(answer) && 'then' in answer && typeof answer.then === 'function'
}

// The store may come from another copy of this package than the middleware: its errors are recognised by this mark.
const CORRUPT = Symbol.for('koa-fastsession.corrupt-record')

/** A record that is not what was written: cut off, changed, or another record's. The core treats its session as ended. */
export class CorruptRecord extends Error {
  static {
    markClass(this, CORRUPT)
  }
}

/** The result of `find`; `undefined` for a corrupt record. @throws any other failure. */
export function unlessCorrupt<Found>(find: () => Found): Found | undefined {
  try {
    return find()
  } catch (error) {
    passOver(error)
  }
}

/** Passes over a corrupt record: in a portion it must not hide other records. @throws any other failure. */
export function passOver(error: unknown): undefined {
  if (!(error instanceof CorruptRecord)) throw error
}
