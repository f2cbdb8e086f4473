import { AsyncLocalStorage } from 'node:async_hooks'
import test from 'ava'
import { atMost, Deadlines } from '../../src/deadlines.ts'
import { stopClock, turns } from '../support/stopped-clock.ts'

test.serial('many deadlines take one timer, and pass in their order', async (t) => {
  const real = globalThis.setTimeout
  const delays: number[] = []
  globalThis.setTimeout = ((fn: () => void, delay: number) => {
    delays.push(delay)
    return real(fn, delay)
  }) as typeof setTimeout
  t.teardown(() => (globalThis.setTimeout = real))
  const deadlines = new Deadlines(10)
  const passed: number[] = []
  let done!: () => void
  const all = new Promise<void>((resolve) => (done = resolve))
  const set = Array.from({ length: 100 }, (_, n) =>
    deadlines.set(() => {
      passed.push(n)
      if (n === 99) done()
    }),
  )
  t.deepEqual(delays, [10])
  t.true(deadlines.clear(set[50] ?? t.fail()))
  t.false(deadlines.clear(set[50] ?? t.fail()))
  await all

  t.deepEqual(
    passed,
    Array.from({ length: 100 }, (_, n) => n).filter((n) => n !== 50),
  )
  t.false(deadlines.clear(set[0] ?? t.fail()))
})

test('a deadline that was cleared leaves no timer that keeps the process alive', (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const deadlines = new Deadlines(60_000)
  const [one, two] = [deadlines.set(() => undefined), deadlines.set(() => undefined)]
  t.is(timers(), before + 1)
  deadlines.clear(one)
  t.is(timers(), before + 1)
  deadlines.clear(two)
  t.is(timers(), before)
  deadlines.clear(deadlines.set(() => undefined))
  t.is(timers(), before)
})

test('a deadline that was cleared keeps no other one alive, though the timer still knows it', (t) => {
  const deadlines = new Deadlines(60_000)
  const first = deadlines.set(() => undefined)
  const second = deadlines.set(() => undefined)
  const third = deadlines.set(() => undefined)
  for (const deadline of [first, second]) deadlines.clear(deadline)

  for (const cleared of [first, second]) t.deepEqual(Object.keys(cleared), ['at', 'onPassed'])
  t.true(deadlines.clear(third))
})

test.serial('a deadline that is set as another one passes has its whole time', async (t) => {
  const stepped = stopClock(t)
  const pass = async (milliseconds: number): Promise<void> => {
    stepped(milliseconds)
    await turns(1)
  }
  const deadlines = new Deadlines(1000)
  const passed: string[] = []
  deadlines.set(() => {
    passed.push('first')
    deadlines.set(() => passed.push('second'))
  })

  await pass(1000)
  t.deepEqual(passed, ['first'])
  await pass(500)
  deadlines.set(() => passed.push('third'))
  await pass(499)
  t.deepEqual(passed, ['first'])
  await pass(1)
  t.deepEqual(passed, ['first', 'second'])
  await pass(499)
  t.deepEqual(passed, ['first', 'second'])
  await pass(1)
  t.deepEqual(passed, ['first', 'second', 'third'])
})

test('a deadline passes outside the async context of the call that set it', async (t) => {
  const context = new AsyncLocalStorage<string>()
  const deadlines = new Deadlines(1)
  const seen = await new Promise((resolve) => {
    context.run('a request', () => deadlines.set(() => resolve(context.getStore())))
  })

  t.is(seen, undefined)
})

test.serial('a wait that has no time left starts no timer in the past, of which Node warns', async (t) => {
  const real = globalThis.setTimeout
  const delays: (number | undefined)[] = []
  globalThis.setTimeout = Object.assign((fn: () => void, delay?: number) => {
    delays.push(delay)
    return real(fn, delay)
  }, real)
  try {
    await atMost(-18, new Promise(() => undefined))
  } finally {
    globalThis.setTimeout = real
  }
  t.deepEqual(delays, [0])
})
