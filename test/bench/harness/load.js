// Load over loopback: wrk (Debian package) where it is installed, because it
// takes little CPU from a two-core machine, else autocannon.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const have = await run('wrk', ['-v']).then(() => true, (e) => e.code !== 'ENOENT')

export const tool = have ? 'wrk' : 'autocannon'

const MS = { us: 1e-3, ms: 1, s: 1000 }

/** Returns { rps, p50, p99 } (milliseconds); never longer than `seconds` + 10. */
export async function load({ port, path, cookie, seconds, connections }) {
  const url = `http://127.0.0.1:${port}${path}`
  if (have) {
    const { stdout } = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...(cookie ? ['-H', 'Cookie: ' + cookie] : []), url], { timeout: (seconds + 10) * 1000 })
    const at = (p) => { const m = new RegExp(`${p}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout); return m ? Number(m[1]) * MS[m[2]] : NaN }
    if (/Non-2xx/.test(stdout)) throw new Error('errors from ' + url + '\n' + stdout)
    return { n: Number(/(\d+) requests in/.exec(stdout)[1]), rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]), p50: at(50), p99: at(99) }
  }
  const { default: autocannon } = await import('autocannon')
  const r = await autocannon({ url, connections, duration: seconds, headers: cookie ? { cookie } : {} })
  if (r.non2xx) throw new Error('errors from ' + url)
  return { n: r.requests.total, rps: r.requests.average, p50: r.latency.p50, p99: r.latency.p99 }
}
