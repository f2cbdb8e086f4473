// The closing line of `npm test`: it must be true, or a red run could pass for a green one.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { KEYS } from '../support/app.ts'
import { ROOT } from '../support/consumer.ts'
import { start, temporaryFolder } from '../support/service.ts'

interface Run {
  readonly code: unknown
  readonly output: string
}

// One run at a time, and more patience than AVA has by itself: ten seconds pass on a busy machine before a file is loaded.

/**
 * Runs these test files as `npm test` would, with this of AVA's settings. One file at a time: Node reaps every child that is
 * dead when it hears of one's end, and then the last message of another that crashed in that moment comes after its exit,
 * too late for AVA.
 */
async function run(files: Readonly<Record<string, string>>, settings: object = {}): Promise<Run> {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'test'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const ava = { workerThreads: false, timeout: '4m', concurrency: 1, ...settings }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', ava }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'test', name), text)
  const running = start(process.execPath, [join(ROOT, 'scripts/test.js')], { cwd: folder })
  const code = await new Promise((resolve) => running.process.once('close', resolve))
  return { code, output: running.output().trimEnd() }
}

async function tally(
  files: Readonly<Record<string, string>>,
): Promise<{ code: unknown; lastLine: string | undefined }> {
  const { code, output } = await run(files)
  return { code, lastLine: output.split('\n').at(-1) }
}

test.serial('a green run ends with the number of passed tests; skipped ones do not count', async (t) => {
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

test.serial('a red run ends with the number of failures, a crashed file and an empty one among them', async (t) => {
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

test.serial('a run without tests is a failure', async (t) => {
  t.deepEqual(await tally({}), { code: 1, lastLine: '0 passed, 1 failed' })
})

test.serial(
  'what went wrong is told once more at the end: a crash outside of a test, and a rejection that is not heard',
  async (t) => {
    const crashed = await run({
      'crashed.js': `
      import test from 'ava'
      test.serial('one', (t) => t.pass())
      test.serial('two', () => new Promise(() => setImmediate(() => { throw new Error('out of any test') })))
      test.serial('three', (t) => t.pass())
    `,
      'unloaded.js': `throw new Error('no service')`,
    })
    const unheard = await run({
      'unheard.js': `
      import test from 'ava'
      test('four', async (t) => {
        void Promise.reject(new Error('not heard'))
        // Node tells of it after this turn: a file that is over by then may not hear it.
        await new Promise((resolve) => setTimeout(resolve, 20))
        t.pass()
      })
    `,
    })
    const again = ({ output }: Run): string => output.split('Once more, what went wrong:')[1] ?? ''

    t.deepEqual([crashed.code, unheard.code], [1, 1])
    for (const told of [
      'Uncaught exception in test/crashed.js',
      'out of any test',
      'Uncaught exception in test/unloaded.js',
      'no service',
    ])
      t.true(again(crashed).includes(told), told)
    for (const told of ['Unhandled rejection in', 'not heard']) t.true(again(unheard).includes(told), unheard.output)
    t.is(crashed.output.split('\n').at(-1), '1 passed, 2 failed')
    t.is(unheard.output.split('\n').at(-1), '1 passed, 1 failed')
  },
)

test.serial(
  'a file that hangs is ended with the servers that it has started, and the end tells which test it was',
  async (t) => {
    const { code, output } = await run(
      {
        'hangs.js': `
        import test from 'ava'
        import { start } from ${JSON.stringify(join(ROOT, 'test/support/service.ts'))}
        const server = start(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'])
        console.error('server ' + server.process.pid)
        test('one', () => new Promise(() => undefined))
      `,
      },
      { timeout: '30s', nodeArguments: [`--import=${join(ROOT, 'test/support/loader.js')}`] },
    )
    const [, again = ''] = output.split('Once more, what went wrong:')
    const pid = Number(/^server (\d+)$/m.exec(output)?.[1])

    t.is(code, 1)
    t.regex(again, /Timed out[^]*hangs\.js[^]*◌ .*one/)
    for (let tries = 0; tries < 200 && isAlive(pid); tries++) await sleep(50)
    t.false(isAlive(pid))
  },
)

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const COOKIE = `'sid=' + 'i'.repeat(32) + '.' + 's'.repeat(43) + '; Path=/'`
const SECRET = `'keys: ' + ${JSON.stringify(KEYS[1]?.slice(0, 9))} + ${JSON.stringify(KEYS[1]?.slice(9))}`

for (const [what, print] of Object.entries({
  'a session cookie to stdout': `console.log(${COOKIE})`,
  'a signing secret to stderr': `console.error(${SECRET})`,
  'a session cookie into the report': `t.log(${COOKIE})`,
})) {
  test.serial(`a run in which a test prints ${what} is a failure`, async (t) => {
    // AVA passes on what a process printed while it runs: of one that ends at once, on a busy machine, it may lose that.
    const run = await tally({
      'leak.js': `
        import { setTimeout as pause } from 'node:timers/promises'
        import test from 'ava'
        test('one', async (t) => { ${print}; await pause(500); t.pass() })
      `,
    })

    t.deepEqual(run, { code: 1, lastLine: '1 passed, 1 failed' })
  })
}
