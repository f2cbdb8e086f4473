// A clock that stands still until a test moves it: what the code gives a few milliseconds must not be decided by a machine that
// has other things to do.
import { mock } from 'node:test'
import type { ExecutionContext } from 'ava'

/** In so many turns of the event loop everything is done that waits for no clock. */
const TURNS = 1000

/**
 * Until the test ends no `setTimeout` passes by itself, and `performance.now()` moves by a microsecond with each look at it, so
 * that what comes later is later. The function that it gives moves both on.
 *
 * Both are the process's: only for serial tests, and for those that use no socket, whose libraries have timers as well. The
 * pauses of `node:timers/promises` are real ones, and so is Date.
 */
export function stopClock(t: ExecutionContext): (milliseconds: number) => void {
  let now = performance.now()
  // An own property in front of the prototype's.
  performance.now = () => (now += 0.001)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => {
    mock.timers.reset()
    Reflect.deleteProperty(performance, 'now')
  })
  return (milliseconds) => {
    now += milliseconds
    mock.timers.tick(milliseconds)
  }
}

/** Other work has so many turns of the event loop. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** What an answer comes to without a clock; `'it waits'` where it would take one. */
export async function soon<Answer>(answer: Answer): Promise<Awaited<Answer> | 'it waits'> {
  return Promise.race([answer, turns(TURNS).then(() => 'it waits' as const)])
}
