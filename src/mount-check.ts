// Whether requests come to the middleware at all. Routes that are mounted before it have no session, and fail where it is
// never asked: so until the first request came, it looks at how the process answers.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Events } from './events.ts'

const FINISHED = 'http.server.response.finish'

let hasArrived = false
let listener: ((message: unknown) => void) | undefined

/** Says once if a request fails before any has come to a session middleware. */
export function awaitRequests(events: Events): void {
  if (hasArrived || listener !== undefined) return
  listener = (message) => {
    if ((message as { readonly response: { readonly statusCode: number } }).response.statusCode !== 500) return
    arrived()
    events.notice(
      'NOT_REACHED',
      'a request was answered with 500, and none has come to session() so far: if its handler needs a session, mount session() before it',
    )
  }
  subscribe(FINISHED, listener)
}

/** A request has come: there is nothing to look for any more. */
export function arrived(): void {
  hasArrived = true
  if (listener === undefined) return
  unsubscribe(FINISHED, listener)
  listener = undefined
}
