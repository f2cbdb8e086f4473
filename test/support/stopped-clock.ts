// A clock that stands still until a test moves it, so that timeouts of a few milliseconds do not depend on how busy the machine
// is.
import { mock } from 'node:test'
import type { ExecutionContext } from 'ava'

/** After this many turns of the event loop, all work that does not wait for a clock is done. */
const TURNS = 1000

/**
 * Until the test ends, no `setTimeout` fires by itself, and `performance.now()` advances by a microsecond with each call, so that
 * later calls give later instants. The returned function advances both.
 *
 * Both are global to the process: only for serial tests without sockets, whose libraries use timers as well. The pauses of
 * `node:timers/promises` and Date stay real.
 */
export function stopClock(t: ExecutionContext): (milliseconds: number) => void {
  let now = performance.now()
  // An own property, which hides that of the prototype.
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

/** Gives other work this many turns of the event loop. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** The result of a promise that settles without the clock; `'it waits'` if it needs the clock. */
export async function soon<Answer>(answer: Answer): Promise<Awaited<Answer> | 'it waits'> {
  return Promise.race([answer, turns(TURNS).then(() => 'it waits' as const)])
}
