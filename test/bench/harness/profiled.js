// Where the time of one candidate goes, by V8's sampler. Asked for { workload, ms }, it answers { us, parts }: the CPU of a request, and
// the share of each file or package, and of each function, in order of size.
import { Session } from 'node:inspector/promises'
import { build } from './registry.js'
import { prepare, WORKLOADS } from './workloads.js'
import { Lane } from './mock.js'
import { slice } from './stats.js'

const [name, store] = process.argv.slice(2)
const app = await build(name, store || undefined)
const cookies = await prepare(app)

async function drive({ path, cookie }, ms) {
  const header = cookie && cookies[cookie]
  const lanes = Array.from({ length: 8 }, () => new Lane())
  const isOver = slice(ms)
  let n = 0
  for (; !isOver(); n += 64) {
    for (let i = 0; i < 8; i++)
      await Promise.all(
        lanes.map((lane, at) => lane.send(app.listener, path, Array.isArray(header) ? header[at] : header)),
      )
  }
  return n
}

/** The package, the part of Node, or the file of this library that a function belongs to. */
function origin(url) {
  if (!url) return 'the engine'
  if (url.startsWith('node:')) return `node:${url.replace(/^node:(internal\/)?/, '').split('/')[0]}`
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (inPackage) return inPackage[1]
  const own = /\/dist\/(.*)$/.exec(url)
  return own ? `dist/${own[1]}` : 'the bench'
}

process.send({ ready: true })
process.on('disconnect', () => process.exit(0))
process.on('message', async ({ workload, ms }) => {
  const work = WORKLOADS[workload]
  await drive(work, ms / 2)
  const inspector = new Session()
  inspector.connect()
  await inspector.post('Profiler.enable')
  await inspector.post('Profiler.setSamplingInterval', { interval: 200 })
  await inspector.post('Profiler.start')
  const cpu0 = process.cpuUsage()
  const n = await drive(work, ms)
  const { user, system } = process.cpuUsage(cpu0)
  const { profile } = await inspector.post('Profiler.stop')
  inspector.disconnect()

  const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
  const sums = { files: {}, functions: {} }
  let total = 0
  profile.samples.forEach((id, at) => {
    const { url, functionName } = nodes.get(id)
    if (url === 'node:inspector') return // the sampler itself
    const spent = profile.timeDeltas[at]
    const from = url
      ? origin(url)
      : functionName === '(garbage collector)'
        ? 'garbage collection'
        : functionName === '(program)'
          ? 'native code'
          : 'the engine'
    const called = `${functionName || '(anonymous)'} in ${from}`
    sums.files[from] = (sums.files[from] ?? 0) + spent
    sums.functions[called] = (sums.functions[called] ?? 0) + spent
    total += spent
  })
  const shares = (sum) =>
    Object.entries(sum)
      .sort(([, a], [, b]) => b - a)
      .slice(0, 20)
      .map(([of, spent]) => ({ of, share: Number((spent / total).toFixed(3)) }))
  process.send({ us: (user + system) / n, files: shares(sums.files), functions: shares(sums.functions) })
})
