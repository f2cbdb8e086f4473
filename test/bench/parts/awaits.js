// What currentSession() costs a handler with 0 and with 20 awaits, beside Koa alone and beside AsyncLocalStorage.run alone.
import { start } from '../harness/child.js'
import { median, round } from '../harness/stats.js'

export const title = 'Awaits under currentSession()'

const WAYS = ['none', 'run', 'visitor', 'session']

export async function measure({ node, say, rounds = 5, ms = 200 }) {
  const rows = []
  for (const awaits of [0, 20]) {
    const children = []
    for (const way of WAYS)
      children.push({ way, runs: [], child: await start('harness/awaits.js', [way, `${awaits}`], { node }) })
    for (let turn = -1; turn < rounds; turn++) {
      say(`${awaits} awaits, ${turn < 0 ? 'warming up' : `round ${turn + 1} of ${rounds}`}`)
      for (const { child, runs } of children) {
        const { ns } = await child.ask({ ms: turn < 0 ? 500 : ms })
        if (turn >= 0) runs.push(ns)
      }
    }
    for (const { way, runs, child } of children) {
      await child.stop()
      rows.push({
        awaits,
        way,
        us: round(median(runs) / 1000),
        overKoa: round(median(runs.map((ns, at) => ns / children[0].runs[at]))),
      })
    }
  }
  return { settings: { rounds, ms }, rows }
}
