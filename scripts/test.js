// npm test: runs AVA and ends with one plain line, `N passed, N failed`, for machines. The exit code is AVA's.
// Arguments go to AVA: npm test -- test/cookie.test.ts --match '*forged*'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const ava = fileURLToPath(new URL('../node_modules/ava/entrypoints/cli.mjs', import.meta.url))
const child = spawn(process.execPath, [ava, ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1', ...process.env } : process.env,
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))

// AVA writes only its report to stdout; what tests print goes to stderr. Every test has a line that begins with a mark, and
// so has a file that did not load, crashed or hung. Of the summary only the number of passed tests is read, as a check.
let passed = 0
let failed = 0
let summary = 0
for await (const line of createInterface({ input: child.stdout })) {
  console.log(line)
  const text = stripVTControlCharacters(line)
  if (/^ {2}[✔√] (?!\[expected fail\])/.test(text)) passed += 1
  else if (/^ {2}[✘×] /.test(text)) failed += 1
  else summary = Number(/^ {2}(\d+) tests? passed/.exec(text)?.[1] ?? summary)
}
const code = await exitCode()

if (code === 0 && (failed > 0 || passed !== summary)) {
  console.error(`AVA reports success and ${summary} passed tests, but ${passed} passed and ${failed} failed ones were counted: is its report worded differently now?`)
  process.exitCode = 1
} else {
  process.exitCode = code
}
console.log(`${passed} passed, ${code === 0 ? failed : Math.max(failed, 1)} failed`)

function exitCode() {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? 1
  return new Promise((resolve) => child.once('exit', (exit) => resolve(exit ?? 1)))
}
