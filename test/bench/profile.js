// Where the time of one candidate goes: node profile.js koa-fastsession[:store] W2 [--node=path] [--ms=4000]
import { parseArgs } from 'node:util'
import { start } from './harness/child.js'
import { table } from './report/markdown.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string' }, ms: { type: 'string', default: '4000' } },
})
const [entry = 'koa-fastsession', workload = 'W2'] = positionals
const [name, store = ''] = entry.split(':')
const child = await start('harness/profiled.js', [name, store], { ...(values.node && { node: values.node }) })
const { us, files, functions } = await child.ask({ workload, ms: Number(values.ms) })
await child.stop()
const rows = (list) => list.map(({ of, share }) => [of, `${(100 * share).toFixed(1)} %`, (share * us).toFixed(2)])
console.log(`${entry} ${workload}: ${us.toFixed(1)} us of CPU a request, sampler on\n`)
console.log(table(['by file or package', 'share', 'us'], rows(files)), '\n')
console.log(table(['by function', 'share', 'us'], rows(functions)))
