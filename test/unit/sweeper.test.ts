import { AsyncLocalStorage } from 'node:async_hooks'
import test, { type ExecutionContext } from 'ava'
import { Events } from '../../src/events.ts'
import { CheckedStore } from '../../src/checked-store.ts'
import { Sweeper } from '../../src/sweeper.ts'
import { stopClock } from '../support/stopped-clock.ts'
import type { SessionStore } from '../../src/store.ts'

/** A sweeper of a store that answers `deleteExpired` so. */
function sweeping(
  t: ExecutionContext,
  deleteExpired: SessionStore['deleteExpired'],
  interval = 5,
  warnings: string[] = [],
): Sweeper {
  const events = new Events({ warn: (line) => void warnings.push(line) })
  const store = new CheckedStore({ deleteExpired } as SessionStore, 1000, events)
  const sweeper = new Sweeper(store, interval, () => 7, events)
  // Its timer keeps no process alive: something else must, while a test waits for it.
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => {
    clearInterval(alive)
    sweeper.stop()
  })
  return sweeper
}

/** A promise of the nth call, and the calls so far. */
function counted(nth: number): {
  calls: [now: number, limit: number][]
  reached: Promise<void>
  call: (now: number, limit: number) => number
} {
  const calls: [number, number][] = []
  let reach!: () => void
  const reached = new Promise<void>((resolve) => (reach = resolve))
  return {
    calls,
    reached,
    call: (now, limit) => {
      if (calls.push([now, limit]) >= nth) reach()
      return 0
    },
  }
}

/** Twenty sweeps of another sweeper, one after another: one that goes on all the same has swept by then. */
async function sweepsOfAnother(t: ExecutionContext): Promise<void> {
  const { reached, call } = counted(20)
  sweeping(t, call, 1).start()
  await reached
}

test('sweeping deletes in portions until one is not full, and tells how many', async (t) => {
  const portions = [500, 500, 20]
  const limits: number[] = []
  const sweeper = sweeping(t, (_now, limit) => (limits.push(limit), portions.shift() ?? 0))

  t.is(await sweeper.sweep(), 1020)
  t.deepEqual(limits, [500, 500, 500])
})

test('other work gets its turn between portions', async (t) => {
  const portions = [500, 0]
  let hadTurn = false
  const sweeper = sweeping(t, () => {
    if (portions.length === 1) t.true(hadTurn)
    else setImmediate(() => (hadTurn = true))
    return portions.shift() ?? 0
  })
  await sweeper.sweep()

  t.true(hadTurn)
})

test.serial('a portion that is not full after a long call is not the last', async (t) => {
  const advance = stopClock(t)
  const portions = [20, 20, 3, 9]
  const sweeper = sweeping(t, () => {
    if (portions.length > 2) advance(1000)
    return portions.shift() ?? 0
  })

  t.is(await sweeper.sweep(), 43)
})

test.serial('a long call that deletes nothing ends the sweep', async (t) => {
  const advance = stopClock(t)
  const portions = [20, 0, 9]
  const sweeper = sweeping(t, () => (advance(1000), portions.shift() ?? 0))

  t.is(await sweeper.sweep(), 20)
})

test('a started sweeper sweeps again and again, by the clock of the options', async (t) => {
  const { calls, reached, call } = counted(3)
  const sweeper = sweeping(t, call)
  sweeper.start()
  sweeper.start()
  await reached

  t.deepEqual(calls.slice(0, 3), [
    [7, 500],
    [7, 500],
    [7, 500],
  ])
})

test('a sweep that failed is tried again at the next interval', async (t) => {
  const { reached, call } = counted(3)
  const sweeper = sweeping(t, (now, limit) => {
    call(now, limit)
    return Promise.reject(new Error('connection refused'))
  })
  sweeper.start()

  await t.notThrowsAsync(reached)
})

test('a sweep that fails is told once', async (t) => {
  const warnings: string[] = []
  const { reached, call } = counted(3)
  sweeping(
    t,
    (now, limit) => {
      call(now, limit)
      throw new Error('PRIVATE')
    },
    1,
    warnings,
  ).start()
  await reached

  t.deepEqual(warnings, [
    'koa-fastsession: expired sessions were not deleted, which is tried again at each interval: the session store failed at deleteExpired: error.cause says why (KOA_FASTSESSION_SWEEP_FAILED)',
  ])
})

test('a store that answers a full portion for ever ends a sweep by the time', async (t) => {
  let left = 100_000
  const endless = (): number => {
    if (left-- === 0) throw new Error('the sweep has no end')
    return 500
  }

  t.true((await sweeping(t, endless).sweep(5)) >= 500)
})

test('a sweep deletes what had expired when it began', async (t) => {
  const instants: number[] = []
  let now = 0
  const events = new Events(undefined)
  const inner = { deleteExpired: (at: number) => (instants.push(at) < 3 ? 500 : 0) } as unknown as SessionStore
  await new Sweeper(new CheckedStore(inner, 1000, events), 0, () => ++now, events).sweep()

  t.deepEqual(instants, [1, 1, 1])
})

test('a sweep runs outside the async context of the request that started it', async (t) => {
  const context = new AsyncLocalStorage<string>()
  const { reached, call } = counted(2)
  const seen: unknown[] = []
  const sweeper = sweeping(t, (now, limit) => {
    seen.push(context.getStore())
    return call(now, limit)
  })
  context.run('the first request', () => sweeper.start())
  await reached

  t.deepEqual(seen.slice(0, 2), [undefined, undefined])
})

// The timers are the process's: not beside tests that wait.
test.serial('the longest interval, a fifth later, is no longer than a timer of Node can wait', (t) => {
  const { random } = Math
  const { setTimeout: real } = globalThis
  const delays: unknown[] = []
  Math.random = () => 1
  globalThis.setTimeout = ((fn: () => void, delay: number) => {
    delays.push(delay)
    // As in a browser: no unref.
    return Number(real(fn, delay).unref())
  }) as unknown as typeof setTimeout
  try {
    sweeping(t, () => 0, 2_073_600_000).start()
  } finally {
    Math.random = random
    globalThis.setTimeout = real
  }

  t.deepEqual(delays, [2_147_483_647])
})

test('a sweeper that was stopped does not sweep, nor start again', async (t) => {
  const { calls, call } = counted(1)
  const sweeper = sweeping(t, call, 1)
  sweeper.start()
  sweeper.stop()
  sweeper.start()
  await sweepsOfAnother(t)

  t.deepEqual(calls, [])
})

test('a sweeper that is stopped while it sweeps does not sweep again', async (t) => {
  let calls = 0
  let release!: () => void
  let begin!: () => void
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const sweeper = sweeping(
    t,
    () => {
      if (++calls > 1) return 0
      begin()
      return new Promise<number>((resolve) => (release = () => resolve(0)))
    },
    1,
  )
  sweeper.start()
  await begun
  sweeper.stop()
  release()
  await sweepsOfAnother(t)

  t.is(calls, 1)
})

test('interval 0 starts no timer', async (t) => {
  const { calls, call } = counted(1)
  sweeping(t, call, 0).start()
  await sweepsOfAnother(t)

  t.deepEqual(calls, [])
})

// The timers are the process's: not beside tests that set some.
test.serial('a store that expires records itself starts no timer, and has nothing to sweep', async (t) => {
  const selfish = sweeping(t, undefined, 1)
  const { setTimeout: real } = globalThis
  let set = 0
  globalThis.setTimeout = ((...given: Parameters<typeof real>) => (set++, real(...given))) as typeof setTimeout
  try {
    selfish.start()
  } finally {
    globalThis.setTimeout = real
  }

  t.is(set, 0)
  t.is(await selfish.sweep(), 0)
})

test('no timer keeps the process alive', (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const sweeper = sweeping(t, () => 0, 600_000)
  const before = timers()
  sweeper.start()

  t.is(timers(), before)
})
