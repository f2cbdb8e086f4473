import test, { type ExecutionContext } from 'ava'
import { Events } from '../src/events.ts'
import { Guard } from '../src/checked-store.ts'
import { Sweeper } from '../src/sweeper.ts'
import type { SessionStore } from '../src/store.ts'

/** A sweeper of a store that answers `deleteExpired` so. */
function sweeping(t: ExecutionContext, deleteExpired: SessionStore['deleteExpired'], interval = 5): Sweeper {
  const sweeper = new Sweeper(
    new Guard({ deleteExpired } as SessionStore, 1000, new Events(undefined)),
    interval,
    () => 7,
  )
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

test('a sweeper that was stopped does not sweep, nor start again', async (t) => {
  const { calls, call } = counted(1)
  const sweeper = sweeping(t, call, 1)
  sweeper.start()
  sweeper.stop()
  sweeper.start()
  await new Promise((resolve) => setTimeout(resolve, 20))

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
  await new Promise((resolve) => setTimeout(resolve, 20))

  t.is(calls, 1)
})

test('interval 0, and a store that expires records itself, start no timer', async (t) => {
  const { calls, call } = counted(1)
  sweeping(t, call, 0).start()
  const selfish = sweeping(t, undefined, 1)
  selfish.start()
  await new Promise((resolve) => setTimeout(resolve, 10))

  t.deepEqual(calls, [])
  t.is(await selfish.sweep(), 0)
})

test('no timer keeps the process alive', (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const sweeper = sweeping(t, () => 0, 600_000)
  const before = timers()
  sweeper.start()

  t.is(timers(), before)
})
