// npm run histories -- --store redis|cluster|sentinel|postgres|mysql|sqlite|memory --seconds 60 --seed 7: several processes of
// a small app over a real database, clients that read, change and end sessions, and faults: processes and databases are
// killed, connections cut, swallowed and delayed, replicas promoted, clocks set apart. What happened is written to a file
// (--out), which test/histories/check.ts judges. --client ioredis takes that client for Redis, --calm leaves out the faults,
// and --judge FILE judges a file of before.
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { check } from '../test/histories/check.ts'
import { readHistory } from '../test/histories/history.ts'
import { play } from '../test/histories/run.ts'

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'memory' },
    client: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '7' },
    out: { type: 'string' },
    calm: { type: 'boolean', default: false },
    judge: { type: 'string' },
  },
})
const [seconds, seed] = [Number(values.seconds), Number(values.seed)]
if (!(seconds > 0 && seconds <= 86_400) || !Number.isSafeInteger(seed))
  throw new Error('--seconds and --seed take numbers')

const path = values.judge ?? values.out ?? join(tmpdir(), `history-${values.store}-${seed}.jsonl`)
let struck = {}
if (values.judge === undefined) {
  const { store, client, calm } = values
  const say = (what) => console.log(what)
  // Whatever hangs, the run ends.
  setTimeout(() => process.exit(2), (seconds + 120) * 1000).unref()
  struck = await play({ store, client, seconds, seed, path, hasFaults: !calm, say })
}
const { violations, ...counts } = check(readHistory(path))
const byRule = {}
// One lost change may be missed by thousands of readings: what counts is how many changes, ends and sessions it concerns.
for (const { rule, by } of violations) (byRule[rule] ??= new Set()).add(by[0])
for (const [rule, operations] of Object.entries(byRule)) byRule[rule] = operations.size
for (const { rule, what, by } of violations.slice(0, 12)) console.log(`${rule}: ${what} (operations ${by.join(', ')})`)
console.log(
  JSON.stringify({
    store: values.store,
    client: values.client,
    seed,
    seconds,
    ...counts,
    faults: struck,
    violations: byRule,
  }),
)
console.log(`history: ${path}`)
process.exit(violations.length === 0 ? 0 : 1)
