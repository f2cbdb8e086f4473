// The flash messages that one request puts and takes; those that are stored are the visit's.
import { type Flash } from '../record/merge.ts'
import type { Codec } from '../record/codec.ts'
import { newTag } from '../cookie/id.ts'

const NO_FLASH: readonly Flash[] = Object.freeze([])
const NOBODY: ReadonlySet<string> = new Set()

/** What a request did with flash messages: those it put, and the tags of the stored ones that it took. */
export interface FlashChanges {
  readonly put: readonly Flash[]
  readonly taken: ReadonlySet<string>
}

export const NO_MESSAGES: FlashChanges = { put: NO_FLASH, taken: NOBODY }

export class Messages {
  readonly #codec: Codec
  put: readonly Flash[] = NO_FLASH
  #taken = new Set<string>()

  constructor(codec: Codec) {
    this.#codec = codec
  }

  get hasAny(): boolean {
    return this.put.length > 0 || this.#taken.size > 0
  }

  add(key: string, value: unknown): void {
    this.put = [...this.put, [newTag(), key, this.#codec.copy(value, `session.flash(${JSON.stringify(key)})`)]]
  }

  /** The messages of a key, those of this request included. */
  take(key: string, stored: readonly Flash[]): unknown[] {
    const theirs = stored.filter(([tag, name]) => name === key && !this.#taken.has(tag))
    for (const [tag] of theirs) this.#taken.add(tag)
    const mine = this.put.filter(([, name]) => name === key)
    if (mine.length > 0) this.put = this.put.filter(([, name]) => name !== key)
    return [...theirs.map(([, , value]) => this.#codec.lend(value, [])), ...mine.map(([, , value]) => value)]
  }

  /** As they are now: what is put and taken from here on is not among them. */
  pending(): FlashChanges {
    return { put: this.put, taken: new Set(this.#taken) }
  }

  /** They are dealt with. What was put while the store was asked is still to come. */
  forget({ put, taken }: FlashChanges): void {
    this.put = this.put.filter((message) => !put.includes(message))
    for (const tag of taken) this.#taken.delete(tag)
  }
}
