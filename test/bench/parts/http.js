// Server CPU per request, throughput and latency over loopback: one server process at a time under load, candidates taking turns. Under
// noise the CPU is far steadier than the requests per second.
import { start } from '../harness/child.js'
import { load as loadAdapter } from '../harness/registry.js'
import { load, tool } from '../harness/load.js'
import { median, round } from '../harness/stats.js'
import { WORKLOADS } from '../harness/workloads.js'

export const title = 'HTTP over loopback'

const CANDIDATES = [
  'limit-lean',
  'koa',
  'koa-fastsession',
  'koa-session',
  'koa-session-minimal',
  'fastify-session',
  'express-session',
]

export async function measure({
  node,
  say,
  rounds = 9,
  seconds = 0.5,
  connections = 32,
  only = CANDIDATES,
  workloads = ['W1', 'W2', 'W3', 'W7', 'W4'],
  redisUrl = '',
}) {
  const candidates = []
  for (const id of only) {
    const [name, store] = id.split(':')
    const { stores } = await loadAdapter(name)
    const args = [name, store ?? stores[0], redisUrl]
    candidates.push({
      id,
      runs: {},
      server: await start('harness/serve.js', args, { node, execArgv: ['--max-old-space-size=3072'] }),
    })
  }
  // The first round warms up, with one slice of a workload that stores and one that reads.
  for (let turn = -1; turn < rounds; turn++) {
    say(turn < 0 ? 'warming up' : `round ${turn + 1} of ${rounds}`)
    for (const workload of workloads) {
      if (turn < 0 && workload !== 'W3' && workload !== 'W4') continue
      const { path, cookie } = WORKLOADS[workload]
      for (const { server, runs } of candidates) {
        const { port, cookies } = server.ready
        const before = await server.ask({})
        const run = await load({ port, path, cookie: cookie && cookies[cookie], seconds, connections })
        const after = await server.ask({})
        run.cpu = (after.user + after.system - before.user - before.system) / run.n
        if (turn >= 0) (runs[workload] ??= []).push(run)
      }
    }
  }
  await Promise.all(candidates.map(({ server }) => server.stop()))

  const runsOf = (name) => candidates.find(({ id }) => id === name)?.runs
  const base = runsOf('koa')
  return {
    settings: { tool, rounds, seconds, connections },
    rows: candidates.map(({ id, runs }) => {
      // A claim about a peer is the median of pairs whose slices were neighbours.
      const peer = id.startsWith('koa-fastsession') ? runsOf(id.replace('koa-fastsession', 'koa-session')) : undefined
      return {
        candidate: id,
        ...Object.fromEntries(
          Object.entries(runs).map(([workload, list]) => {
            const of = (field) => round(median(list.map((run) => run[field])))
            const over = (field, other) =>
              round(median(list.map((run, at) => run[field] / other?.[workload][at][field])))
            return [
              workload,
              {
                us: of('cpu'),
                overKoa: over('cpu', base),
                overKoaSession: over('cpu', peer),
                perSecond: of('rps'),
                perSecondOverKoa: over('rps', base),
                p50: of('p50'),
                p99: of('p99'),
              },
            ]
          }),
        ),
      }
    }),
  }
}
