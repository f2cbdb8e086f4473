// Heap per session and cost per request as sessions pile up, what comes back when they have ended, and how long the memory store's own
// calls take at most while it fills and while it is swept.
import { start } from '../harness/child.js'
import { round } from '../harness/stats.js'

export const title = 'Memory'

const SIZES = [1000, 10_000, 100_000, 1_000_000]
/** The sessions each candidate is filled with at most: the slow ones get a tenth. */
const FILLED = {
  'koa-fastsession': 1_000_000,
  'limit-lean': 1_000_000,
  'koa-session': 1_000_000,
  'koa-session-minimal': 100_000,
  'fastify-session': 100_000,
  'express-session': 100_000,
}

export async function measure({ node, say, only = Object.keys(FILLED), rounds = 3 }) {
  const fills = []
  for (const candidate of only) {
    const most = FILLED[candidate] ?? 100_000
    const child = await start('harness/fill.js', [candidate, 'memory', `${most}`], {
      node,
      execArgv: ['--expose-gc', '--max-old-space-size=6000'],
    })
    for (const size of SIZES.filter((one) => one <= most)) {
      say(`${candidate}, ${size} sessions`)
      fills.push({ candidate, ...rounded(await child.ask({ size })) })
    }
    if (candidate === 'koa-fastsession') Object.assign(fills.at(-1), rounded(await child.ask({ expire: true })))
    await child.stop()
  }
  const calls = []
  for (const kind of ['MemoryStore', 'MemoryStore, a million owners', 'Map', 'sharded Map']) {
    for (let turn = 0; turn < (kind.startsWith('MemoryStore') ? rounds : 1); turn++) {
      say(`calls of a ${kind}, ${turn + 1}`)
      const child = await start('harness/calls.js', [kind], {
        node,
        execArgv: ['--expose-gc', '--max-old-space-size=6000'],
      })
      calls.push({ kind, ...rounded(await child.ask({})) })
      await child.stop()
    }
  }
  return { fills, calls }
}

function rounded(numbers) {
  return Object.fromEntries(
    Object.entries(numbers).map(([name, number]) => [name, Number.isInteger(number) ? number : round(number)]),
  )
}
