// npm run check:long: what takes too long for .ci/run. Every step runs even if one before it failed; it ends with a table.
// npm run check:long stores nodes: these steps alone.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const npm = (...args) => ['npm', ['run', '--silent', ...args]]

const steps = {
  /** The tests of .ci/run, and the scenes over every store that this machine can run. */
  stores: { command: npm('test'), env: { TEST_STORES: 'all' } },
  /** The tests of .ci/run under each supported Node. */
  nodes: { command: npm('test:nodes') },
  /** Random histories against a model, for minutes instead of seconds. */
  model: { command: npm('test:model') },
  /** Faults put into the source, each of which a test must find. */
  mutants: { command: npm('test:mutants') },
  /** Stores of many sessions, walked from one end to the other. */
  walks: { command: npm('walks', '--', '--sessions', '200000', '--store', 'all') },
  /** Memory and latency over a long run. */
  soak: { command: npm('soak') },
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(steps)
const unknown = wanted.filter((name) => !Object.hasOwn(steps, name))
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(', ')}. There are: ${Object.keys(steps).join(', ')}`)
  process.exit(1)
}

const table = []
for (const name of wanted) {
  console.log(`\n==== ${name}\n`)
  const began = Date.now()
  const code = await run(steps[name])
  table.push({ step: name, result: code === 0 ? 'passed' : 'FAILED', seconds: Math.round((Date.now() - began) / 1000) })
}
console.table(table)
process.exitCode = table.every(({ result }) => result === 'passed') ? 0 : 1

function run({ command: [program, args], env }) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal))
    child.once('error', () => resolve(1))
    child.once('close', (code) => resolve(code ?? 1))
  })
}
