// What the handlers of one request changed and is not stored yet.
import { NO_CHANGES, type PendingChanges, type Snapshot } from '../record/changes.ts'
import type { Data, Detached } from './data.ts'
import type { FlashMessages } from './flash.ts'
import type { Stored } from '../record/record.ts'

export class Pending {
  /** The new value of the session's own lifetime, in milliseconds; `undefined` if it was not set. */
  maxAge: number | undefined
  /** Whether a session that is not stored yet is stored even if it is empty. */
  mustStore: boolean
  /** What the handlers have put in the place of all data: what is stored need not satisfy the schema then. */
  replacement: object | undefined
  /** Whether stored data reads as empty, for the schema refuses it: to replace it is a change, even by nothing. */
  hidesData = false
  /** `session.data`; `undefined` until a handler reads it. */
  data: Data | undefined
  /** The flash messages that were put and taken; `undefined` until a handler calls `flash`. */
  flash: FlashMessages | undefined

  constructor(mustStore: boolean) {
    this.mustStore = mustStore
  }

  /** Whether a session that is not stored yet has a reason to be stored. */
  get hasContents(): boolean {
    return this.mustStore || (this.maxAge ?? 0) > 0 || this.flash?.hasPut === true || this.data?.isEmpty === false
  }

  /**
   * The changes so far, as copies; {@link NO_CHANGES} if there are none.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` if a changed value cannot be stored as it is.
   */
  collect(): PendingChanges {
    const { maxAge, replacement } = this
    const changes = this.data?.changes() ?? NO_CHANGES.changes
    const { put, taken } = this.flash?.pending() ?? NO_CHANGES
    const isEmpty = changes.length === 0 && put.length === 0 && taken.size === 0 && maxAge === undefined
    return isEmpty && !(this.hidesData && replacement) ? NO_CHANGES : { changes, put, taken, maxAge, replacement }
  }

  /** `changes` are stored; objects that handlers hold stay attached. */
  settle(stored: Stored, changes: PendingChanges): void {
    this.data?.settle(stored.data, changes.changes)
    this.#forget(changes)
  }

  /** `changes` are dealt with, and data is no longer the same: objects handed out before are detached. */
  detach(stored: Stored, changes: PendingChanges, how?: Detached): void {
    this.data?.detach(stored.data, changes.changes, how)
    this.#forget(changes)
  }

  /** Drops what was changed. */
  reset(snapshot: Snapshot): void {
    this.data?.reset(snapshot)
    this.replacement = undefined
    this.flash = undefined
    this.maxAge = undefined
  }

  #forget(changes: PendingChanges): void {
    this.flash?.forget(changes)
    if (this.replacement === changes.replacement) this.replacement = undefined
    if (this.maxAge === changes.maxAge) this.maxAge = undefined
    this.mustStore = false
  }
}
