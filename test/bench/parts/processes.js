// One, four and eight processes of the app over one Redis and one PostgreSQL: what a request costs the app and the store's server.
import { readFileSync } from 'node:fs'
import { start } from '../harness/child.js'
import { startPostgres, startRedis } from '../harness/services.js'
import { median, round } from '../harness/stats.js'

export const title = 'Several processes'

const WAYS = { W2: 'small', W7: 'own', 'one session': 'shared' }

export async function measure({ node, say, rounds = 5, ms = 500, sizes = [1, 4, 8] }) {
  const rows = []
  const missing = []
  for (const [store, open] of [
    ['redis', startRedis],
    ['postgres', startPostgres],
  ]) {
    const server = await open()
    if (server === undefined) {
      missing.push(store === 'redis' ? 'redis-server' : 'postgres')
      continue
    }
    const children = []
    for (let at = 0; at < Math.max(...sizes); at++)
      children.push(await start('harness/crowd.js', [store, server.url], { node }))
    const shared = children[0].ready.cookies.small
    for (const processes of sizes) {
      for (const [workload, kind] of Object.entries(WAYS)) {
        say(`${store}, ${processes}, ${workload}`)
        const runs = []
        for (let turn = -1; turn < rounds; turn++) {
          const before = serverCpu(server.pid)
          const answers = await Promise.all(
            children
              .slice(0, processes)
              .map((child) => child.ask({ path: kind === 'small' ? '/read' : '/count', kind, shared, ms })),
          )
          const sum = (field) => answers.reduce((total, answer) => total + answer[field], 0)
          const run = {
            cpu: sum('cpu') / sum('n'),
            serverCpu: (serverCpu(server.pid) - before) / sum('n'),
            perSecond: sum('perSecond'),
            refused: sum('refused'),
          }
          if (turn >= 0) runs.push(run)
        }
        const of = (field) => round(median(runs.map((run) => run[field])))
        const refused = runs.reduce((total, run) => total + run.refused, 0)
        rows.push({
          store,
          workload,
          processes,
          cpu: of('cpu'),
          serverCpu: of('serverCpu'),
          perSecond: of('perSecond'),
          refused,
        })
      }
    }
    for (const child of children) await child.stop()
    await server.stop()
  }
  return { settings: { rounds, ms }, missing: missing.join(', ') || undefined, rows }
}

/** Microseconds of CPU that a process and its ended and living children have used; Linux alone tells them. */
function serverCpu(pid) {
  try {
    const own = ticks(pid)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
    return (own + children.reduce((sum, child) => sum + ticks(child), 0)) * 10_000
  } catch {
    return NaN
  }
}

/** utime and stime, in hundredths of a second. */
function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return Number(fields[11]) + Number(fields[12])
}
