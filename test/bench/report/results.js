// Reads what was measured, by part and by Node's major version.
import { readdirSync, readFileSync } from 'node:fs'

const FOLDER = new URL('../results/', import.meta.url)

/** `results.cpu[20]` is the run of the CPU part under Node 20. */
export function readResults() {
  const results = {}
  for (const file of readdirSync(FOLDER)) {
    const [, part, major] = /^(\w+)\.(\d+)\.json$/.exec(file) ?? []
    if (part !== undefined) (results[part] ??= {})[major] = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
  }
  return results
}

/** The run under the newest Node that has one. */
export function newest(runs) {
  return runs && runs[Math.max(...Object.keys(runs))]
}

/** The figures of one candidate in one workload. */
export function cell(run, candidate, workload) {
  return run?.rows.find((row) => row.candidate === candidate)?.[workload]
}
