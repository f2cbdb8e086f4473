// Random interleavings of requests against a model of what a session is; `npm run test:model` plays many more of them.
import test from 'ava'
import type { Replaced, SessionRecord } from '../../src/index.ts'
import { LastWriterWins } from '../support/last-writer-wins.ts'
import { explore, requests } from '../support/model/explore.ts'
import { PlainStore } from '../support/plain-store.ts'
import { closeStores, openableStores } from '../support/stores.ts'

const SEED = 42
const RUNS = 400
/** A store on a server takes a round trip per call. */
const FEW_RUNS = 40
/** A slow machine plays fewer of them, and says how many. */
const LIMIT = 20_000

const stores = await openableStores()
test.after.always(closeStores)

for (const kind of stores) {
  const { name } = kind
  test.serial(
    `${name}: however requests overlap, what ended stays ended, no change is lost and each update counts once`,
    async (t) => {
      t.timeout(LIMIT * 3)
      const isMemory = name === 'MemoryStore'
      const runs = isMemory ? RUNS : FEW_RUNS
      const store = kind.open()

      const found = await explore(requests, () => (isMemory ? kind.open() : store), {
        runs,
        seed: SEED,
        limit: LIMIT,
        outside: isMemory,
      })

      t.is(found.counterexample, undefined)
      t.log(`${found.runs} of ${runs} interleavings, seed ${found.seed}`)
    },
  )
}

/** Writes what is no longer there. */
class Reviver extends PlainStore {
  override replace(record: SessionRecord, version: number, now: number): Replaced | Promise<Replaced> {
    if (this.live(record.key, now) !== undefined) return super.replace(record, version, now)
    this.put(record)
    return 'done'
  }
}

test.serial('the model notices a store where the last writer wins', async (t) => {
  const found = await explore(requests, () => new LastWriterWins(), { runs: 200, seed: SEED })

  t.regex(found.counterexample ?? '', /replace said done instead of stale/)
})

test.serial('the model notices a store that revives what ended', async (t) => {
  const found = await explore(requests, () => new Reviver(), { runs: 200, seed: SEED })

  t.regex(found.counterexample ?? '', /replace said done instead of gone|was written again/)
})
