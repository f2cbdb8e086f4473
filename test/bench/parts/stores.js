// Reads and changes per second of the SQL stores, beside a bare client that is given the same statements with values of the same kind: what
// the store sends is recorded, not written down a second time.
import { start } from '../harness/child.js'
import { startPostgres, temporaryFolder } from '../harness/services.js'
import { median, round } from '../harness/stats.js'

export const title = 'SQL stores'

export async function measure({ node, say, rounds = 5, ms = 400 }) {
  const rows = []
  const server = await startPostgres()
  const kinds = [['sqlite', `${temporaryFolder()}/sessions.db`], ...(server ? [['postgres', server.url]] : [])]
  for (const [kind, place] of kinds) {
    const child = await start('harness/verbs.js', [kind, place], { node })
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
  await server?.stop()
  return { settings: { rounds, ms }, missing: server ? undefined : 'postgres', rows }
}
