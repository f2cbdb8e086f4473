// The touches of this process: they raise no version, so a change that keeps the instants of the record that it read would
// take a touch back that came in between.
import { slotOf } from '../direct-mapped-cache.ts'
import type { Instants } from '../record/record.ts'
import type { SessionRecord } from '../store.ts'

const SLOTS = 1024

/** Bounded: the last touch of each of 1024 places. */
export class Touches {
  readonly #slots = new Array<SessionRecord | undefined>(SLOTS)

  /** A record was touched, and is now as given. */
  remember(record: SessionRecord): void {
    this.#slots[slotOf(record.key) & (SLOTS - 1)] = record
  }

  /** The instants of a record, or those that a touch of its version has moved on since it was read. */
  newest(record: SessionRecord): Instants {
    const touched = this.#slots[slotOf(record.key) & (SLOTS - 1)]
    const isLater =
      touched?.key === record.key && touched.version === record.version && touched.lastSeenAt > record.lastSeenAt
    return isLater ? touched : record
  }
}
