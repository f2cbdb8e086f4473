// Reads and changes per second of the SQL stores, beside a bare client that is given the same statements with values of the same kind: what
// the store sends is recorded, not written down a second time.
import { start } from '../harness/child.js'
import { startMariadb, startPostgres, temporaryFolder } from '../harness/services.js'
import { median, round } from '../harness/stats.js'

export const title = 'SQL stores'

export async function measure({ node, say, rounds = 5, ms = 400 }) {
  const rows = []
  const missing = []
  for (const [kind, open] of [
    ['sqlite', () => ({ url: `${temporaryFolder()}/sessions.db`, stop() {} })],
    ['postgres', startPostgres],
    ['mariadb', startMariadb],
  ]) {
    const server = await open()
    if (server === undefined) {
      missing.push(kind)
      continue
    }
    const child = await start('harness/verbs.js', [kind, server.url], { node })
    const runs = {}
    for (let turn = -1; turn < rounds; turn++) {
      say(`${kind}, ${turn < 0 ? 'warming up' : `round ${turn + 1} of ${rounds}`}`)
      for (const verb of ['read', 'change']) {
        for (const who of ['bare', 'store']) {
          const run = await child.ask({ who, verb, ms })
          if (turn >= 0) (runs[`${who} ${verb}`] ??= []).push(run)
        }
      }
    }
    await child.stop()
    await server.stop()
    for (const verb of ['read', 'change']) {
      const [bare, store] = [runs[`bare ${verb}`], runs[`store ${verb}`]]
      const of = (list, field) => round(median(list.map((run) => run[field])))
      rows.push({
        store: kind,
        client: child.ready.client,
        verb,
        bare: of(bare, 'perSecond'),
        ours: of(store, 'perSecond'),
        ratio: round(median(store.map((run, at) => run.perSecond / bare[at].perSecond))),
        bareCpu: of(bare, 'cpu'),
        oursCpu: of(store, 'cpu'),
        cpuRatio: round(median(store.map((run, at) => run.cpu / bare[at].cpu))),
      })
    }
  }
  return { settings: { rounds, ms }, missing: missing.length === 0 ? undefined : missing.join(' and '), rows }
}
