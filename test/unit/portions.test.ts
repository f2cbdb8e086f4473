import test from 'ava'
import { portions } from '../../src/portions.ts'

interface Page {
  readonly n: number
  readonly cursor: string | undefined
}

async function walk(next: (n: number) => number | undefined): Promise<number[]> {
  const seen: number[] = []
  const ask = (cursor: string | undefined): Promise<Page> => {
    const n = Number(cursor ?? 0)
    return Promise.resolve({ n, cursor: next(n)?.toString() })
  }
  for await (const { n } of portions(ask)) seen.push(n)
  return seen
}

test('portions are walked to the last, by the cursor of the one before', async (t) => {
  t.deepEqual(await walk(() => undefined), [0])
  t.deepEqual(await walk((n) => (n < 4 ? n + 1 : undefined)), [0, 1, 2, 3, 4])
  t.is((await walk((n) => (n < 999 ? n + 1 : undefined))).length, 1000)
})

for (const [head, length] of [
  [0, 1],
  [0, 2],
  [3, 5],
  [40, 7],
  [5, 64],
] as const)
  test(`a circle of ${length} after ${head} portions is a failure, and soon`, async (t) => {
    let calls = 0
    await t.throwsAsync(
      walk((n) => (calls++, n + 1 < head + length ? n + 1 : head)),
      { code: 'ERR_SESSION_STORE' },
    )
    t.true(calls <= 4 * (head + length) + 4, String(calls))
  })

test('other work has a turn between two portions', async (t) => {
  let turns = 0
  const seen: number[] = []
  const ask = (cursor: string | undefined): Promise<Page> => {
    setImmediate(() => turns++)
    return Promise.resolve({
      n: Number(cursor ?? 0),
      cursor: cursor === '3' ? undefined : String(Number(cursor ?? 0) + 1),
    })
  }
  for await (const { n } of portions(ask)) {
    seen.push(n)
    t.true(turns >= n)
  }

  t.deepEqual(seen, [0, 1, 2, 3])
})

test('a walk without an end fails after so many portions, each of them shown', async (t) => {
  let seen = 0
  const endless = async () => {
    for await (const { cursor } of portions((from) => ({ cursor: `${Number(from ?? 0) + 1}` }), 1000))
      seen = Number(cursor)
  }

  await t.throwsAsync(endless(), { code: 'ERR_SESSION_STORE' })
  t.is(seen, 1000)
})
