// Where the CPU of this library goes, beside Koa's and Node's own.
import { start } from '../harness/child.js'
import { round } from '../harness/stats.js'

export const title = 'Profile'

export async function measure({ node, say, ms = 2000, workloads = ['W1', 'W2', 'W3', 'W7', 'W4', 'W6'] }) {
  const rows = []
  for (const workload of workloads) {
    say(workload)
    const child = await start('harness/profiled.js', ['koa-fastsession', ''], {
      node,
      execArgv: ['--max-old-space-size=4096'],
    })
    const { us, files, functions } = await child.ask({ workload, ms })
    rows.push({ workload, us: round(us), files: files.slice(0, 12), functions: functions.slice(0, 12) })
    await child.stop()
  }
  return { rows }
}
