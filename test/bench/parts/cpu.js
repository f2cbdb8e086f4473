// CPU time per request without sockets. All candidates stay alive in processes of their own and take turns, slice by slice, so
// that noise hits them alike. W4 has a second process, so that the sessions it piles up burden no other workload.
import { start } from '../harness/child.js'
import { load, names } from '../harness/registry.js'
import { median, round } from '../harness/stats.js'
import { WORKLOADS } from '../harness/workloads.js'

export const title = 'CPU per request'

export async function measure({ node, say, rounds = 5, ms = 150, warm = 300, lanes = 8, only = names, workloads = Object.keys(WORKLOADS) }) {
  const candidates = []
  for (const entry of only) {
    const [name, store] = entry.split(':')
    const adapter = await load(name)
    candidates.push({ id: entry, name, store: store ?? adapter.stores[0], floor: adapter.floor ?? name, runs: {} })
  }
  const begin = ({ name, store }) => start('harness/worker.js', [name, store], { node, execArgv: ['--max-old-space-size=4096'] })
  for (const one of candidates) {
    one.steady = await begin(one)
    if (workloads.includes('W4')) one.creating = await begin(one)
  }
  for (let turn = -1; turn < rounds; turn++) {
    say(turn < 0 ? 'warming up' : `round ${turn + 1} of ${rounds}`)
    for (const workload of workloads) {
      // New sessions are promoted in the collector's own rhythm: a longer slice holds more of its turns.
      const length = workload === 'W4' ? (turn >= 0 ? 2 * ms : 4 * warm) : turn >= 0 ? ms : warm
      for (const one of candidates) {
        const run = await (workload === 'W4' ? one.creating : one.steady).ask({ workload, ms: length, lanes })
        if (turn >= 0 && run !== null) (one.runs[workload] ??= []).push(run.cpu)
      }
    }
  }
  const ours = candidates.find(({ id }) => id === 'koa-fastsession')
  const conflicts = ours && workloads.includes('W3') ? await ours.steady.ask({ conflicts: true, workload: 'W3', ms: 50, lanes }) : undefined
  for (const { steady, creating } of candidates) await Promise.all([steady.stop(), creating?.stop()])

  const over = (runs, base) => (base === undefined ? undefined : round(median(runs.map((cpu, at) => cpu / base[at]))))
  const runsOf = (name, workload) => candidates.find((one) => one.id === name)?.runs[workload]
  return {
    settings: { rounds, ms, lanes },
    conflicts: round(conflicts),
    rows: candidates.map(({ id, floor, runs }) => ({
      candidate: id,
      ...Object.fromEntries(
        Object.entries(runs).map(([workload, list]) => [
          workload,
          {
            us: round(median(list) / 1000),
            overKoa: over(list, runsOf('koa', workload)),
            overFloor: over(list, runsOf(floor, workload)),
            least: round(Math.min(...list) / 1000),
            most: round(Math.max(...list) / 1000),
          },
        ]),
      ),
    })),
  }
}
