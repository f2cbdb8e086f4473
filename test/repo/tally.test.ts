// The closing line of `npm test`: it must be true, or a red run could pass for a green one.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { KEYS } from '../support/app.ts'
import { ROOT } from '../support/consumer.ts'
import { start, temporaryFolder } from '../support/service.ts'

interface Run {
  readonly code: unknown
  readonly lastLine: string | undefined
}

/** Runs these test files as `npm test` would. */
async function tally(files: Readonly<Record<string, string>>): Promise<Run> {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'test'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', ava: { workerThreads: false } }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'test', name), text)
  const running = start(process.execPath, [join(ROOT, 'scripts/test.js')], { cwd: folder })
  const code = await new Promise((resolve) => running.process.once('close', resolve))
  return { code, lastLine: running.output().trimEnd().split('\n').at(-1) }
}

test('a green run ends with the number of passed tests; skipped ones do not count', async (t) => {
  const run = await tally({
    'green.js': `
      import test from 'ava'
      test('one', (t) => t.pass())
      test('two', (t) => t.pass())
      test.skip('three', (t) => t.fail())
    `,
  })

  t.deepEqual(run, { code: 0, lastLine: '2 passed, 0 failed' })
})

test('a red run ends with the number of failures, a crashed file and an empty one among them', async (t) => {
  const run = await tally({
    'red.js': `
      import test from 'ava'
      test('one', (t) => t.pass())
      test('two', (t) => t.fail('  ✔ not a passed test'))
    `,
    'crashed.js': `throw new Error('cannot load')`,
    'empty.js': `import 'ava'`,
  })

  t.deepEqual(run, { code: 1, lastLine: '1 passed, 3 failed' })
})

test('a run without tests is a failure', async (t) => {
  t.deepEqual(await tally({}), { code: 1, lastLine: '0 passed, 1 failed' })
})

const COOKIE = `'sid=' + 'i'.repeat(32) + '.' + 's'.repeat(43) + '; Path=/'`
const SECRET = `'keys: ' + ${JSON.stringify(KEYS[1]?.slice(0, 9))} + ${JSON.stringify(KEYS[1]?.slice(9))}`

for (const [what, print] of Object.entries({
  'a session cookie to stdout': `console.log(${COOKIE})`,
  'a signing secret to stderr': `console.error(${SECRET})`,
  'a session cookie into the report': `t.log(${COOKIE})`,
})) {
  test(`a run in which a test prints ${what} is a failure`, async (t) => {
    const run = await tally({ 'leak.js': `import test from 'ava'\ntest('one', (t) => { ${print}; t.pass() })` })

    t.deepEqual(run, { code: 1, lastLine: '1 passed, 1 failed' })
  })
}
