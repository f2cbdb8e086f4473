import test, { type ExecutionContext } from 'ava'
import { CheckedStore } from '../../src/checked-store.ts'
import { clockCheck, FAR } from '../../src/clock-check.ts'
import { Events } from '../../src/events.ts'
import type { SessionStore } from '../../src/store.ts'
import { Sweeper } from '../../src/sweeper.ts'

const NOW = 1_700_000_000_000

/** A check of a store whose server answers so, by a clock that shows these instants one after the other. */
function checking(serverTime: unknown, ...instants: number[]): { check: () => Promise<void>; told: string[] } {
  const told: string[] = []
  const events = new Events({ warn: (line) => void told.push(line) })
  const store = new CheckedStore({ serverTime } as SessionStore, 1000, events)
  return { check: clockCheck(store, () => instants.shift() ?? NOW, events), told }
}

const INSTANTS: readonly [what: string, theirs: number, after: number, told: RegExp | undefined][] = [
  ['the same instant', NOW, NOW, undefined],
  ['as far ahead as may be', NOW - FAR, NOW, undefined],
  [
    'a millisecond more',
    NOW - FAR - 1,
    NOW,
    /clock of this process is 60 s ahead of that of the store's server.*too early/,
  ],
  ['as far behind as may be', NOW + FAR, NOW, undefined],
  [
    'a millisecond more',
    NOW + FAR + 1,
    NOW,
    /clock of this process is 60 s behind that of the store's server.*too late/,
  ],
  ['an answer that took an hour', NOW + 1_800_000, NOW + 3_600_000, undefined],
]
for (const [index, [what, theirs, after, expected]] of INSTANTS.entries()) {
  test(`clocks are compared to the minute, ${index}: ${what}`, async (t) => {
    const { check, told } = checking(() => theirs, NOW, after)
    await check()

    if (expected === undefined) t.deepEqual(told, [])
    else t.regex(told.join('\n'), expected)
  })
}

test('a clock that is far off is told once', async (t) => {
  const { check, told } = checking(() => Promise.resolve(NOW + 3_600_000))
  await check()
  await check()

  t.is(told.length, 1)
})

const SILENT: readonly [what: string, serverTime: unknown][] = [
  ['none', undefined],
  ['one that fails', () => Promise.reject(new Error('NOPERM'))],
  ['one that throws', () => thrown()],
  ['one that gives no number', () => 'yesterday'],
  ['one that gives NaN', () => Number.NaN],
]
for (const [what, serverTime] of SILENT) {
  test(`a server clock is no promise of a store, and is passed over: ${what}`, async (t) => {
    const { check, told } = checking(serverTime)
    await check()

    t.deepEqual(told, [])
  })
}

test('a server that never answers is asked once, and holds no sweep up', async (t) => {
  let asked = 0
  const sweeper = sweeping(() => {
    asked++
    return new Promise(() => undefined)
  })

  t.is(await sweeper.sweep(), 0)
  t.is(await sweeper.sweep(), 0)
  t.is(asked, 1)
})

test('each sweep asks once, and no request does', async (t) => {
  let asked = 0
  const sweeper = sweeping(() => ++asked)
  for (let request = 0; request < 10; request++) sweeper.start()
  t.is(asked, 0)
  await sweeper.sweep()
  t.is(asked, 1)
  sweeper.stop()
})

test('a store that expires records itself has its clock compared at each interval', async (t) => {
  const asked = await reachedBy(t, (serverTime) => sweeping(serverTime, 1, {}))

  t.true(asked > 2)
})

test('without sweeps the clock is asked for all the same, once', async (t) => {
  const asked = await reachedBy(t, (serverTime) => sweeping(serverTime, 0), 1)

  t.is(asked, 1)
})

function sweeping(
  serverTime: () => unknown,
  interval = 600_000,
  verbs: Partial<SessionStore> = { deleteExpired: () => 0 },
): Sweeper {
  const events = new Events({})
  return new Sweeper(
    new CheckedStore({ ...verbs, serverTime } as SessionStore, 1000, events),
    interval,
    () => NOW,
    events,
  )
}

/** Starts a sweeper, and waits until its server has been asked that often. */
async function reachedBy(t: ExecutionContext, make: (serverTime: () => number) => Sweeper, times = 3): Promise<number> {
  let asked = 0
  let reach!: () => void
  const reached = new Promise<void>((resolve) => (reach = resolve))
  const sweeper = make(() => {
    if (++asked >= times) reach()
    return NOW
  })
  // Its timers keep no process alive: something else must.
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => {
    clearInterval(alive)
    sweeper.stop()
  })
  sweeper.start()
  await reached
  return asked
}

function thrown(): never {
  throw new Error('it cannot be asked')
}
