// npm run simulate -- --seed 1 --steps 1000000: many small days of a service in one process, each from a seed of its own
// (test/histories/simulation.ts), judged by test/histories/check.ts. A day that breaks a rule is told with its schedule:
// npm run simulate -- --seed 57 --days 1 --told plays one day again and prints all that happened.
import { parseArgs } from 'node:util'
import { writeFileSync } from 'node:fs'
import { simulate } from '../test/histories/simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '1000000' },
    day: { type: 'string', default: '4000' },
    days: { type: 'string' },
    told: { type: 'boolean', default: false },
    out: { type: 'string' },
    stop: { type: 'boolean', default: false },
  },
})
const [first, steps, day] = [Number(values.seed), Number(values.steps), Number(values.day)]
const last = values.days === undefined ? Infinity : first + Number(values.days)
if (![first, steps, day].every((one) => Number.isSafeInteger(one) && one >= 0)) throw new Error('whole numbers, please')

const began = Date.now()
const sum = { days: 0, steps: 0, operations: 0, acknowledged: 0, refused: 0, unknown: 0, sessions: 0, violations: 0 }
const byRule = new Map()
for (let seed = first; seed < last && sum.steps < steps; seed++) {
  const { verdict, steps: taken, schedule, history } = await simulate(seed, day, values.told)
  sum.days++
  sum.steps += taken
  for (const name of ['operations', 'acknowledged', 'refused', 'unknown', 'sessions']) sum[name] += verdict[name]
  if (values.told) for (const line of schedule) console.log(line)
  if (values.out !== undefined) {
    writeFileSync(values.out, [history.about, ...history.operations].map((one) => `${JSON.stringify(one)}\n`).join(''))
  }
  if (verdict.violations.length === 0) continue
  sum.violations += verdict.violations.length
  process.exitCode = 1
  for (const { rule, what, by } of verdict.violations.slice(0, 4)) {
    console.log(`seed ${seed}: ${rule}: ${what} (operations ${by.join(', ')})`)
  }
  for (const { rule } of verdict.violations) byRule.set(rule, (byRule.get(rule) ?? 0) + 1)
  console.log(`  again: npm run simulate -- --seed ${seed} --days 1 --day ${day} --told`)
  if (values.stop) break
}
console.log(`${JSON.stringify(sum)} ${JSON.stringify([...byRule])} in ${((Date.now() - began) / 1000).toFixed(1)} s`)
