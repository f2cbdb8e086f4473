// Has a release write sessions of every kind into each store, takes them out raw, and notes what that release itself reads
// by each cookie: test/migrate/fixtures/<version>.json, which every later version must read alike.
//   node --import ./test/support/loader.js scripts/fixtures.js 0.1.0
// It needs redis-server and PostgreSQL. The file of a release is written once, when the release is made.
import { deepEqual } from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rawStores } from '../test/support/raw-stores.ts'
import { release } from '../test/support/releases.ts'
import { write } from '../test/support/written.ts'

const [version] = process.argv.slice(2)
if (version === undefined) throw new Error('node --import ./test/support/loader.js scripts/fixtures.js <version>')
const entries = release(version)
const { session } = await import(entries.index)

const stores = {}
let sessions
for (const [name, make] of Object.entries(rawStores)) {
  const raw = await make()
  if (raw === undefined) throw new Error(`no server for ${name}`)
  const written = await write(session, await raw.open(entries), async () => {
    stores[name] = await raw.take()
  })
  // Ids and instants are fixed: whatever the store, the cookies and the states are the same.
  sessions ??= written
  deepEqual(written, sessions, name)
  await raw.close()
}
const folder = fileURLToPath(new URL('../test/migrate/fixtures/', import.meta.url))
mkdirSync(folder, { recursive: true })
// One session a line.
const lines = (list) => `[\n${list.map((one) => JSON.stringify(one)).join(',\n')}\n]`
const raw = Object.entries(stores).map(([name, content]) => `${JSON.stringify(name)}: ${JSON.stringify(content)}`)
writeFileSync(
  `${folder}${version}.json`,
  `{"version": "${version}", "sessions": ${lines(sessions)}, "stores": {\n${raw.join(',\n')}\n}}\n`,
)
process.exit(0)
