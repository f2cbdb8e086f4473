// node check.js: every candidate does the job of every workload, with every store that needs no server.
import { build, load, names } from './harness/registry.js'
import { check } from './harness/workloads.js'

for (const name of names) {
  for (const store of (await load(name)).stores.filter((one) => !/redis|postgres/.test(one))) {
    try {
      const app = await build(name, store)
      await check(app)
      await app.close()
      console.log('ok   ', name, store)
    } catch (error) {
      process.exitCode = 1
      console.log('WRONG', name, store, error.message)
    }
  }
}
process.exit()
