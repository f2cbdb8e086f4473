// What the project set out to reach, and what was measured of it. A target of undefined is one that has none for that Node.
import { cell } from './results.js'

const CPU = {
  W1: { 20: 1.3, 24: 1.2 },
  W2: { 20: 2.0, 24: 1.9 },
  W3: { 20: 2.2, 24: 1.9 },
  W4: { 20: 2.9, 24: 2.5 },
  W6: { 20: 2.4, 24: 2.3 },
}
const HTTP = { W1: 1.12, W2: 1.3, W3: 1.35, W4: 1.5 }
const REDIS_CPU = { W2: 1.9, W3: 2.8 }
const REDIS_COMMANDS = { W1: 0, W2: 1, W3: 2, W4: 1, W6: 0 }

const OURS = 'koa-fastsession'

/** [{ what, limit, measured: { major: number }, isFloor }]: `isFloor` where more is better. */
export function targets({ cpu = {}, http = {}, redis = {}, memory = {}, stores = {} }) {
  const list = []
  const add = (what, limit, runs, value, { isFloor = false } = {}) => {
    const measured = Object.fromEntries(
      Object.entries(runs)
        .map(([major, run]) => [major, value(run)])
        .filter(([, number]) => number !== undefined),
    )
    if (Object.keys(measured).length > 0)
      list.push({ what, limit: typeof limit === 'number' ? () => limit : (major) => limit[major], measured, isFloor })
  }
  for (const [workload, limit] of Object.entries(CPU))
    add(`CPU, ${workload}`, limit, cpu, (run) => cell(run, OURS, workload)?.overKoa)
  add('CPU, W5 over own W2', 1.1, cpu, (run) => {
    const [big, small] = [cell(run, OURS, 'W5'), cell(run, OURS, 'W2')]
    return big && small && big.overKoa / small.overKoa
  })
  for (const [workload, limit] of Object.entries(HTTP))
    add(`HTTP server CPU, ${workload}`, limit, http, (run) => cell(run, OURS, workload)?.overKoa)
  for (const [workload, limit] of Object.entries(REDIS_COMMANDS)) {
    add(`Redis commands sent, ${workload}, rolling`, limit, redis, (run) => {
      const sent = run.commands?.find(({ candidate }) => candidate === `${OURS}:redis, rolling`)?.[workload].sent
      return sent && Object.values(sent).reduce((sum, n) => sum + n, 0)
    })
  }
  for (const [workload, limit] of Object.entries(REDIS_CPU))
    add(`HTTP server CPU with Redis, ${workload}`, limit, redis, (run) => cell(run, `${OURS}:redis`, workload)?.overKoa)

  const fill = (run, size) => run.fills.find((row) => row.candidate === OURS && row.size === size)
  const calls = (run, field) => {
    const seen = run.calls.filter(({ kind }) => kind === 'MemoryStore').map((row) => row[field])
    return seen.length === 0 ? undefined : Math.min(...seen)
  }
  add('bytes of heap for a small session, a million of them', 300, memory, (run) => fill(run, 1_000_000)?.bytes)
  add('bytes left of each after all have expired', 5, memory, (run) => fill(run, 1_000_000)?.left)
  add('W2 of a thousand sessions in use, among a million over among a thousand', 1.15, memory, (run) =>
    over(fill(run, 1_000_000)?.read, fill(run, 1000)?.read),
  )
  add("longest call while filling to a million, ms (without the collector's pauses)", 10, memory, (run) =>
    calls(run, 'fillLongestCall'),
  )
  add("longest call while sweeping a million, ms (without the collector's pauses)", 10, memory, (run) =>
    calls(run, 'sweepLongestCall'),
  )

  for (const [store, verb] of [
    ['sqlite', 'read'],
    ['sqlite', 'change'],
    ['postgres', 'read'],
    ['postgres', 'change'],
  ]) {
    const find = (run) => run.rows.find((row) => row.store === store && row.verb === verb)?.ratio
    add(`${store}: ${verb}s per second over a bare client's`, 0.7, stores, find, { isFloor: true })
  }
  return list
}

/** `undefined` where there is no limit for that Node. */
export function isMet({ limit, measured, isFloor }, major) {
  const bound = limit(major)
  if (bound === undefined || measured[major] === undefined) return undefined
  return isFloor ? measured[major] >= bound : measured[major] <= bound
}

function over(a, b) {
  return a === undefined || b === undefined ? undefined : a / b
}
