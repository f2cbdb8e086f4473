// Compares the clock of this process with that of the store's server. The clock of the process decides what has expired: when it
// is far ahead, the process takes the sessions of all others for expired, and sweeps them away.
import type { CheckedStore } from './checked-store.ts'
import type { Events } from './events.ts'

/** A larger difference is reported, in milliseconds. Synchronised clocks are within a second of each other. */
export const FAR = 60_000

/**
 * A function that asks the server once. It never rejects: a failure is ignored, and a server that never answers is not asked
 * again.
 */
export function clockCheck(store: CheckedStore, now: () => number, events: Events): () => Promise<void> {
  let isAsking = false
  return async () => {
    if (isAsking || store.isClosed) return
    isAsking = true
    try {
      const before = now()
      const theirs = await store.serverTime()
      // However slow the answer was, the server read its clock between these two instants.
      const after = now()
      if (theirs === undefined) return
      const isAhead = before - theirs > FAR
      if (!isAhead && theirs - after <= FAR) return
      const where = isAhead ? `${seconds(before - theirs)} ahead of` : `${seconds(theirs - after)} behind`
      const when = isAhead ? 'early, and a sweep deletes those of other processes with them' : 'late'
      warn(
        events,
        `the clock of this process is ${where} that of the store's server: it decides what has expired, so sessions end too ${when}`,
      )
    } catch {
      // `options.now` failed; each request reports that.
    } finally {
      isAsking = false
    }
  }
}

/** Warns that the last use of a record lies in the future: one of two clocks is wrong. */
export function warnOfFutureUse(lastSeenAt: number, now: number, events: Events): void {
  warn(
    events,
    `a session was last used ${seconds(lastSeenAt - now)} after the instant that the clock of this process shows: that clock is behind or was set back, or another process's was ahead`,
  )
}

function warn(events: Events, what: string): void {
  events.notice('CLOCK_OFF', `${what}; keep the clocks of all machines together, by NTP`)
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}
