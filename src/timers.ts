// What all timers of this package have in common.
import { AsyncResource } from 'node:async_hooks'

/** A timer that keeps no process alive. */
export function unrefed(timer: NodeJS.Timeout): NodeJS.Timeout {
  // The timer is a number where a test environment replaces Node's timers.
  ;(timer as Partial<NodeJS.Timeout>).unref?.()
  return timer
}

const root = new AsyncResource('koa-fastsession')
// It stays in use: tools that look for open handles, as Jest's, would take it for one.
root.emitDestroy()

/**
 * Runs `fn` in the async context in which this package was loaded. A timer that one request starts for all requests would
 * otherwise keep the context of that request, with every AsyncLocalStorage of the process, for as long as it runs.
 */
export function outsideRequests<Result>(fn: () => Result): Result {
  return root.runInAsyncScope(fn)
}
