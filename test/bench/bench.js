// npm run bench [part ...] [--node=20,24 or paths] [--only=candidate,candidate:store] [--rounds=N]
// Measures each part (all of them, unless some are named) under each Node, writes results/, and from the results RESULTS.md, cpu.svg and the
// figures in the README.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const PARTS = ['cpu', 'http', 'redis', 'memory', 'stores', 'parallel', 'awaits']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string' }, only: { type: 'string' }, rounds: { type: 'string' }, dry: { type: 'boolean' } },
})
const unknown = positionals.filter((part) => !PARTS.includes(part))
if (unknown.length > 0) throw new Error(`no such part: ${unknown.join(', ')}; there are ${PARTS.join(', ')}`)
const parts = positionals.length > 0 ? positionals : PARTS
const nodes = values.node?.split(',') ?? [process.execPath]
const results = new URL('results/', import.meta.url)
mkdirSync(results, { recursive: true })
for (const node of nodes) {
  const version = execFileSync(node, ['--version']).toString().trim()
  for (const part of parts) {
    const began = Date.now()
    const { measure, title } = await import(`./parts/${part}.js`)
    const say = (text) => process.stderr.write(`\r\x1b[K${title}, Node ${version}: ${text}`)
    const result = await measure({ node, say, ...(values.only && { only: values.only.split(',') }), ...(values.rounds && { rounds: Number(values.rounds) }) })
    say(`${Math.round((Date.now() - began) / 1000)} s\n`)
    const text = JSON.stringify({ part, node: version, ...result }, null, 1)
    if (!values.dry) writeFileSync(new URL(`${part}.${/\d+/.exec(version)[0]}.json`, results), text + '\n')
    else console.log(text)
  }
}
