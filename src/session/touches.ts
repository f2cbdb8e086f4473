// The touches of this process: they raise no version, so a change that keeps the instants of the record that it read would
// take a touch back that came in between.
import type { Instants } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'

const MAX_RECORDS = 2048

type Touch = Pick<SessionRecord, 'version' | 'lastSeenAt' | 'expiresAt'>

/**
 * Bounded: the last touch of each of 2048 records, without their payloads. A full one begins anew, so that nothing has to be
 * ordered.
 */
export class Touches {
  readonly #last = new Map<string, Touch>()

  /** A record is being touched, and will be as given: a change that begins before the store has answered counts it, too. */
  remember({ key, version, lastSeenAt, expiresAt }: SessionRecord): void {
    if (this.#last.size >= MAX_RECORDS) this.#last.clear()
    this.#last.set(key, { version, lastSeenAt, expiresAt })
  }

  /** The instants of a record, or those that a touch of its version has moved on since it was read. */
  newest(record: SessionRecord): Instants {
    const touched = this.#last.get(record.key)
    const isLater = touched?.version === record.version && touched.lastSeenAt > record.lastSeenAt
    return isLater ? touched : record
  }
}
