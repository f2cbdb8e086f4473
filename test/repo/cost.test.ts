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

/** Bytes of one request on Node 20, of which a Koa app without sessions takes about 9,500; five in a hundred are let pass. */
const BYTES = { W1: 12_000, W2: 13_900, W3: 16_100, W4: 17_800, W5: 13_950, W6: 14_100, W7: 16_000 }

const run = async (): Promise<Counts> => {
  const { stdout } = await promisify(execFile)(process.execPath, RUN, { cwd: join(ROOT), timeout: 250_000 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Counts
}

/** What one request passes that changes one key in the memory store. */
const PASSED = { calls: 88, moves: 49 }

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
  const { bytes } = await run()

  for (const [workload, limit] of Object.entries(BYTES)) {
    t.true(
      (bytes[workload] ?? Infinity) <= limit * 1.05,
      `${workload} took ${bytes[workload]} bytes, ${limit} are known`,
    )
  }
})
