// What a request costs, in the figures that have no noise: speed must not be lost by accident.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'
import { redisMakes } from '../support/redis.ts'

interface Counts {
  readonly counts: Readonly<Record<string, { readonly promises: number; readonly timers: number }>>
  readonly bytes: Readonly<Record<string, number>>
}

const RUN = ['--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=256', 'test/bench/guard/count.js']

/** Promises of one request over ioredis: its own, the client's and Koa's seven. */
const PROMISES = { W1: 7, W2: 13, W3: 22, W4: 16, W7: 22 }

/** Bytes of one request in hot code on Node 20, of which a Koa app without sessions takes 9,050; five in a hundred are let pass. */
const BYTES = { koa: 9050, W1: 10_850, W2: 12_450, W3: 14_100, W4: 15_450, W5: 12_250, W6: 12_300, W7: 14_050 }

const run = async (): Promise<Counts> => {
  const { stdout } = await promisify(execFile)(process.execPath, RUN, { cwd: join(ROOT), timeout: 250_000 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Counts
}

/** What one request passes that changes one key in the memory store. */
const PASSED = { calls: 87, moves: 49 }

test.serial(
  'a request that changes one key passes no more functions than it did, and no more often from file to file',
  async (t) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['scripts/count-calls.js'], {
      cwd: join(ROOT),
      timeout: 50_000,
    })

    const [, calls, moves] = /^(\d+) calls of \d+ functions in \d+ files, (\d+) moves/m.exec(stdout) ?? []
    t.true(Number(calls) <= PASSED.calls, `${calls} calls`)
    t.true(Number(moves) <= PASSED.moves, `${moves} moves`)
  },
)

const behindRedis = redisMakes().length === 0 ? test.skip : test.serial

behindRedis('a request behind Redis makes so many promises, and no timer', async (t) => {
  const { counts } = await run()

  for (const [workload, promises] of Object.entries(PROMISES)) {
    t.deepEqual(counts[workload], { promises, timers: 0 }, workload)
  }
})

// The figures are those of Node 20.
const onNode20 = process.version.startsWith('v20.') ? test.serial : test.serial.skip

onNode20('a request over the memory store allocates no more than it did', async (t) => {
  // Each process of V8 inlines other functions: one that takes too much is asked again in another one, twice at most.
  const excess = async (tries: number): Promise<readonly string[]> => {
    const { bytes } = await run()
    const found = Object.entries(BYTES).filter(([of, limit]) => !((bytes[of] ?? Infinity) <= limit * 1.05))
    if (found.length > 0 && tries > 1) return excess(tries - 1)
    return found.map(([of, limit]) => `${of} took ${bytes[of]} bytes, ${limit} are known`)
  }

  t.deepEqual(await excess(3), [])
})
