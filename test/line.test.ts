import test from 'ava'
import { Line } from '../src/session/write-lock.ts'

test('one is at it, the others come in the order in which they asked', async (t) => {
  const line = new Line(10_000)
  const seen: number[] = []
  line.take('k')
  const others = [1, 2, 3].map(async (name) => {
    const isOurs = await line.wait('k')
    seen.push(name)
    line.leave('k', false)
    return isOurs
  })
  t.true(line.isBusy('k'))
  line.leave('k', false)

  t.deepEqual(await Promise.all(others), [true, true, true])
  t.deepEqual(seen, [1, 2, 3])
  t.false(line.isBusy('k'))
})

test('records do not wait for one another', async (t) => {
  const line = new Line(10_000)
  line.take('k')

  t.false(line.isBusy('other'))
  t.true(await line.wait('other'))
})

test('when one fails all go on at once, and none has the place', async (t) => {
  const line = new Line(10_000)
  line.take('k')
  const others = [1, 2, 3].map(() => line.wait('k'))
  line.leave('k', true)

  t.deepEqual(await Promise.all(others), [false, false, false])
  t.false(line.isBusy('k'))
})

test('whoever is slow is waited for a moment, by all who came meanwhile, and is still at it', async (t) => {
  const line = new Line(5)
  line.take('k')
  t.deepEqual(await Promise.all([line.wait('k'), line.wait('k')]), [false, false])
  t.true(line.isBusy('k'))
  line.leave('k', false)

  t.false(line.isBusy('k'))
})

test('each one in line is waited for anew', async (t) => {
  const line = new Line(50)
  line.take('k')
  const [second, third] = [line.wait('k'), line.wait('k')]
  line.leave('k', false)

  t.true(await second)
  t.false(await third)
})
