// npm run bench [-- part ...] [--node=20,24 or paths] [--only=candidate,candidate:store] [--rounds=N] [--dry]
//
// Measures all parts, or those that are named, under each Node: a path, or a major version, which npm then fetches into a temporary
// folder. Without --node, the one that runs this. Writes results/, and from all results RESULTS.md, SCALE.md, cpu.svg and the
// figures in the README; the part `report` writes these from the results that are there. --dry writes nothing, and prints.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AS_IF_BUSY } from './harness/child.js'
import { temporaryFolder } from './harness/services.js'
import { page } from './report/page.js'
import { plot } from './report/plot.js'
import { section, withSection } from './report/readme.js'
import { newest, readResults } from './report/results.js'
import { scale } from './report/scale.js'

const PARTS = ['cpu', 'http', 'redis', 'memory', 'stores', 'parallel', 'processes', 'awaits', 'footprint', 'profile']
const ROOT = new URL('../../', import.meta.url)
const RESULTS = new URL('results/', import.meta.url)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string' }, only: { type: 'string' }, rounds: { type: 'string' }, dry: { type: 'boolean' } },
})
const unknown = positionals.filter((part) => ![...PARTS, 'report'].includes(part))
if (unknown.length > 0) throw new Error(`no such part: ${unknown.join(', ')}; there are ${PARTS.join(', ')} and report`)
const parts = positionals.length > 0 ? positionals.filter((part) => part !== 'report') : PARTS

mkdirSync(RESULTS, { recursive: true })
for (const node of parts.length > 0 ? (values.node?.split(',') ?? [process.execPath]) : []) {
  const program = /^\d+$/.test(node) ? fetched(node) : node
  for (const part of parts) {
    try {
      await measureUnder(program, part)
    } catch (error) {
      process.exitCode = 1
      console.error(`\n${part} failed; its results are those of before`, error)
    }
  }
}
if (!values.dry) report()
process.exit() // clients of a stopped server may still be asking for it

async function measureUnder(node, part) {
  const version = execFileSync(node, ['--version']).toString().trim()
  const { measure, title } = await import(`./parts/${part}.js`)
  const say = (text) =>
    process.stderr.write(
      `${process.stderr.isTTY ? '\r\x1b[K' : ''}${title}, Node ${version}: ${text}${process.stderr.isTTY ? '' : '\n'}`,
    )
  const began = Date.now()
  const [load] = loadavg()
  const options = {
    ...(values.only && { only: values.only.split(',') }),
    ...(values.rounds && { rounds: Number(values.rounds) }),
  }
  const result = await measure({ node, say, ...options })
  say(`${Math.round((Date.now() - began) / 1000)} s\n`)
  if (result.rows === undefined && result.missing)
    return say(`not measured, no ${result.missing} on this machine; the results stay as they are\n`)
  const text = JSON.stringify(
    { part, node: version, flags: [AS_IF_BUSY], machine: machine(), load: Number(load.toFixed(1)), ...result },
    null,
    1,
  )
  if (values.dry) console.log(text)
  else writeFileSync(new URL(`${part}.${/\d+/.exec(version)[0]}.json`, RESULTS), `${text}\n`)
}

/** The program of that major version, from npm, as scripts/nodes.js has it. */
function fetched(major) {
  const folder = temporaryFolder()
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  execFileSync(
    'npm',
    ['install', '--prefix', folder, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', `${name}@${major}`],
    { stdio: 'ignore' },
  )
  return join(folder, 'node_modules', name, 'bin', 'node')
}

function machine() {
  const [{ model }, ...others] = cpus()
  return `${others.length + 1} x ${model.trim()}, ${process.platform}`
}

function report() {
  const results = readResults()
  const text = page(results)
  writeFileSync(new URL('RESULTS.md', import.meta.url), text)
  writeFileSync(new URL('SCALE.md', import.meta.url), scale(results))
  writeFileSync(new URL('cpu.svg', import.meta.url), plot(newest(results.cpu)))
  const readme = new URL('README.md', ROOT)
  writeFileSync(readme, withSection(readFileSync(readme, 'utf8'), section(results)))
  console.log(`\n${text}`)
}
