// The touches of this process. A touch raises no version, so a change that keeps the instants of the record that it read
// would undo a touch that came in between.
import type { Instants } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'

const MAX_RECORDS = 2048

type Touch = Pick<SessionRecord, 'version' | 'lastSeenAt' | 'expiresAt'>

/**
 * Bounded: the last touch of each of 2048 records, without their payloads. When it is full it is cleared, so that it needs no
 * order.
 */
export class Touches {
  readonly #last = new Map<string, Touch>()

  /** Remembers a touch that leads to this record. Called before the store answers, so that a change meanwhile counts it too. */
  remember({ key, version, lastSeenAt, expiresAt }: SessionRecord): void {
    if (this.#last.size >= MAX_RECORDS) this.#last.clear()
    this.#last.set(key, { version, lastSeenAt, expiresAt })
  }

  /** The instants of a record, or the later ones of a touch of the same version since it was read. */
  newest(record: SessionRecord): Instants {
    const touched = this.#last.get(record.key)
    const isLater = touched?.version === record.version && touched.lastSeenAt > record.lastSeenAt
    return isLater ? touched : record
  }
}
