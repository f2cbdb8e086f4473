// The model knows that a failed request is a use of its session, and that a logout after a late sign-in ends what its browser holds.
import test from 'ava'
import { MemoryStore } from '../../src/index.ts'
import { explore, requests } from '../support/model/explore.ts'

const found: readonly (readonly [what: string, seed: number, path: string])[] = [
  ['a failed request records its use', 777, '110'],
  ['a late sign-in is followed by a logout', 1, '177'],
  ['a late sign-in is followed by a logout, and updated from outside', 3, '142'],
]

for (const [what, seed, path] of found)
  test.serial(`the model is right where ${what}`, async (t) => {
    const { counterexample } = await explore(requests, () => new MemoryStore(), { runs: Number(path) + 1, seed, path })

    t.is(counterexample, undefined)
  })
