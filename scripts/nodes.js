// npm run test:nodes: runs the tests under each supported Node, or under those named (npm run test:nodes 22 24), with
// binaries from npm in a temporary folder, and ends with a table. Arguments that are no numbers go to npm test.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const given = process.argv.slice(2)
const named = given.filter((one) => /^\d/.test(one))
const majors = named.length > 0 ? named : ['20.19', '22', '24', '26']
const args = given.filter((one) => !named.includes(one))
const binaries = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
const folder = mkdtempSync(join(tmpdir(), 'koa-fastsession-nodes-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const table = []
for (const major of majors) {
  const home = join(folder, major)
  console.log(`\n==== Node ${major}\n`)
  const installed = await run(
    'npm',
    ['install', '--prefix', home, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', `${binaries}@${major}`],
    process.env,
  )
  if (installed.code !== 0) {
    table.push({ node: major, tests: 'could not be installed', seconds: '' })
    continue
  }
  const env = { ...process.env, PATH: join(home, 'node_modules', binaries, 'bin') + delimiter + process.env.PATH }
  const version = await run('node', ['--version'], env)
  const began = Date.now()
  const tests = await run('npm', ['test', '--', ...args], env)
  table.push({
    node: version.lastLine,
    tests: tests.lastLine,
    code: tests.code,
    seconds: Math.round((Date.now() - began) / 1000),
  })
}
console.table(table)
process.exitCode = table.every(({ code }) => code === 0) ? 0 : 1

/** Runs a program in the project, shows what it prints, and resolves to its exit code and last line. */
function run(program, args, env) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let printed = ''
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      printed = (printed + String(chunk)).slice(-1000)
    })
    child.once('error', (error) => resolve({ code: 1, lastLine: error.message }))
    child.once('close', (code) => resolve({ code: code ?? 1, lastLine: printed.trimEnd().split('\n').at(-1) }))
  })
}
