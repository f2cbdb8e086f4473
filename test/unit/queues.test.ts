import test from 'ava'
import { WriteQueue } from '../../src/session/queues.ts'

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
