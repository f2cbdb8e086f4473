// Detects routes that are mounted before session(). Their requests have no session and fail without ever reaching session(), so
// until the first request reaches it, this module watches the responses of the process.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Events } from './events.ts'

const FINISHED = 'http.server.response.finish'

let isReached = false
let listener: ((message: unknown) => void) | undefined

/** Warns once when a request is answered with 500 and none has reached session() yet. */
export function warnIfNeverReached(events: Events): void {
  if (isReached || listener !== undefined) return
  listener = (message) => {
    if ((message as { readonly response: { readonly statusCode: number } }).response.statusCode !== 500) return
    // Not at once: to unsubscribe while a message is being published hides the message from the next subscriber.
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

/** Stops watching: a request has reached session(), or the warning was emitted. */
export function markReached(): void {
  isReached = true
  if (listener === undefined) return
  unsubscribe(FINISHED, listener)
  listener = undefined
}
