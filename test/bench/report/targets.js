// What the project set out to reach, and what was measured of it. A target of undefined is one that has none for that Node.
import { cell } from './results.js'

const CPU = {
  W1: { 20: 1.35, 24: 1.22, 26: 1.22 },
  W2: { 20: 1.85, 24: 1.75, 26: 1.75 },
  W3: { 20: 2.2, 24: 2.0, 26: 2.0 },
  W4: { 20: 3.0, 24: 2.6, 26: 2.6 },
  W5: { 20: 1.95, 24: 1.8, 26: 1.8 },
  W6: { 20: 2.1, 24: 2.1, 26: 2.1 },
}
const REDIS_CPU = { W2: 1.6, W7: 2.8, W3: 2.5, W4: 2.4 }
const REDIS_COMMANDS = { W1: 0, W2: 1, W3: 2, W4: 1, W6: 0 }

const OURS = 'koa-fastsession'
/** Peers that sign their cookie, as this library does, and keep the session on the server. */
const SIGNED = ['koa-session', 'koa-generic-session', 'express-session', 'fastify-session']

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
  add('CPU, W4 over that of limit-lean', { 20: 1.15 }, cpu, (run) => {
    const [ours, lean] = [cell(run, OURS, 'W4'), cell(run, 'limit-lean', 'W4')]
    return ours && lean && ours.overKoa / lean.overKoa
  })
  for (const [workload] of Object.entries(CPU)) {
    const others = (run) => SIGNED.map((name) => cell(run, name, workload)?.overKoa).filter(Number.isFinite)
    const cheapest = (run) => Math.min(...others(run))
    add(`CPU, ${workload} over the cheapest signed peer's`, 1.05, cpu, (run) =>
      over(cell(run, OURS, workload)?.overKoa, others(run).length > 0 ? cheapest(run) : undefined),
    )
  }
  for (const workload of ['W1', 'W2', 'W3', 'W7', 'W4'])
    add(
      `HTTP server CPU, ${workload} over koa-session's`,
      1.05,
      http,
      (run) => cell(run, OURS, workload)?.overKoaSession,
    )
  for (const [workload, limit] of Object.entries(REDIS_COMMANDS)) {
    add(`Redis commands sent, ${workload}, rolling`, limit, redis, (run) => {
      const sent = run.commands?.find(({ candidate }) => candidate === `${OURS}:redis, rolling`)?.[workload].sent
      return sent && Object.values(sent).reduce((sum, n) => sum + n, 0)
    })
  }
  for (const [workload, limit] of Object.entries(REDIS_CPU))
    add(`HTTP server CPU with Redis, ${workload}`, limit, redis, (run) => cell(run, `${OURS}:redis`, workload)?.overKoa)
  for (const [client, name] of [
    ['redis', 'ioredis'],
    ['redis-pipelined', 'ioredis with auto-pipelining'],
    ['node-redis', 'redis'],
  ]) {
    for (const workload of ['W2', 'W3', 'W7', 'W4'])
      add(
        `HTTP server CPU with Redis by ${name}, ${workload} over koa-session's`,
        1.05,
        redis,
        (run) => cell(run, `${OURS}:${client}`, workload)?.overKoaSession,
      )
  }

  const fill = (run, size) => run.fills.find((row) => row.candidate === OURS && row.size === size)
  const calls = (run, field) => {
    const seen = run.calls.filter(({ kind }) => kind === 'MemoryStore').map((row) => row[field])
    return seen.length === 0 ? undefined : Math.min(...seen)
  }
  add('bytes of heap for a small session, a million of them', 300, memory, (run) => fill(run, 1_000_000)?.bytes)
  add('us of CPU to create one, among a million', 1.2, memory, (run) => calls(run, 'createMicroseconds'))
  add('us of CPU to read any of a million', 1.1, memory, (run) => calls(run, 'readOfMillion') / 1000)
  add('bytes left of each after all have expired', 5, memory, (run) => fill(run, 1_000_000)?.left)
  add('W2 of a thousand sessions in use, among a million over among a thousand', 1.15, memory, (run) =>
    over(fill(run, 1_000_000)?.read, fill(run, 1000)?.read),
  )
  add("longest call while filling to a million, ms (without the collector's pauses)", 5, memory, (run) =>
    calls(run, 'fillLongestCall'),
  )
  add("longest call while sweeping a million, ms (without the collector's pauses)", 5, memory, (run) =>
    calls(run, 'sweepLongestCall'),
  )

  for (const [store, verb] of [
    ['sqlite', 'read'],
    ['sqlite', 'change'],
    ['postgres', 'read'],
    ['postgres', 'change'],
    ['mariadb', 'read'],
    ['mariadb', 'change'],
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
