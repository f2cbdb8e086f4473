// Load over loopback: wrk where it is installed, because it takes little CPU from a small machine, else autocannon.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './services.js'

const run = promisify(execFile)
const have = await run('wrk', ['-v']).then(
  () => true,
  (error) => error.code !== 'ENOENT',
)

export const tool = have ? 'wrk' : 'autocannon'

const MS = { us: 1e-3, ms: 1, s: 1000 }

/** `cookie` is a header, or a list that takes turns. Returns { n, rps, p50, p99 }, in milliseconds; never longer than `seconds` + 10. */
export async function load({ port, path, cookie, seconds, connections }) {
  const url = `http://127.0.0.1:${port}${path}`
  if (have) {
    const header = Array.isArray(cookie) ? ['-s', script(path, cookie)] : cookie ? ['-H', `Cookie: ${cookie}`] : []
    const args = ['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '--latency', ...header, url]
    const { stdout } = await run('wrk', args, { timeout: (seconds + 10) * 1000 })
    const at = (percent) => {
      const match = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout)
      return match ? Number(match[1]) * MS[match[2]] : NaN
    }
    if (/Non-2xx/.test(stdout)) throw new Error(`errors from ${url}\n${stdout}`)
    return {
      n: Number(/(\d+) requests in/.exec(stdout)[1]),
      rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]),
      p50: at(50),
      p99: at(99),
    }
  }
  const { default: autocannon } = await import('autocannon')
  const requests = [cookie].flat().map((one) => ({ path, headers: one ? { cookie: one } : {} }))
  const result = await autocannon({ url, connections, duration: seconds, requests })
  if (result.non2xx) throw new Error(`errors from ${url}`)
  return {
    n: result.requests.total,
    rps: result.requests.total / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
  }
}

const scripts = temporaryFolder()
let written = 0

/** What wrk sends when each request has another cookie, made before it begins. */
function script(path, cookies) {
  const file = join(scripts, `${written++}.lua`)
  const list = cookies.map((one) => `wrk.format('GET', '${path}', { Cookie = '${one}' })`)
  writeFileSync(
    file,
    `local requests, at = {}, 0
function init() requests = { ${list.join(', ')} } end
function request() at = at % #requests + 1 return requests[at] end
`,
  )
  return file
}
