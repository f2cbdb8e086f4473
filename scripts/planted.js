// npm run test:planted: plants one fault after another (planted-list.js) into a copy of the project and plays simulated days,
// and where these find nothing, a history over MemoryStore and SQLite. Prints how many steps it took. A fault that is not
// found fails the run. Words after -- choose among the faults; --check only looks whether each still has its place.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { edited, staleIn, UNREADABLE } from './anchors.js'
import { planted } from './planted-list.js'

const STEPS = 2_000_000
const LONGEST = 240_000

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)
if (words.includes('--check')) {
  const faults = planted.map(({ name, file, before, after }) => ({ name, edits: [[file, before, after]] }))
  const stale = staleIn(root, faults)
  console.log([...stale, `${planted.length} faults, ${stale.length} stale places`].join('\n'))
  process.exit(stale.length === 0 ? 0 : 1)
}

const home = mkdtempSync(join(tmpdir(), 'koa-fastsession-planted-'))
process.once('exit', () => rmSync(home, { recursive: true, force: true }))
for (const name of ['src', 'test', 'scripts', 'package.json', 'tsconfig.json']) {
  cpSync(join(root, name), join(home, name), { recursive: true })
}
symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'))

const chosen = planted.filter(({ name }) => words.every((word) => name.includes(word)))
const rows = []
for (const { name, file, before, after } of chosen) {
  const path = join(home, 'src', file)
  const source = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const broken = edited(source, before, after)
  if (broken === undefined) {
    rows.push([name, 'STALE', '--check says where'])
  } else {
    writeFileSync(path, broken)
    rows.push([name, ...(await found())])
    writeFileSync(path, source)
  }
  console.log(rows.at(-1).join(' | '))
}
const missed = rows.filter(([, by]) => by === 'NOT FOUND' || by === 'STALE')
console.log(`\n${rows.length - missed.length} of ${rows.length} planted faults found`)
process.exitCode = missed.length === 0 ? 0 : 1

async function found() {
  const simulation = await run('scripts/simulate.js', '--seed', '1', '--steps', String(STEPS), '--stop')
  if (UNREADABLE.test(simulation.output)) return ['STALE', 'the source with the fault is no program']
  const [line] = /^seed .*$/m.exec(simulation.output) ?? []
  const [, days, steps] = /"days":(\d+),"steps":(\d+)/.exec(simulation.output) ?? []
  if (line !== undefined) return ['simulation', `${line.slice(0, 110)} after ${days} days, ${steps} steps`]
  // A process that hangs or dies of the fault is a find as well, but says so.
  if (simulation.code !== 0) return ['simulation', `it does not run: ${simulation.output.trim().slice(-150)}`]
  for (const store of ['memory', 'sqlite']) {
    const history = await run(
      'scripts/histories.js',
      '--store',
      store,
      '--seconds',
      '8',
      '--out',
      join(home, 'history'),
    )
    if (history.code === 1) return [`history over ${store}`, history.output.split('\n')[0].slice(0, 110)]
  }
  return ['NOT FOUND', `${steps} steps`]
}

function run(script, ...args) {
  const child = spawn(process.execPath, ['--import', './test/support/loader.js', script, ...args], { cwd: home })
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer)
      resolve({ code: code ?? 3, output })
    })
  })
}
