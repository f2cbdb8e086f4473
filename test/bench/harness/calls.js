// The calls of a store alone, without a request around them, each one timed: filled to a million records, read at random, swept. A Map,
// and one split in 64, do the least that a store could.
import { randomBytes } from 'node:crypto'
import { MemoryStore } from '../../../dist/index.js'
import { collections, longest, longestBeside, settle, used } from './settle.js'

const SESSIONS = 1_000_000
const PORTION = 500
const HOUR = 3_600_000

const KINDS = {
  MemoryStore() {
    const store = new MemoryStore()
    return {
      create: (record) => store.create(record, 0),
      read: (key) => store.read(key, 1),
      sweep: (now) => store.deleteExpired(now, PORTION),
    }
  },
  /** Each session has an owner of its own. */
  'MemoryStore, a million owners'() {
    const { create, ...others } = KINDS.MemoryStore()
    return { ...others, create: (record) => create(Object.freeze({ ...record, owner: `user-${record.key}` })) }
  },
  Map() {
    const map = new Map()
    return { create: (record) => map.set(record.key, record), read: (key) => map.get(key) }
  },
  'sharded Map'() {
    const maps = Array.from({ length: 64 }, () => new Map())
    const of = (key) => maps[(key.charCodeAt(0) * 67 + key.charCodeAt(1)) & 63]
    return { create: (record) => of(record.key).set(record.key, record), read: (key) => of(key).get(key) }
  },
}

// As the core makes them: a small session's payload, and a key that is a hash of the id.
const PAYLOAD = JSON.stringify({ user: 'alice', n: 0, roles: ['reader', 'writer'], at: 1700000000000 })
const recordOf = (key, at) =>
  Object.freeze({
    key,
    version: 1,
    payload: PAYLOAD.slice(0, 8) + PAYLOAD.slice(8),
    owner: undefined,
    createdAt: 1,
    lastSeenAt: 1,
    expiresAt: HOUR + (at % 600_000),
    meta: undefined,
  })

// Keys of 43 characters, in one buffer: what they cost is counted for no store.
const WIDTH = 43
const keys = Buffer.alloc(SESSIONS * WIDTH)
const random = randomBytes(SESSIONS * 32)
for (let at = 0; at < SESSIONS; at++) keys.latin1Write(random.toString('base64url', at * 32, (at + 1) * 32), at * WIDTH)
const keyAt = (at) => keys.latin1Slice(at * WIDTH, (at + 1) * WIDTH)

process.send({ ready: true })
process.on('disconnect', () => process.exit(0))
process.on('message', async () => {
  const store = KINDS[process.argv[2]]()
  const pauses = collections()
  await settle()
  const base = used()
  await pauses.seen()

  const turn = () => new Promise((resolve) => setImmediate(resolve))
  // On a machine that is shared, the clock on the wall also counts the time that others had: a call took no more than it used of the CPU.
  const timed = async (count, call) => {
    const slow = []
    for (let at = 0; at < count; at++) {
      const cpu = process.cpuUsage()
      const start = performance.now()
      const answer = call(at)
      const end = performance.now()
      if (end - start > 0.2) {
        const { user, system } = process.cpuUsage(cpu)
        slow.push({ start, end: Math.min(end, start + (user + system) / 1000) })
      }
      if (answer === 'over') break
      if (at % 1000 === 0) await turn()
    }
    const gc = await pauses.seen()
    return { longestCall: longestBeside(slow, gc), longestWithGc: longest(slow), longestGc: longest(gc) }
  }
  /** Microseconds of CPU to create one of a million in a store that is given up afterwards; making the record is not counted. */
  async function creating() {
    const filled = KINDS[process.argv[2]]()
    let micros = 0
    for (let at = 0; at < SESSIONS;) {
      const portion = []
      for (let end = at + 1000; at < end; at++) portion.push(recordOf(keyAt(at), at))
      const cpu = process.cpuUsage()
      for (const record of portion) filled.create(record)
      const { user, system } = process.cpuUsage(cpu)
      micros += user + system
      await turn()
    }
    return micros / SESSIONS
  }

  /** Nanoseconds of a read of one of so many, each a different one of all. */
  const read = (count) => {
    const picked = Array.from({ length: 50_000 }, () => keyAt(Math.floor(Math.random() * count) * (SESSIONS / count)))
    let found = 0
    const began = process.hrtime.bigint()
    for (const key of picked) if (store.read(key)) found++
    if (found !== picked.length) throw new Error('a record was lost')
    return Number(process.hrtime.bigint() - began) / picked.length
  }

  const createMicroseconds = await creating()
  const fill = await timed(SESSIONS, (at) => void store.create(recordOf(keyAt(at), at)))
  await settle()
  const bytes = (used() - base) / SESSIONS
  const least = (count) => Math.min(read(count), read(count), read(count), read(count), read(count))
  const reads = { readOfThousand: least(1000), readOfMillion: least(SESSIONS) }
  await pauses.seen()
  const sweep = store.sweep && (await timed(SESSIONS, () => (store.sweep(2 * HOUR) === 0 ? 'over' : undefined)))
  await settle()
  process.send({
    bytes,
    createMicroseconds,
    fillLongestCall: fill.longestCall,
    fillLongestWithGc: fill.longestWithGc,
    fillLongestGc: fill.longestGc,
    ...reads,
    ...(sweep && {
      sweepLongestCall: sweep.longestCall,
      sweepLongestWithGc: sweep.longestWithGc,
      sweepLongestGc: sweep.longestGc,
      left: (used() - base) / SESSIONS,
    }),
  })
})
