// Detects routes that are mounted before session(). They have no session and fail where it is never asked; so until the
// first request has come, this looks at how the process answers.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Events } from './events.ts'

const FINISHED = 'http.server.response.finish'

let isReached = false
let listener: ((message: unknown) => void) | undefined

/** Warns once when a request fails and none has reached session() yet. */
export function warnIfNeverReached(events: Events): void {
  if (isReached || listener !== undefined) return
  listener = (message) => {
    if ((message as { readonly response: { readonly statusCode: number } }).response.statusCode !== 500) return
    // Not at once: who unsubscribes while a message is published takes it from the next subscriber.
    queueMicrotask(markReached)
    if (isReached) return
    isReached = true
    events.notice(
      'NOT_REACHED',
      'a request was answered with 500, and none has come to session() so far: if its handler needs a session, mount session() before it',
    )
  }
  subscribe(FINISHED, listener)
}

/** A request has come: there is nothing to look for any more. */
export function markReached(): void {
  isReached = true
  if (listener === undefined) return
  unsubscribe(FINISHED, listener)
  listener = undefined
}
