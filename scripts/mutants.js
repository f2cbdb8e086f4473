// npm run test:mutants: puts one fault after another (mutants-list.js) into a copy of the project, runs the tests that
// must notice, and prints which test did. A fault that they do not notice fails the run, and so does one whose place in
// the source is gone. Words after -- choose among the faults: npm run test:mutants -- regenerate; 2/5 is a fifth of them.
// --check only looks whether each fault still has its place, and its tests: no test runs.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { edited, staleIn, UNREADABLE } from './anchors.js'
import { mutants } from './mutants-list.js'

const WORKERS = 2
/** How long the tests of one fault may take, in milliseconds. */
const LONGEST = 300_000
const COPIED = ['src', 'test', 'scripts', 'package.json', 'tsconfig.json']

// The stores have their own suite: for the core the one in memory is enough, and no server is looked for.
const common = { ...process.env, CI: '', REQUIRE_SERVICES: '', NO_COLOR: '1' }
const env = {
  ...common,
  TEST_STORE: 'Memory',
  TEST_SERVICES: 'none',
}

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)
if (words.includes('--check')) {
  const stale = staleIn(root, mutants)
  for (const { name, tests } of mutants)
    for (const test of tests)
      if (!existsSync(join(root, `test/${test}.test.ts`))) stale.push(`STALE ${name}: there is no test/${test}.test.ts`)
  console.log([...stale, `${mutants.length} faults, ${stale.length} stale places`].join('\n'))
  process.exit(stale.length === 0 ? 0 : 1)
}

const folder = mkdtempSync(join(tmpdir(), 'koa-fastsession-mutants-'))
const running = new Set()
process.once('exit', () => {
  for (const child of running) process.kill(-child.pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const began = Date.now()
const missing = new Set(
  mutants.map(({ needs }) => needs).filter((program) => program !== undefined && !isThere(program)),
)
for (const program of missing) console.log(`there is no ${program} here: the faults that need it are left out`)
const [, part = 1, parts = 1] = /^(\d+)\/(\d+)$/.exec(words[0]) ?? []
const chosen = mutants.filter(
  ({ name, needs }, at) =>
    words.every((word) => /^\d+\/\d+$/.test(word) || name.includes(word)) &&
    at % parts === part - 1 &&
    !missing.has(needs),
)
const homes = Array.from({ length: WORKERS }, (_, at) => copied(join(folder, String(at))))

// What is red on a busy machine, and green at another try, is no fault that somebody put there.
const ground = [
  ...new Map(
    chosen.flatMap(({ tests, needs }) => tests.map((test) => [test, { test, isServed: needs !== undefined }])),
  ).values(),
]
await Promise.all(
  homes.map(async (home) => {
    for (let next = ground.shift(); next !== undefined; next = ground.shift()) {
      let outcome
      for (let tries = 0; tries < 3 && outcome?.code !== 0; tries++)
        outcome = await tested(home, [next.test], next.isServed)
      if (outcome.code !== 0)
        throw new Error(`test/${next.test} is red without any fault: ${outcome.failures.join('; ') || outcome.output}`)
    }
  }),
)

const table = new Map()
const waiting = [...chosen]
await Promise.all(
  homes.map(async (home) => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const outcome = await tried(home, mutant)
      table.set(mutant, outcome)
      console.log(`${outcome.isCaught ? 'caught  ' : 'SURVIVED'} ${mutant.name} | ${outcome.by}`)
    }
  }),
)

console.log('\n| fault | noticed by |\n| --- | --- |')
for (const mutant of chosen) console.log(`| ${mutant.name} | ${table.get(mutant).by.replaceAll('|', '\\|')} |`)
const left = chosen.filter((mutant) => !table.get(mutant).isCaught)
console.log(
  `\n${chosen.length - left.length} of ${chosen.length} faults noticed, ${Math.round((Date.now() - began) / 1000)} s`,
)
process.exitCode = left.length === 0 && chosen.length > 0 ? 0 : 1

function isThere(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}

/** A copy of the project that may be broken. */
function copied(home) {
  mkdirSync(home)
  for (const name of COPIED) cpSync(join(root, name), join(home, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'))
  return home
}

/** Breaks the copy, runs the tests and mends it. */
async function tried(home, { edits, tests, needs }) {
  const originals = new Map()
  try {
    for (const [file, before, after] of edits) {
      const path = join(home, 'src', file)
      const source = existsSync(path) ? readFileSync(path, 'utf8') : ''
      const broken = edited(source, before, after)
      if (broken === undefined) return { isCaught: false, by: `the mutant is stale: --check says where` }
      if (!originals.has(path)) originals.set(path, source)
      writeFileSync(path, broken)
    }
    return judged(await tested(home, tests, needs !== undefined))
  } finally {
    for (const [path, source] of originals) writeFileSync(path, source)
  }
}

function judged({ code, failures, output }) {
  if (code === 0) return { isCaught: false, by: 'no test' }
  const [first] = failures.filter((title) => !title.includes('No tests found'))
  if (first === undefined || UNREADABLE.test(output)) {
    return { isCaught: false, by: `the mutant does not run: ${failures[0] ?? output.slice(-500)}` }
  }
  return { isCaught: true, by: first }
}

/** Runs test files until one test fails. */
function tested(home, tests, isServed) {
  const files = tests.map((name) => `test/${name}.test.ts`)
  const child = spawn(
    process.execPath,
    ['node_modules/ava/entrypoints/cli.mjs', '--tap', '--fail-fast', '--timeout=30s', ...files],
    {
      cwd: home,
      env: isServed ? common : env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own: its test files are processes too.
      detached: true,
    },
  )
  running.add(child)
  const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), LONGEST)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      const failures = [...output.matchAll(/^not ok \d+ - (.*)$/gm)].map(([, title]) =>
        title.replace(/ # .*$/, '').replace('MemoryStore: ', ''),
      )
      // At a timeout AVA's TAP reporter fails by itself.
      if (code === null || output.includes('writeTimeout')) failures.push('a test that never ends')
      resolve({ code: code ?? 1, failures, output })
    })
  })
}
