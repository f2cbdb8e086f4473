// npm test: runs AVA and ends with one plain line, `N passed, N failed`, for machines. The exit code is AVA's.
// Arguments go to AVA: npm test -- test/unit/cookie.test.ts --match '*forged*'
// All that the tests print is searched for session cookies and signing secrets: one of them is a failure, too.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const ava = fileURLToPath(new URL('../node_modules/ava/entrypoints/cli.mjs', import.meta.url))
const child = spawn(process.execPath, [ava, ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'pipe'],
  env: process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1', ...process.env } : process.env,
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))

// AVA writes only its report to stdout; what tests print goes to stderr. Every test has a line that begins with a mark, and
// so has a file that did not load, crashed or hung. Of the summary only the number of passed tests is read, as a check.
let passed = 0
let failed = 0
let summary = 0
let leaks = 0
/** The lines that say what went wrong, again at the end: what a log shows of a long run is often only its last page. */
const recap = []
let following = 0

// An id, a full stop and a signature, as a cookie has them; and the secrets that most tests sign with.
const cookie = /(?<![\w-])[\w-]{32}\.[\w-]{43}(?![\w-])/
const secrets = [
  ...(
    /KEYS[^=]*= \[(.*?)\]/s.exec(readFileSync(new URL('../test/support/app.ts', import.meta.url), 'utf8'))?.[1] ?? ''
  ).matchAll(/'([^']+)'/g),
].map(([, secret]) => secret)
if (secrets.length === 0) throw new Error('the signing secrets of the tests are no longer where they were')

function look(text) {
  if (cookie.test(text) || secrets.some((secret) => text.includes(secret))) leaks += 1
}

const printed = (async () => {
  for await (const line of createInterface({ input: child.stderr })) {
    console.error(line)
    look(stripVTControlCharacters(line))
  }
})()
for await (const line of createInterface({ input: child.stdout })) {
  console.log(line)
  const text = stripVTControlCharacters(line)
  look(text)
  if (
    /^ {2}(?:[✘×◌] |Uncaught exception in |Unhandled rejection in |\d+ tests? were pending in |Failed to exit )/.test(
      text,
    )
  )
    following = /^ {2}U/.test(text) ? 30 : 1
  if (following > 0 && recap.length < 200 && !/^ {2}[✔√] /.test(text)) recap.push(text)
  if (following > 0) following -= 1
  if (/^ {2}[✔√] (?!\[expected fail\])/.test(text)) passed += 1
  else if (/^ {2}[✘×] /.test(text)) failed += 1
  else summary = Number(/^ {2}(\d+) tests? passed/.exec(text)?.[1] ?? summary)
}
const code = await exitCode()
await printed
if (recap.length > 0) console.log(`\nOnce more, what went wrong:\n\n${recap.join('\n')}\n`)

// Where a test failed, what it compared is shown: its cookies are no leak.
if (code !== 0) leaks = 0
if (leaks > 0) {
  console.error(`${leaks} of the lines above show a session cookie or a signing secret`)
  failed += 1
}
if (code === 0 && (failed > (leaks > 0 ? 1 : 0) || passed !== summary)) {
  console.error(
    `AVA reports success and ${summary} passed tests, but ${passed} passed and ${failed} failed ones were counted: is its report worded differently now?`,
  )
  process.exitCode = 1
} else {
  process.exitCode = leaks > 0 ? 1 : code
}
console.log(`${passed} passed, ${code === 0 ? failed : Math.max(failed, 1)} failed`)

function exitCode() {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? 1
  return new Promise((resolve) => child.once('exit', (exit) => resolve(exit ?? 1)))
}
