// The conformance kit in a runtime that is not Node: a program of its own, since AVA runs in Node alone.
//   bun test/runtimes/kit.ts memory        deno run -A test/runtimes/kit.ts sqlite /path/of/a/file
import { MemoryStore } from 'koa-fastsession'
import { storeChecks } from 'koa-fastsession/conformance'
import { SqliteStore } from 'koa-fastsession/sqlite'

const [kind, path = ''] = process.argv.slice(2)

// Of memory no two stores share their records. A path opens the runtime's own node:sqlite.
const source = kind === 'memory' ? new MemoryStore() : () => new SqliteStore(path)
const failed: string[] = []
for (const { title, run } of storeChecks) {
  try {
    await run(source)
  } catch (error) {
    failed.push(`${title}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
for (const line of failed) console.log(line)
console.log(`${storeChecks.length - failed.length} held, ${failed.length} did not`)
// Whatever a check that failed left running.
process.exit(failed.length === 0 ? 0 : 1)
