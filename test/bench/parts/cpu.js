// CPU time per request without sockets. Candidates live in processes of their own and take turns. A shared core changes its pace
// within seconds, so each slice stands between two halves of one of bare Koa, and is measured by these; each has a lead, for a process
// that has waited is slower. Two processes of one program were seen to differ by a third for as long as they lived, so all are
// begun anew after a third of the rounds. W4 has a second process, so that the sessions it piles up burden no other workload.
import { start } from '../harness/child.js'
import { load, names } from '../harness/registry.js'
import { median, round } from '../harness/stats.js'
import { WORKLOADS } from '../harness/workloads.js'

export const title = 'CPU per request'

/** How often every process is begun. */
const GENERATIONS = 3

export async function measure({
  node,
  say,
  rounds = 9,
  ms = 100,
  warm = 800,
  lead = 150,
  lanes = 8,
  only = [...names, 'koa-fastsession:memory-keygrip'],
  workloads = Object.keys(WORKLOADS),
}) {
  const candidates = []
  for (const entry of only) {
    const [name, store] = entry.split(':')
    const adapter = await load(name)
    candidates.push({ id: entry, name, store: store ?? adapter.stores[0], floor: adapter.floor ?? name, runs: {} })
  }
  const begin = ({ name, store }) =>
    start('harness/worker.js', [name, store], { node, execArgv: ['--max-old-space-size=4096'] })
  const base = { name: 'koa', store: '' }
  const all = [base, ...candidates]
  const childFor = (one, workload) => (workload === 'W4' ? one.creating : one.steady)
  const cpuOf = async (one, workload, lead, ms) =>
    (await childFor(one, workload).ask({ workload, lead, ms, lanes }))?.cpu
  for (let turn = 0; turn < rounds; turn++) {
    if (turn % Math.ceil(rounds / GENERATIONS) === 0) {
      await end()
      say('warming up')
      await beginAll()
    }
    say(`round ${turn + 1} of ${rounds}`)
    for (const workload of workloads) {
      // New sessions are promoted in the collector's own rhythm: a longer slice holds more of its turns.
      const long = workload === 'W4' ? 2 : 1
      const half = () => cpuOf(base, workload, lead / 3, (long * ms) / 2)
      for (const one of candidates) {
        const before = await half()
        const cpu = await cpuOf(one, workload, long * lead, long * ms)
        const after = await half()
        if (cpu !== undefined) (one.runs[workload] ??= []).push({ cpu, koa: (before + after) / 2 })
      }
    }
  }
  const ours = candidates.find(({ id }) => id === 'koa-fastsession')
  const conflicts =
    ours && workloads.includes('W3')
      ? await ours.steady.ask({ conflicts: true, workload: 'W3', ms: 50, lanes })
      : undefined
  await end()

  async function beginAll() {
    await Promise.all(
      all.map(async (one) => {
        one.steady = await begin(one)
        if (workloads.includes('W4')) one.creating = await begin(one)
      }),
    )
    // Nothing is measured yet, so the candidates need not wait for one another; two at a time keep the machine busy.
    for (let at = 0; at < all.length; at += 2) {
      const warmUp = async (one) => {
        for (const workload of workloads)
          await childFor(one, workload).ask({ workload, ms: workload === 'W4' ? 4 * warm : warm, lanes })
      }
      await Promise.all(all.slice(at, at + 2).map(warmUp))
    }
  }

  async function end() {
    for (const { steady, creating } of all) await Promise.all([steady?.stop(), creating?.stop()])
  }

  const overKoa = (runs) => median(runs.map(({ cpu, koa }) => cpu / koa))
  const overFloor = (runs, floor = []) => overKoa(runs) / overKoa(floor)
  return {
    settings: { rounds, generations: GENERATIONS, ms, lead, lanes },
    conflicts: round(conflicts),
    rows: candidates.map(({ id, floor, runs }) => ({
      candidate: id,
      ...Object.fromEntries(
        Object.entries(runs).map(([workload, list]) => [
          workload,
          {
            us: round(median(list.map(({ cpu }) => cpu)) / 1000),
            overKoa: round(overKoa(list)),
            overFloor: round(overFloor(list, candidates.find((one) => one.id === floor)?.runs[workload])),
            least: round(Math.min(...list.map(({ cpu }) => cpu)) / 1000),
            most: round(Math.max(...list.map(({ cpu }) => cpu)) / 1000),
          },
        ]),
      ),
    })),
  }
}
