// npm run check:long: what takes too long for .ci/run. Every part runs even if one before it failed; it ends with a table.
// npm run check:long -- stores nodes: these parts alone. --quick: each for a moment, which shows that it works. --lanes 2: two at
// a time.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals: named } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, lanes: { type: 'string', default: '1' } },
  allowPositionals: true,
})
const isQuick = values.quick
const lanes = Number(values.lanes)
const npm = (name, ...args) => ['run', '--silent', name, '--', ...args]
/** One test file stands for all of them. */
const tests = isQuick ? ['test/http/cookies.test.ts'] : []
const histories = (store) => npm('histories', '--store', store, '--seconds', isQuick ? '3' : '60')

/** Each part: what npm runs, one after another. */
const parts = {
  /** The tests of .ci/run, and the scenes over every store that this machine can run. */
  stores: { runs: [npm('test', ...(isQuick ? ['test/scenes/rotation.test.ts'] : []))], env: { TEST_STORES: 'all' } },
  /** The tests of .ci/run under each supported Node. */
  nodes: { runs: [npm('test:nodes', ...tests)] },
  /** The same over the oldest supported major of Koa. */
  koa2: { runs: [npm('test:koa', '2', ...tests)] },
  /** Random interleavings against two models, for minutes instead of seconds, over every store too. */
  model: {
    runs: [isQuick ? npm('test:model', '--runs', '100') : npm('test:model', '--store', 'all')],
    env: { TEST_STORES: 'all' },
  },
  /** Days of a service in one process. */
  simulate: { runs: [npm('simulate', '--steps', isQuick ? '10000' : '5000000')] },
  /** Processes over real databases, killed and cut. */
  histories: { runs: isQuick ? [histories('memory')] : ['redis', 'postgres', 'mysql', 'sqlite'].map(histories) },
  /** Faults put into the source, each of which a test must find. */
  mutants: { runs: [npm('test:mutants', ...(isQuick ? ['the signature covers the id and not the name'] : []))] },
  /** Faults that the judge of the histories must find. */
  planted: { runs: [npm('test:planted', ...(isQuick ? ['a refused write counts as done'] : []))] },
  /** Stores of many sessions, walked from one end to the other. */
  walks: { runs: [npm('walks', '--sessions', isQuick ? '2000' : '200000', '--store', isQuick ? 'memory' : 'all')] },
  /** Memory and latency over a long run. */
  soak: { runs: [npm('soak', ...(isQuick ? ['--requests', '2000', '--visitors', '2000'] : []))] },
}

const wanted = named.length > 0 ? named : Object.keys(parts)
const unknown = wanted.filter((name) => !Object.hasOwn(parts, name))
if (unknown.length > 0 || !Number.isSafeInteger(lanes) || lanes < 1) {
  const what =
    unknown.length > 0 ? `No such part: ${unknown.join(', ')}` : `--lanes takes a whole number, not ${values.lanes}`
  console.error(`${what}. There are: ${Object.keys(parts).join(', ')}`)
  process.exit(1)
}

const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    for (const child of running) child.kill(signal)
    process.exit(1)
  })

const table = []
const left = [...wanted]
await Promise.all(Array.from({ length: lanes }, lane))
console.table(table)
process.exitCode = table.length === wanted.length && table.every(({ result }) => result === 'passed') ? 0 : 1

/** One part after another. Beside other lanes, what a part prints comes when it has ended. */
async function lane() {
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const began = Date.now()
    const { runs, env } = parts[name]
    let failed = 0
    let said = ''
    if (lanes === 1) console.log(`\n==== ${name}\n`)
    for (const args of runs) {
      const { code, output } = await run(args, env)
      said += output
      if (code !== 0) failed++
    }
    if (lanes > 1) console.log(`\n==== ${name}\n\n${said}`)
    const seconds = Math.round((Date.now() - began) / 1000)
    table.push({ part: name, result: failed === 0 ? 'passed' : 'FAILED', seconds })
  }
}

function run(args, env) {
  return new Promise((resolve) => {
    const stdio = lanes === 1 ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe']
    const child = spawn('npm', args, { cwd: root, env: { ...process.env, ...env }, stdio })
    running.add(child)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => (output += text))
    child.once('error', () => resolve({ code: 1, output }))
    child.once('close', (code) => {
      running.delete(child)
      resolve({ code: code ?? 1, output })
    })
  })
}
