// The flash messages that one request puts and takes. RequestSession holds the stored ones.
import type { Flash, FlashChanges } from '../record/changes.ts'
import type { Codec } from '../record/codec.ts'
import { newTag } from '../cookie/id.ts'

const NONE: ReadonlySet<Flash> = new Set()

export class FlashMessages {
  readonly #codec: Codec
  #put: Flash[] = []
  readonly #taken = new Set<string>()
  /** The messages that a commit under way is storing. */
  #storing = NONE

  constructor(codec: Codec) {
    this.#codec = codec
  }

  /** Whether there are messages for a later request. */
  get hasPut(): boolean {
    return this.#put.length > 0
  }

  /** @throws {SessionError} `ERR_SESSION_VALUE` when the message cannot be stored as it is. */
  put(key: string, value: unknown): void {
    this.#put.push([newTag(), key, this.#codec.copy(value, `session.flash(${JSON.stringify(key)})`)])
  }

  /** Takes the messages of a key, including those of this request. The receiver may change them. */
  take(key: string, stored: readonly Flash[]): unknown[] {
    const messages: unknown[] = []
    for (const [tag, name, value] of stored) {
      if (name !== key || this.#taken.has(tag)) continue
      this.#taken.add(tag)
      messages.push(this.#codec.lend(value, []))
    }
    for (const message of this.#put) {
      const [tag, name, value] = message
      // A commit under way may have stored it: then it was among those above. Or it may be storing this very value.
      if (name !== key || this.#taken.has(tag)) continue
      messages.push(this.#codec.lend(value, []))
      // A message that is being stored will be among the stored ones, so its tag must be taken there.
      if (this.#storing.has(message)) this.#taken.add(tag)
    }
    this.#put = this.#put.filter(([, name]) => name !== key)
    return messages
  }

  /** The changes so far, without what is put and taken from here on. */
  pending(): FlashChanges {
    const put = [...this.#put]
    this.#storing = new Set(put)
    return { put, taken: new Set(this.#taken) }
  }

  /** Forgets changes that are dealt with. What was put during the store call is still pending. */
  forget({ put, taken }: FlashChanges): void {
    this.#storing = NONE
    const stored = new Set(put)
    if (stored.size > 0) this.#put = this.#put.filter((message) => !stored.has(message))
    for (const tag of taken) this.#taken.delete(tag)
  }
}
