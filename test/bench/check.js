// Each candidate does the job of each workload, with each in-process store.
import { names, load, build } from './harness/registry.js'
import { check } from './harness/workloads.js'

let bad = 0
for (const name of names) {
  for (const store of (await load(name)).stores.filter((s) => !s.includes('redis'))) {
    try {
      const app = await build(name, store)
      await check(app)
      await app.close()
      console.log('ok     ', name, store)
    } catch (error) {
      bad++
      console.log('WRONG  ', name, store, error.message)
    }
  }
}
process.exit(bad ? 1 : 0)
