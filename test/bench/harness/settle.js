// What is left on the heap once garbage is gone, and the pauses that collecting it made. Needs --expose-gc.
import { PerformanceObserver } from 'node:perf_hooks'

export async function settle() {
  for (let i = 0; i < 4; i++) {
    global.gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Heap and what hangs on it outside, in bytes. */
export function used() {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** The garbage collector's pauses from now on, { start, end } in milliseconds of performance.now(). */
export function collections() {
  const seen = []
  const take = (entries) =>
    seen.push(...entries.map(({ startTime, duration }) => ({ start: startTime, end: startTime + duration })))
  const observer = new PerformanceObserver((list) => take(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  return {
    /** All so far; a pause is told a turn of the loop later. */
    async seen() {
      await new Promise((resolve) => setTimeout(resolve, 20))
      take(observer.takeRecords())
      return seen.splice(0)
    },
  }
}

export function longest(spans) {
  return spans.reduce((most, { start, end }) => Math.max(most, end - start), 0)
}

/** The longest of some spans without the pauses that fell into it. */
export function longestBeside(spans, pauses) {
  const own = ({ start, end }) =>
    pauses.reduce(
      (left, pause) => left - Math.max(0, Math.min(end, pause.end) - Math.max(start, pause.start)),
      end - start,
    )
  return spans.reduce((most, span) => Math.max(most, own(span)), 0)
}
