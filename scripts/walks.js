// npm run walks -- --sessions 1000000 --store memory: a store of so many sessions, a tenth of them one owner's. How long scan,
// list and destroyAll of that owner, and deleteExpired take, and by how much the process grows meanwhile.
import { parseArgs } from 'node:util'
import { session } from '../src/index.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { closeStores, openableStores } from '../test/support/stores.ts'

const { values } = parseArgs({
  options: { sessions: { type: 'string', default: '1000000' }, store: { type: 'string', default: 'memory' } },
})
const sessions = Number(values.sessions)
if (!Number.isSafeInteger(sessions) || sessions < 10) throw new Error('--sessions takes a whole number from 10 on')

const HOUR = 3_600_000
const WIDTH = 200
const wanted = values.store.toLowerCase()
process.env.TEST_STORES ??= 'all'
const stores = (await openableStores()).filter(({ name }) => wanted === 'all' || name.toLowerCase().includes(wanted))
if (stores.length === 0) throw new Error(`no store of this machine is called ${values.store}`)

const table = []
try {
  for (const kind of stores) {
    const store = kind.name === 'MemoryStore' ? new MemoryStore({ maxSessions: 2 * sessions }) : kind.open()
    await measure(kind.name, store)
  }
} finally {
  await closeStores()
}
console.table(table)

async function measure(name, store) {
  let ahead = 0
  const now = () => Date.now() + ahead
  const middleware = session({
    keys: ['a secret that only this server knows'],
    store,
    now,
    sweepInterval: false,
    storeTimeout: '60s',
  })
  const step = async (what, work) => {
    globalThis.gc?.()
    const before = process.memoryUsage()
    let peak = 0
    let kept = 0
    // What is still there after a collection: the peak is garbage, too.
    const sample = () => {
      globalThis.gc?.()
      kept = Math.max(kept, process.memoryUsage().heapUsed - before.heapUsed)
    }
    let turn = performance.now()
    let longest = 0
    const watching = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss - before.rss)
      longest = Math.max(longest, performance.now() - turn - 20)
      turn = performance.now()
    }, 20)
    const began = performance.now()
    const count = await work(sample)
    const seconds = (performance.now() - began) / 1000
    clearInterval(watching)
    const row = { store: name, sessions, step: what, count, seconds: Number(seconds.toFixed(1)) }
    table.push({
      ...row,
      'growth, MB': Math.round(peak / 1e6),
      'kept, MB': Math.round(kept / 1e5) / 10,
      'longest pause, ms': Math.round(longest),
    })
    console.log(JSON.stringify(table.at(-1)))
  }

  await step('fill', () => fill(store, sessions))
  await step('scan', async (sample) => {
    let count = 0
    for await (const { publicId } of middleware.scan()) {
      count += publicId === '' ? 0 : 1
      if (count % Math.ceil(sessions / 10) === 0) sample()
    }
    return count
  })
  await step('list', async () => (await middleware.list('ada')).length)
  await step('destroyAll', () => middleware.destroyAll('ada'))
  ahead = 2 * HOUR
  await step('deleteExpired', () => middleware.deleteExpired())
  await middleware.close()
}

async function fill(store, to) {
  const at = Date.now()
  for (let next = 0; next < to; next += WIDTH) {
    const records = Array.from({ length: Math.min(WIDTH, to - next) }, (_, index) => ({
      // Spread over all keys, as hashes are.
      key: `${((next + index) * 2_654_435_761) % 2 ** 32}-${next + index}`.padEnd(43, 'k'),
      version: 1,
      payload: '{"visits":1,"cart":["a book","a pencil"]}',
      owner: (next + index) % 10 === 0 ? 'ada' : undefined,
      createdAt: at,
      lastSeenAt: at,
      expiresAt: at + HOUR,
      meta: undefined,
    }))
    await Promise.all(records.map(async (record) => store.create(record, at)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return to
}
