// Random interleavings of requests against a model of the option `owner`; `npm run test:model` plays many more of them.
import test from 'ava'
import type { Replaced, SessionRecord } from '../../src/index.ts'
import { MemoryStore } from '../../src/index.ts'
import { LastWriterWins } from '../support/last-writer-wins.ts'
import { explore, owners } from '../support/model/explore.ts'
import { closeStores, openableStores } from '../support/stores.ts'

const SEED = 42
const RUNS = 600
/** A store on a server takes a round trip per call. */
const FEW_RUNS = 40
/** A slow machine plays fewer of them, and says how many. */
const LIMIT = 12_000

const stores = await openableStores()
test.after.always(closeStores)

for (const kind of stores) {
  const { name } = kind
  test.serial(
    `${name}: however owners appear, change and go away, no change is lost, nothing passes to another owner and each has one id`,
    async (t) => {
      t.timeout(LIMIT * 5)
      const isMemory = name === 'MemoryStore'
      const runs = isMemory ? RUNS : FEW_RUNS
      const store = kind.open()

      const found = await explore(owners, () => (isMemory ? kind.open() : store), {
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

/** Lists a session under every owner that it has had. */
class OwnerStays extends MemoryStore {
  override replace(record: SessionRecord, version: number, now: number): Replaced {
    const owner = record.payload.length === 0 ? undefined : (record.owner ?? this.read(record.key, now)?.owner)
    return super.replace({ ...record, owner }, version, now)
  }
}

/** Goes on serving the id that an owner had before the sign-in. */
class OldIdLives extends MemoryStore {
  override replace(record: SessionRecord, version: number, now: number): Replaced {
    return record.payload.length === 0 ? 'done' : super.replace(record, version, now)
  }
}

test.serial('the model notices a store where the last writer wins', async (t) => {
  const found = await explore(owners, () => new LastWriterWins(), { runs: 200, seed: SEED })

  t.regex(found.counterexample ?? '', /stored .* instead of|ends \d+ ms too late/)
})

test.serial('the model notices a store that lists a session under an owner who has left', async (t) => {
  const found = await explore(owners, () => new OwnerStays(), { runs: 200, seed: SEED })

  t.regex(found.counterexample ?? '', /listed|another owner|the session shows/)
})

test.serial('the model notices a store where the id of before a sign-in lives on', async (t) => {
  const found = await explore(owners, () => new OldIdLives(), { runs: 200, seed: SEED })

  t.regex(found.counterexample ?? '', /was written again|the origin is|session is not/)
})
