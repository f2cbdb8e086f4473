export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Three digits are more than the noise allows; results stay short to read and to compare. */
export function round(number) {
  return Number.isFinite(number) ? Number(number.toPrecision(number >= 1000 ? 4 : 3)) : undefined
}

/**
 * Says after so much CPU time of this process that a slice is over, so that it does the same work on a busy machine as on an idle one; after ten
 * times as long by the clock in any case.
 */
export function slice(ms) {
  const cpu0 = process.cpuUsage()
  const latest = performance.now() + 10 * ms
  let next = 0
  return () => {
    // To ask for the CPU time costs as much as several requests, so the clock is asked first.
    const now = performance.now()
    if (now < next) return false
    next = now + 5
    const { user, system } = process.cpuUsage(cpu0)
    return user + system >= ms * 1000 || now >= latest
  }
}
