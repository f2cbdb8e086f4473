// What the handlers of one request changed and what is not stored yet.
import type { Codec } from '../record/codec.ts'
import { NO_CHANGES, type PendingChanges, type Snapshot } from '../record/merge.ts'
import { Data, type AccessCheck } from './data.ts'
import { FlashMessages, NO_FLASH_CHANGES } from './flash.ts'
import type { Stored } from '../record/record.ts'

export class Pending {
  /** The session's own lifetime to be; `undefined` where it was not set. */
  maxAge: number | undefined = undefined
  /** A session that is not stored yet is stored even if it is empty. */
  mustStore: boolean
  #data: Data | undefined = undefined
  #flash: FlashMessages | undefined = undefined

  constructor(mustStore: boolean) {
    this.mustStore = mustStore
  }

  /** `session.data` over what is stored. */
  data(stored: Snapshot, codec: Codec, access: AccessCheck): Data {
    return (this.#data ??= new Data(stored, codec, access))
  }

  flash(codec: Codec): FlashMessages {
    return (this.#flash ??= new FlashMessages(codec))
  }

  /** Whether the handlers touched anything that a commit would have to compare. */
  get isTouched(): boolean {
    return this.#data?.isTouched === true || this.maxAge !== undefined || this.#flash?.isEmpty === false
  }

  /** Whether a session that is not stored yet has something to be stored for. */
  get hasContents(): boolean {
    if (this.mustStore || (this.maxAge ?? 0) > 0) return true
    if (this.#flash?.hasPut === true) return true
    return this.#data?.isTouched === true && !this.#data.isEmpty
  }

  /**
   * The changes so far, as copies.
   *
   * @throws {SessionError} `ERR_SESSION_VALUE` where a changed value cannot be stored as it is.
   */
  collect(): PendingChanges {
    const { put, taken } = this.#flash?.pending() ?? NO_FLASH_CHANGES
    return { changes: this.#data?.changes() ?? NO_CHANGES.changes, put, taken, maxAge: this.maxAge }
  }

  /** `changes` are stored; what the handlers hold stays attached. */
  settle(stored: Stored, changes: PendingChanges): void {
    this.#data?.settle(stored.data, changes.changes)
    this.#forget(changes)
  }

  /** `changes` are dealt with, and what was handed out before is detached: data is not what it was. */
  detach(stored: Stored, changes: PendingChanges): void {
    this.#data?.detach(stored.data, changes.changes)
    this.#forget(changes)
  }

  /** Drops what was changed. */
  reset(stored: Snapshot): void {
    this.#data?.reset(stored)
    this.#flash = undefined
    this.maxAge = undefined
  }

  /** Freezes what was handed out and what will be. */
  freeze(): void {
    this.#data?.freeze()
  }

  #forget(changes: PendingChanges): void {
    this.#flash?.forget(changes)
    if (this.maxAge === changes.maxAge) this.maxAge = undefined
    this.mustStore = false
  }
}
