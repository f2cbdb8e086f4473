// One session in one request: what was loaded, what is pending, and which cookie is due. Knows no store call and no
// waiting; those are commit.ts. The handler sees it through the manager alone.
import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { mergeFlash, apply, type Changes, type Flash, type Snapshot } from '../record/merge.ts'
import { isId, setCookieLine, type CookieSettings, type Keyring } from '../cookie/cookie.ts'
import { Data, type Gate } from './data.ts'
import { invalidMix, describe, SessionError } from '../errors.ts'
import type { Events } from '../events.ts'
import type { Guard } from '../checked-store.ts'
import { publicIdOf } from '../cookie/id.ts'
import { cookieMaxAge, expiry, isTouchDue } from '../record/lifetime.ts'
import type { Line } from './write-lock.ts'
import { Messages, NO_MESSAGES, type FlashChanges } from './flash.ts'
import { freshNotes, notesOf, writeNotes, type Notes } from '../record/metadata.ts'
import { checkedOwner, type Settings } from '../options.ts'
import type { Contents, Payload } from '../record/payload.ts'
import { arm } from '../cookie/on-headers.ts'
import { CorruptRecord, type SessionRecord } from '../store.ts'

/** Where a session came from, as `origin` of the manager tells it. */
export type Origin = 'new' | 'resumed' | 'invalid' | 'expired'

/** What one middleware's sessions share. */
export interface Services {
  /** Who writes which record now. */
  readonly writes: Line
  /** Who computes an update of which record anew, after it was overtaken. */
  readonly updates: Line
  readonly settings: Settings
  readonly store: Guard
  readonly payload: Payload
  readonly events: Events
}

/** The request that a session is held for. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly cookie: CookieSettings
  readonly keyring: Keyring
  /** Absent outside Koa's chain, where no cookie can be sent. */
  readonly ctx: Context | undefined
}

/** A record and what it holds. */
export interface Stored extends Contents {
  readonly notes: Notes
}

/** What a request wants to change. */
export interface Pending extends FlashChanges {
  readonly changes: Changes
  /** The session's own lifetime to be; `undefined` where it was not set. */
  readonly maxAge: number | undefined
}

/** What a record is made from. */
export interface Draft extends Stored {
  readonly createdAt: number
  readonly owner: string | undefined
}

const EMPTY: Snapshot = Object.freeze({})
const NO_FLASH: readonly Flash[] = Object.freeze([])

export class Visit implements Gate {
  readonly services: Services
  readonly exchange: Exchange
  /** The instant at which the request came. */
  readonly now: number
  origin: Origin
  /** The newest record of this session that this request knows; `undefined` for a session that is not stored. */
  record: SessionRecord | undefined = undefined
  /** Came with an id that was replaced a moment ago: reads as expired, and nothing of it is kept. */
  isLate = false
  /** Ended elsewhere while this request ran. */
  isGone = false
  isDestroyed = false
  /** The request is over. */
  isClosed = false
  /** What the last commit stores is settled: a later change would not be among it. */
  isSealed = false
  /** A handler looked at the session: the response depends on the cookie. */
  isConsulted = false
  /** Kept even when there is no data. */
  isKept: boolean
  /** The browser's cookie is signed with an older key, or has another lifetime now: a new one is due if the session lives on. */
  isRenewing = false
  /** An update of this session has its place in line. */
  isUpdating = false
  /** The work on this session that has to end before the next begins. */
  busy: Promise<unknown> | undefined = undefined
  /** What the cookie that is due does. */
  due: 'nothing' | 'issue' | 'clear' = 'nothing'
  #id: string | undefined = undefined
  #publicId: string | undefined = undefined
  #stored: Stored | undefined = undefined
  #notes: Notes | undefined = undefined
  #data: Data | undefined = undefined
  #messages: Messages | undefined = undefined
  #maxAge: number | undefined = undefined
  #isArmed = false
  #hasSent = false

  constructor(services: Services, exchange: Exchange, now: number, origin: Origin) {
    this.services = services
    this.exchange = exchange
    this.now = now
    this.origin = origin
    this.isKept = !services.settings.lazy
    if (this.isKept) this.arm()
  }

  // ---- what the session is

  /** The secret id; a new session gets one now. */
  get id(): string {
    return (this.#id ??= this.newId())
  }

  /** @throws {TypeError} when `generateId` gives no id. */
  newId(): string {
    const id: unknown = this.services.settings.generateId()
    if (isId(id)) return id
    throw invalidMix(
      `options.generateId must return 22 to 128 characters of the base64url alphabet, got ${describe(id)}`,
    )
  }

  get publicId(): string {
    return (this.#publicId ??= publicIdOf(this.id))
  }

  /** Gives up the id of a session that is not stored. */
  forgetId(): void {
    this.#id = undefined
    this.#publicId = undefined
  }

  /** Gives up what was stored, of a session that has ended. */
  forgetStored(): void {
    this.#stored = undefined
    this.#notes = undefined
  }

  /**
   * The session came with this id, under which the store holds this record.
   *
   * @throws {CorruptRecord} when its notes are not what was written.
   */
  resume(id: string, record: SessionRecord): void {
    this.#notes = record.meta === undefined ? undefined : notesOf(record)
    this.#stored = undefined
    this.origin = 'resumed'
    this.#id = id
    this.#publicId = record.key
    this.record = record
  }

  /** The session goes on under a record that this request wrote. */
  become(id: string, record: SessionRecord, stored: Stored): void {
    this.#id = id
    this.#publicId = record.key
    this.know(record, stored)
  }

  /** Whether the session that the request came with is no more: nothing can be kept in it. */
  get hasEnded(): boolean {
    return this.isLate || this.isGone
  }

  /** A session that had ended has begun anew, under an id of its own. */
  revive(): void {
    this.isLate = false
    this.isGone = false
  }

  /** The same session with its expiry moved. */
  moved(record: SessionRecord): void {
    this.record = Object.freeze(record)
  }

  /** A newer record of the same session. */
  know(record: SessionRecord, stored: Stored | undefined): void {
    this.record = record
    this.#stored = stored
  }

  /** What is stored. */
  get stored(): Stored {
    return this.open()
  }

  /**
   * Parses what is stored, if that was not done yet.
   *
   * A record that cannot be read is no session: this one begins anew, and says so.
   */
  open(): Stored {
    if (this.#stored !== undefined) return this.#stored
    if (this.record === undefined) return (this.#stored = { data: EMPTY, flash: NO_FLASH, notes: freshNotes(this.now) })
    try {
      return (this.#stored = this.decode(this.record))
    } catch (error) {
      if (!(error instanceof CorruptRecord)) throw error
      this.services.events.emit('reject', { publicId: this.record.key, reason: 'corrupt' })
      this.record = undefined
      this.origin = 'expired'
      this.forgetId()
      return this.open()
    }
  }

  /** @throws {CorruptRecord} when the record is not what was written. */
  decode(record: SessionRecord): Stored {
    const { data, flash } = this.services.payload.open(record)
    return { data, flash, notes: notesOf(record) }
  }

  // ---- what the handler does with it

  get data(): Data {
    return (this.#data ??= new Data(this.stored.data, this.services.payload.codec, this))
  }

  /** The response depends on the session from now on. */
  consult(): void {
    if (this.isConsulted) return
    this.isConsulted = true
    this.arm()
  }

  readable(): void {
    if (this.isDestroyed) throw destroyed()
  }

  writable(): void {
    if (this.isDestroyed) throw destroyed()
    if (this.isSealed) {
      throw new SessionError(
        'ERR_SESSION_CLOSED',
        'session data was written after the commit: await everything before the handler returns, or store it with session.update()',
      )
    }
  }

  setMaxAge(maxAge: number): void {
    // Going back to the options where they hold already is no change.
    if (maxAge > 0 || this.maxAge > 0) this.#maxAge = maxAge
  }

  get maxAge(): number {
    return this.#maxAge ?? this.stored.notes.maxAge
  }

  putFlash(key: string, value: unknown): void {
    this.#touchedMessages().add(key, value)
  }

  /** The messages of a key, those of this request included; they are gone once this request is committed. */
  takeFlash(key: string): unknown[] {
    const { flash } = this.stored
    if (flash.some(([, name]) => name === key)) this.writable()
    return this.#touchedMessages().take(key, flash)
  }

  #touchedMessages(): Messages {
    return (this.#messages ??= new Messages(this.services.payload.codec))
  }

  // ---- what is pending

  /** Whether the handler touched anything that a commit would have to look at. */
  get isTouched(): boolean {
    return this.#data?.isTouched === true || this.#maxAge !== undefined || this.#messages?.hasAny === true
  }

  /** Whether a session that is not stored yet has something to keep. */
  get hasSomething(): boolean {
    return (
      this.isKept ||
      (this.#maxAge ?? 0) > 0 ||
      (this.#messages !== undefined && this.#messages.put.length > 0) ||
      (this.#data?.isTouched === true && !this.#data.isEmpty)
    )
  }

  pending(): Pending {
    const { put, taken } = this.#messages?.pending() ?? NO_MESSAGES
    return { changes: this.#data?.changes() ?? NO_CHANGES, put, taken, maxAge: this.#maxAge }
  }

  /** What the last commit has to store; nothing can be added from now on. */
  lastPending(): Pending {
    const pending = this.pending()
    this.isSealed = true
    this.#data?.seal()
    return pending
  }

  /** What was stored, with what is pending. */
  draft(pending: Pending, now: number): Draft {
    const { data, flash, notes: stored } = this.stored
    const { maxAge } = pending
    // A new session begins when it is stored, so that its cookie has its whole lifetime.
    const notes = this.record === undefined ? freshNotes(now) : stored
    return {
      data: apply(data, pending.changes),
      flash: mergeFlash(flash, pending.taken, pending.put),
      notes: maxAge === undefined ? notes : { ...notes, maxAge, maxAgeSince: now },
      createdAt: this.record?.createdAt ?? now,
      owner: this.record?.owner,
    }
  }

  /** The pending changes are stored. */
  settle(pending: Pending): void {
    this.#data?.settle(this.stored.data, pending.changes)
    this.#forget(pending)
  }

  /** They are dealt with, and what was handed out before is detached: data is not what it was. */
  detach(pending: Pending): void {
    this.#data?.detach(this.stored.data, pending.changes)
    this.#forget(pending)
  }

  /** Drops what is pending. */
  reset(): void {
    this.#data?.reset(this.stored.data)
    this.#messages = undefined
    this.#maxAge = undefined
  }

  /** Nothing more is committed for this request. */
  close(isStored: boolean): void {
    this.isClosed = true
    this.isSealed = true
    this.#data?.seal()
    if (isStored) this.reset()
  }

  #forget(pending: Pending): void {
    this.#messages?.forget(pending)
    if (this.#maxAge === pending.maxAge) this.#maxAge = undefined
  }

  // ---- what a record is

  /** The record that holds a draft. The owner as data tells it takes the place of the other one. */
  recordOf(draft: Draft, key: string, version: number, lastSeenAt: number): SessionRecord {
    const { settings, payload } = this.services
    const told = settings.owner?.(draft.data)
    const owner =
      settings.owner === undefined
        ? draft.owner
        : told === undefined
          ? undefined
          : checkedOwner(told, 'the result of options.owner')
    const { createdAt, notes } = draft
    const meta = writeNotes(notes, createdAt)
    return Object.freeze({
      key,
      version,
      payload: payload.seal(draft, { key, owner, meta }),
      owner,
      createdAt,
      lastSeenAt,
      expiresAt: expiry(settings.limits, notes, lastSeenAt),
      meta,
    })
  }

  isTouchDue(record: SessionRecord, now: number): boolean {
    return isTouchDue(
      this.services.settings.limits,
      this.#stored?.notes ?? this.#notes ?? notesOf(record),
      record.lastSeenAt,
      now,
    )
  }

  /** When the session ends if it was seen last at that instant. */
  expiryFrom(seenAt: number): number {
    return expiry(
      this.services.settings.limits,
      this.#stored?.notes ?? this.#notes ?? freshNotes(this.record?.createdAt ?? this.now),
      seenAt,
    )
  }

  /** When the session ends if it is kept as it is. */
  get expiresAt(): number {
    const { notes } = this.stored
    if (this.record !== undefined && this.#maxAge === undefined) return this.record.expiresAt
    const now = this.services.settings.now()
    const span = this.#maxAge === undefined ? notes : { ...notes, maxAge: this.#maxAge, maxAgeSince: now }
    return expiry(this.services.settings.limits, span, this.record === undefined ? this.now : now)
  }

  // ---- which cookie is due

  /** Whether the response's headers are still to come, and with them a cookie. */
  get canSend(): boolean {
    const response = this.exchange.ctx?.res
    return response !== undefined && !response.headersSent
  }

  /** Whether the cookie of a session that is not stored yet has gone out already: its handler answers by itself. */
  get hasSent(): boolean {
    return this.#hasSent
  }

  /** From now on the moment at which the headers leave is ours. */
  arm(): void {
    const response = this.exchange.ctx?.res
    if (this.#isArmed || response === undefined || response.headersSent) return
    this.#isArmed = true
    arm(response, this)
  }

  /** The Set-Cookie line that is due now, when the headers leave. */
  setCookieLine(): string | undefined {
    const { cookie } = this.exchange
    if (this.due === 'clear') return setCookieLine(cookie, '', 0, this.#isSecure())
    if (this.due === 'nothing') {
      // The handler answers by itself: its session will be stored when the chain returns.
      if (
        this.isClosed ||
        this.record !== undefined ||
        this.isLate ||
        this.isGone ||
        this.isDestroyed ||
        !this.hasSomething
      )
        return undefined
    }
    this.#hasSent = true
    const { settings } = this.services
    const now = settings.now()
    const stored = this.record === undefined ? freshNotes(now) : this.stored.notes
    const notes = this.#maxAge === undefined ? stored : { ...stored, maxAge: this.#maxAge, maxAgeSince: now }
    const { keyring } = this.exchange
    const seenAt = this.record?.lastSeenAt ?? now
    // Of a session that was stored a moment ago the browser is told the whole lifetime, not 3599 seconds of an hour.
    const maxAge = cookieMaxAge(settings.limits, notes, seenAt, now - seenAt < 1000 ? seenAt : now)
    return setCookieLine(cookie, `${this.id}.${keyring.sign(cookie.prefix + this.id)}`, maxAge, this.#isSecure())
  }

  #isSecure(): boolean {
    const { cookie, ctx } = this.exchange
    if (ctx === undefined || !cookie.isAuto) return false
    if (ctx.secure) return true
    if (/^https\b/.test(String(ctx.req.headers['x-forwarded-proto']))) {
      this.services.events.notice(
        'INSECURE_COOKIE',
        'the session cookie was sent without Secure, though a proxy says that the browser uses https: set app.proxy = true if you run behind that proxy',
      )
    }
    return false
  }
}

const NO_CHANGES: Changes = []

function destroyed(): SessionError {
  return new SessionError(
    'ERR_SESSION_DESTROYED',
    'the session was used after destroy(): return from the handler, or begin a new one with regenerate({ keep: false }) instead of destroy()',
  )
}
