// npm run test:model -- --runs 100000 --seed 42 --store memory --model owners: random interleavings of requests against the models
// of test/support/model (`requests`) and test/support/owner-model (`owners`), many more than npm test plays. --store takes a part of
// a store's name, or `all`; without --model both models are played; --path is what a counterexample prints, to see it again.
import { parseArgs } from 'node:util'
import { explore, owners, requests } from '../test/support/model/explore.ts'
import { closeStores, openableStores } from '../test/support/stores.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    store: { type: 'string', default: 'memory' },
    model: { type: 'string' },
    path: { type: 'string' },
  },
})
const runs = Number(values.runs)
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed))
  throw new Error('--runs and --seed take whole numbers')

const models = Object.entries({ requests, owners }).filter(([name]) => name === (values.model ?? name))
if (models.length === 0) throw new Error(`there is no model called ${values.model}`)

const wanted = values.store.toLowerCase()
const stores = (await openableStores()).filter(({ name }) => wanted === 'all' || name.toLowerCase().includes(wanted))
if (stores.length === 0) throw new Error(`no store of this machine is called ${values.store}`)
try {
  for (const [about, model] of models)
    for (const { name, open } of stores) {
      // One in memory is a new one each time: there is nothing to connect to.
      const store = open()
      const began = performance.now()
      const isMemory = name === 'MemoryStore'
      const found = await explore(model, isMemory ? open : () => store, {
        runs,
        seed,
        path: values.path,
        outside: isMemory,
      })
      const seconds = (performance.now() - began) / 1000
      console.log(
        `${name}, ${about}: ${found.runs} of ${runs} interleavings, seed ${seed}, ${seconds.toFixed(1)} s, ${((seconds / found.runs) * 1000).toFixed(2)} s per 1000`,
      )
      if (found.counterexample !== undefined) {
        console.log(`${found.counterexample} --model ${about} --store ${JSON.stringify(name)} --runs ${runs}`)
        process.exitCode = 1
      }
    }
} finally {
  await closeStores()
}
