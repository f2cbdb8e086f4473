// What 10, 100 and 1,000 parallel requests of one session cost when each changes it, in memory and in Redis, and whether all were kept.
import { start } from '../harness/child.js'
import { startRedis } from '../harness/services.js'
import { median, round } from '../harness/stats.js'

export const title = 'Parallel requests of one session'

export async function measure({ node, say, rounds = 5, sizes = [10, 100, 1000], ways = ['update', 'write', 'turns'] }) {
  const server = await startRedis()
  const rows = []
  for (const [store, args] of [['memory', ['memory']], ...(server ? [['redis', ['redis', server.url]]] : [])]) {
    const child = await start('harness/bursts.js', args, { node })
    for (const way of ways) {
      for (const size of sizes) {
        say(`${store}, ${way}, ${size}`)
        const runs = []
        // A burst of a thousand is its own warm-up, and over Redis it may take ten seconds.
        for (
          let turn = size < 1000 ? -200 / size : 0;
          turn < (size < 1000 ? rounds : store === 'memory' ? 3 : 1);
          turn++
        ) {
          const run = await child.ask({ way, size })
          if (run.kept !== run.done || run.done + run.refused !== size)
            throw new Error(`${store}, ${way}, ${size}: ${JSON.stringify(run)}`)
          if (turn >= 0) runs.push(run)
        }
        const of = (field) => round(median(runs.map((run) => run[field])))
        rows.push({
          store,
          way,
          size,
          ms: of('ms'),
          cpu: of('cpu'),
          reads: of('reads'),
          replaces: of('replaces'),
          refused: of('refused'),
        })
      }
    }
    await child.stop()
  }
  await server?.stop()
  return { settings: { rounds }, missing: server ? undefined : 'redis-server', rows }
}
