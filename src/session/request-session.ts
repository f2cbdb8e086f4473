// One session in one request: what is stored, what is pending, and its state. Nothing here calls the store or waits, but a
// look at `signal` begins to watch the session.
import type { ContextScope } from '../context.ts'
import { publicIdOf } from '../cookie/id.ts'
import { closedError, destroyedError, goneError, type SessionError } from '../errors.ts'
import { effectiveEnd, expiry, isTouchDue } from '../record/lifetime.ts'
import {
  decodeMetadata,
  newMetadata,
  NOTHING_STORED,
  readMetadata,
  type Metadata,
  type Stored,
} from '../record/record.ts'
import { passOver, type SessionRecord } from '../store.ts'
import type { Core, Facade, RequestInfo } from './core.ts'
import { Data } from './data.ts'
import { Ending } from './ending.ts'
import { Pending } from './pending.ts'
import { ResponseCookie } from './response-cookie.ts'

/** Where a session came from: the manager's `origin`. */
export type Origin = 'new' | 'resumed' | 'invalid' | 'expired' | 'unbound'

/**
 * `'new'`: nothing is stored. `'live'`: stored, `record` is the newest version that this request knows. `'gone'`: it ended
 * elsewhere, or the request presented an id that was replaced recently; changes are refused. `'unbound'`: its browser has
 * yet to prove itself; changes are refused. `'destroyed'`: this request ended it.
 */
export type Status = 'new' | 'live' | 'gone' | 'unbound' | 'destroyed'

/** `'sealed'`: the last commit takes no further changes. `'closed'`: the last commit is over. */
export type Phase = 'open' | 'sealed' | 'closed'

const NO_KEYS: readonly string[] = []

export class RequestSession {
  readonly core: Core
  readonly info: RequestInfo
  /** When the request arrived, in epoch milliseconds. */
  readonly now: number
  readonly pending: Pending
  readonly cookie: ResponseCookie
  origin: Origin
  status: Status = 'new'
  phase: Phase = 'open'
  /** The newest record of this session that this request knows; `undefined` for one that is not stored. */
  record: SessionRecord | undefined
  /** Whether it is stored with empty data that the schema has not checked. */
  isUnchecked = false
  /** Why the stored data cannot be used with the schema. It can still be replaced or cleared. */
  dataError: SessionError | undefined
  /** The public id that the cookie presented, also where this process cannot use its session. */
  presented: string | undefined
  /** The session that this request came with, and that had ended when it signed in: what took its place is the browser's, too. */
  forgotten: SessionRecord | undefined
  /** This request gave the session a new id. */
  hasNewId = false
  /** Its old id is being replaced. The announcement of a fresh start ends the signals of other requests, but not its own. */
  isMoving = false
  /** How often its handlers ended the session by a method of the middleware (`destroyAll`, say), or `destroy()` has begun to. */
  ends = 0
  /** When the loaded session ends under the current limits if it is not used again; 0 for one that was not loaded. */
  endsAt = 0
  /** The same without regard to the stored expiry, until this request stores anything: later where a limit was lengthened since. */
  allowedEnd = 0
  /** When the read of the record began, by `performance.now()`. */
  readAt = 0
  /** When `lastSeenAt` and `expiresAt` of the record were read, in epoch milliseconds. */
  instantsAt: number
  /** Its changes are stored in a session whose id another response carries, so this response sends no cookie. */
  isFollower = false
  /** Keys of data that other requests changed after this one read them and before it stored its changes. */
  mergedKeys: readonly string[] = NO_KEYS
  /** The scope in which `currentSession()` finds this session; `undefined` while it is being loaded. */
  scope: ContextScope | undefined
  /** The work on this session that must end before the next begins. */
  busy: Promise<unknown> | undefined
  /** With `koaSession`, the facade of the innermost chain that has begun. */
  facade: Facade | undefined
  /** How many pieces of work have not ended. */
  working = 0
  /** Called once `destroy()` has ended the session, by whichever part of the request. */
  onDestroyed: (() => void) | undefined
  /** `undefined` until a handler reads `signal`. */
  ending: Ending | undefined
  #id: string | undefined
  #publicId: string | undefined
  #stored: Stored | undefined
  #metadata: Metadata | undefined

  constructor(core: Core, info: RequestInfo, now: number, origin: Origin) {
    this.core = core
    this.info = info
    this.now = now
    this.instantsAt = now
    this.origin = origin
    // Outside Koa's chain no cookie can be sent, so a session is not stored for its mere existence.
    this.pending = new Pending(!core.settings.lazy && (info.ctx?.method ?? 'OPTIONS') !== 'OPTIONS')
    this.cookie = new ResponseCookie(this)
  }

  // ---- what the session is

  /** The secret id. A session without one gets it here. */
  get id(): string {
    return (this.#id ??= this.core.settings.generateId())
  }

  get publicId(): string {
    return this.record?.key ?? (this.#publicId ??= publicIdOf(this.id))
  }

  /** Discards the id of a session that is not stored. */
  forgetId(): void {
    this.#id = undefined
    this.#publicId = undefined
  }

  /** Takes the record that the cookie names, and its metadata. */
  resume(id: string, record: SessionRecord, metadata: Metadata): void {
    this.#metadata = metadata
    this.#stored = undefined
    this.#id = id
    this.record = record
    this.status = 'live'
    this.origin = 'resumed'
  }

  /** Continues the session under an id and a record that this request wrote. */
  become(id: string, record: SessionRecord, stored: Stored): void {
    this.#id = id
    this.status = 'live'
    this.hasNewId = true
    this.setRecord(record, stored)
    this.ending?.watch()
    // If the id has already left with the headers, the browser has it.
    if (this.cookie.hasIntroduced) this.cookie.withdraw()
    else this.cookie.issue()
  }

  /** Takes a newer record of the same session, and what it holds. */
  setRecord(record: SessionRecord, stored: Stored): void {
    // The session that it was of has ended: the next look is at that of another record. No newer version is a new beginning.
    if (record.key !== this.record?.key && this.ending?.signal.aborted) this.ending = undefined
    this.record = record
    // What this request stores has the current limits.
    this.allowedEnd = 0
    // The schema's error stays as long as the data that it refused is there.
    if (stored.data !== this.#stored?.data) this.dataError = undefined
    this.#stored = stored
  }

  /** Takes the lifetime from a newer record of the same session. @returns whether that could be read. */
  takeLifetime(newest: SessionRecord): boolean {
    const metadata = readMetadata(newest)
    if (metadata === undefined || this.record === undefined) return false
    this.record = { ...this.record, lastSeenAt: newest.lastSeenAt, expiresAt: newest.expiresAt }
    this.#metadata = metadata
    if (this.#stored !== undefined) this.#stored = { ...this.#stored, metadata }
    return true
  }

  /** What is stored, decoded on first access; an empty session if nothing is stored. */
  get stored(): Stored {
    if (this.#stored === undefined) this.open()
    return this.#stored ?? NOTHING_STORED
  }

  /** Lifetimes and sign-in of the session, known without decoding its data. */
  get metadata(): Metadata {
    return this.#stored?.metadata ?? (this.#metadata ??= newMetadata(this.now))
  }

  /**
   * Decodes what is stored, unless that is done already. A record that cannot be read counts as no session: a fresh one
   * begins, and an event says so. All code that reads or stores the session's contents calls this first.
   */
  open(): void {
    if (this.#stored !== undefined || this.record === undefined) return
    try {
      const metadata = this.#metadata ?? decodeMetadata(this.record)
      const { payload } = this.core
      // Spreading the contents would cost a reading request a fifth more (Node 20).
      const { data, flash, device } = payload.known.contentsOf(this.record) ?? payload.decode(this.record)
      this.#stored = { data, flash, device, metadata }
    } catch (error) {
      passOver(error)
      this.core.events.tell('reject', this.record, { reason: 'corrupt' })
      this.startAnew()
    }
  }

  /** Discards the session that the cookie named, and begins a fresh one. */
  startAnew(): void {
    this.record = undefined
    this.status = 'new'
    this.origin = 'expired'
    this.#stored = undefined
    this.#metadata = undefined
    this.cookie.withdraw()
    this.forgetId()
  }

  // ---- what the handlers may do

  get data(): Data {
    if (this.status === 'destroyed') throw destroyedError()
    return (this.pending.data ??= new Data((this.#stored ?? this.stored).data, this.core.payload.codec, this))
  }

  /** Why data cannot be used, unless the handlers have replaced all of it. */
  get refusal(): SessionError | undefined {
    return this.pending.replacement === undefined ? this.dataError : undefined
  }

  /** @throws {SessionError} `ERR_SESSION_DESTROYED`. */
  assertReadable(): void {
    if (this.status === 'destroyed') throw destroyedError()
  }

  /** @throws {SessionError} `ERR_SESSION_DESTROYED`, or `ERR_SESSION_CLOSED` after the commit. */
  assertWritable(): void {
    this.assertReadable()
    if (this.phase !== 'open') throw closedError()
  }

  setMaxAge(maxAge: number): void {
    // Setting 0 while the options apply is no change, unless work under way may be storing a `maxAge` above 0.
    const isChange =
      maxAge > 0 || this.metadata.maxAge > 0 || (this.maxAge > 0 && (this.busy !== undefined || this.core.running > 0))
    this.pending.maxAge = isChange ? maxAge : undefined
  }

  get maxAge(): number {
    return this.pending.maxAge ?? this.metadata.maxAge
  }

  /** When the session ends if it is not used again, with the pending `maxAge` applied. */
  get expiresAt(): number {
    const { record, pending } = this
    const { lifetime, now } = this.core.settings
    if (record !== undefined && pending.maxAge === undefined) return effectiveEnd(lifetime, this.metadata, record)
    const seenAt = record === undefined ? this.now : now()
    return expiry(lifetime, this.cookie.lifetime(seenAt), seenAt)
  }

  /** Whether a use of a stored session moves its expiry now: at once where a limit was lengthened, for the old one may come first. */
  isTouchDue(record: SessionRecord, now: number): boolean {
    // The store keeps a later use, of a process whose clock is ahead, and its expiry.
    if (this.info.isPassive || now < record.lastSeenAt) return false
    // A second apart: a store may keep instants as whole numbers.
    if (this.allowedEnd - record.expiresAt >= 1000) return true
    return isTouchDue(this.core.settings.lifetime, this.metadata, record.lastSeenAt, now)
  }

  /** Whether the session of a record has ended under the current limits, which may differ from those at its storing. */
  hasRunOut(record: SessionRecord, now: number, metadata: Metadata = this.metadata): boolean {
    return effectiveEnd(this.core.settings.lifetime, metadata, record) <= now
  }

  /** Aborts when the session ends. */
  get signal(): AbortSignal {
    return (this.ending ??= new Ending(this)).signal
  }

  /** Drops an ended session before a sign-in begins another one. Aborts the signal of the old one, and does nothing else. */
  forgetEnded(): void {
    this.forgotten ??= this.record
    this.record = undefined
    this.mergedKeys = NO_KEYS
    if (this.status === 'live') this.status = 'gone'
    this.cookie.withdraw()
    this.ending?.unwatch()
    this.ending?.end(goneError())
    this.ending = undefined
  }

  // ---- the outcome

  /** Emits the events of a stored change, and of the changes of other requests that it met. */
  tellCommitted(record: SessionRecord, conflicts: readonly string[] = NO_KEYS): void {
    const { events } = this.core
    if (this.mergedKeys.length > 0) {
      events.tell('merge', record, { keys: this.mergedKeys })
      this.mergedKeys = NO_KEYS
    }
    if (conflicts.length > 0) {
      events.tell('conflict', record, { keys: conflicts })
      events.notice(
        'MERGED_CONFLICT',
        "two requests changed the same key of one session, and the later commit won: use session.update() for counters and lists, or onConflict: 'throw'",
      )
    }
    if (events.channels.commit.hasSubscribers) events.tell('commit', record)
  }

  /** Drops what is pending, because it was part of something that failed. */
  drop(): void {
    this.pending.reset(this.stored.data)
    this.pending.mustStore = false
    this.facade?.settled('ended')
  }

  /** Ends the commits of this request, and drops what was not stored. */
  close(): void {
    const { pending } = this
    this.phase = 'closed'
    this.cookie.isOver = true
    pending.data?.close((this.#stored ?? this.stored).data)
    pending.replacement = undefined
    pending.flash = undefined
    pending.maxAge = undefined
  }

  /** The session ended elsewhere, and a change of this request is refused: the response sends no cookie of it. */
  markGone(): void {
    this.isFollower = false
    this.status = 'gone'
    this.cookie.withdraw()
    const { record, presented, core } = this
    core.events.emit('gone', { publicId: record?.key ?? presented, owner: record?.owner })
  }
}
