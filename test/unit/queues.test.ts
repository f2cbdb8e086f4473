import test from 'ava'
import { MAX_WAIT, Turns, WriteQueue } from '../../src/session/queues.ts'
import { Barrier } from '../support/faults.ts'
import { stopClock, turns } from '../support/stopped-clock.ts'

test('a write takes a part of very many changes, and those that its own functions bring are kept beside the rest', async (t) => {
  const groups: number[][] = []
  let isFirst = true
  const queue = new WriteQueue<number>((members) => {
    groups.push(members)
    // As a codec does that commits the same session once more.
    if (members.length > 1 && isFirst) {
      isFirst = false
      queue.join('key', 1000)
      queue.join('key', 1001)
    }
    return Promise.resolve()
  })
  const writing = queue.begin('key')
  for (let member = 0; member < 300; member++) queue.join('key', member)

  queue.end('key', writing)
  for (let turn = 0; turn < 20 && queue.busy.has('key'); turn++) await new Promise((resolve) => setImmediate(resolve))

  const all = groups.flat().sort((a, b) => a - b)
  t.deepEqual(all, [...Array.from({ length: 300 }, (_, member) => member), 1000, 1001])
  t.true(groups.every((members) => members.length <= 128))
})

test('two hundred thousand changes that met one write are all stored', async (t) => {
  let stored = 0
  const queue = new WriteQueue<number>((members) => {
    stored += members.length
    return Promise.resolve()
  })
  const writing = queue.begin('key')
  for (let member = 0; member < 200_000; member++) queue.join('key', member)

  queue.end('key', writing)
  for (let turn = 0; turn < 4000 && queue.busy.has('key'); turn++) await new Promise((resolve) => setImmediate(resolve))

  t.is(stored, 200_000)
})

test.serial('work that never ends gives its turn away after 50 ms, counted from its beginning', async (t) => {
  const pass = stopClock(t)
  const line = new Turns()
  const begun: number[] = []
  const works = [0, 1, 2, 3].map(() => new Barrier())
  const taken = works.map((work, at) =>
    line.take('key', async () => {
      begun.push(at)
      await work.pass()
    }),
  )
  await turns()
  t.deepEqual(begun, [0])

  pass(MAX_WAIT - 1)
  await turns()
  t.deepEqual(begun, [0])
  pass(2)
  await turns()
  t.deepEqual(begun, [0, 1])
  // Not all that have waited so long begin at once.
  pass(MAX_WAIT - 1)
  await turns()
  t.deepEqual(begun, [0, 1])
  works[1]?.open()
  await turns()
  t.deepEqual(begun, [0, 1, 2])

  for (const work of works) work.open()
  await Promise.all(taken)
  t.deepEqual(begun, [0, 1, 2, 3])
})
