// What all timers of this package have in common.

/** A timer that keeps no process alive. */
export function unrefed(timer: NodeJS.Timeout): NodeJS.Timeout {
  // The timer is a number where a test environment replaces Node's timers.
  ;(timer as Partial<NodeJS.Timeout>).unref?.()
  return timer
}
