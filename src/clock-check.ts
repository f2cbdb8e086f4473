// Whether the clock of this process is near that of the store's server. It decides what has expired: a process whose clock is
// far ahead takes the sessions of all others for expired, and sweeps them away.
import type { CheckedStore } from './checked-store.ts'
import type { Events } from './events.ts'

/** What is told, in milliseconds. Clocks that somebody sets are within a second of each other. */
export const FAR = 60_000

export class ClockCheck {
  readonly #store: CheckedStore
  readonly #now: () => number
  readonly #events: Events
  #isAsking = false

  constructor(store: CheckedStore, now: () => number, events: Events) {
    this.#store = store
    this.#now = now
    this.#events = events
  }

  /** Asks the server once. Never rejects: a server that cannot be asked is no news, and one that never answers is not asked again. */
  async check(): Promise<void> {
    if (this.#isAsking || this.#store.isClosed) return
    this.#isAsking = true
    try {
      const before = this.#now()
      const theirs = await this.#store.serverTime()
      // However slow the answer was, the server read its clock between these two instants.
      const after = this.#now()
      if (theirs !== undefined) this.#compare(before, theirs, after)
    } catch {
      // The clock of the options failed, which each request says.
    }
    this.#isAsking = false
  }

  #compare(before: number, theirs: number, after: number): void {
    if (before - theirs > FAR)
      this.#tell(
        `${seconds(before - theirs)} ahead of`,
        'early, and a sweep deletes those of other processes with them',
      )
    else if (theirs - after > FAR) this.#tell(`${seconds(theirs - after)} behind`, 'late')
  }

  #tell(where: string, consequence: string): void {
    warn(
      this.#events,
      `the clock of this process is ${where} that of the store's server: it decides what has expired, so sessions end too ${consequence}`,
    )
  }
}

/** A record was used at an instant that is yet to come: one of two clocks is wrong. */
export function warnOfFutureUse(lastSeenAt: number, now: number, events: Events): void {
  warn(
    events,
    `a session was last used ${seconds(lastSeenAt - now)} after the instant that the clock of this process shows: that clock is behind, or another process's was ahead, or it was set back`,
  )
}

function warn(events: Events, what: string): void {
  events.notice('CLOCK_OFF', `${what}; keep the clocks of all machines together, by NTP`)
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}
