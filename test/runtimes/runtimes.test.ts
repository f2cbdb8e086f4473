// Bun and Deno run what Node runs: the first example over HTTP, and every promise of the stores that they can hold.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { ROOT } from '../support/consumer.ts'
import { freePort, missing, printed, program, start, temporaryFolder } from '../support/service.ts'

interface Runtime {
  readonly name: string
  readonly path: string
  /** Before the file. */
  readonly args: readonly string[]
}

// Their packages find the binary in an install script, and ours run none: it lies in the package of the platform.
function binary(owner: string, packages: readonly string[], file: string): string | undefined {
  const resolve = createRequire(join(ROOT, 'node_modules', owner, 'package.json'))
  for (const name of packages) {
    try {
      return join(dirname(resolve.resolve(`${name}/package.json`)), file)
    } catch {
      // another platform's
    }
  }
  return program([owner])
}

const { platform, arch } = process
const bun = binary('bun', [`@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : arch}`], 'bin/bun')
const deno = binary('deno', [`@deno/${platform}-${arch}-glibc`, `@deno/${platform}-${arch}`], 'deno')
const runtimes: Runtime[] = []
if (bun === undefined) missing('Bun', 'npm ci, on a platform that it has a package for')
else runtimes.push({ name: 'Bun', path: bun, args: [] })
if (deno === undefined) missing('Deno', 'npm ci, on a platform that it has a package for')
else runtimes.push({ name: 'Deno', path: deno, args: ['run', '-A', '--no-check'] })

for (const { name, path, args } of runtimes) {
  test(`${name} serves the first example: a counter for each browser, with a signed cookie`, async (t) => {
    const port = await freePort()
    const running = start('env', [`PORT=${port}`, path, ...args, 'example/01-counter.ts'], { cwd: ROOT })
    t.teardown(() => running.stop())
    const ask = async (cookie?: string): Promise<Response> => {
      for (const end = Date.now() + 120_000; ;) {
        try {
          return await fetch(`http://127.0.0.1:${port}/session_test`, {
            headers: cookie === undefined ? {} : { cookie },
          })
        } catch (error) {
          if (Date.now() > end || running.process.exitCode !== null) throw new Error(running.output(), { cause: error })
          await sleep(50)
        }
      }
    }

    const first = await ask()
    const cookie = /^sid=[\w-]+\.[\w-]+(?=; Path=\/; HttpOnly; SameSite=Lax$)/.exec(
      first.headers.get('set-cookie') ?? '',
    )?.[0]

    t.deepEqual(await first.json(), { test_counter: 1 })
    t.not(cookie, undefined)
    t.deepEqual(await (await ask(cookie)).json(), { test_counter: 2 })
    t.deepEqual(await (await ask()).json(), { test_counter: 1 }, 'another browser')
    t.deepEqual(await (await ask(`${cookie}x`)).json(), { test_counter: 1 }, 'a forged cookie')
    t.deepEqual(await (await ask(cookie)).json(), { test_counter: 3 })
    await t.notThrowsAsync(printed(running, new RegExp(`http://localhost:${port}`)))
  })

  for (const store of ['memory', 'sqlite']) {
    test(`${name} holds each promise of a store: ${store === 'memory' ? 'MemoryStore' : 'SqliteStore over node:sqlite'}`, async (t) => {
      const running = start(path, [...args, 'test/runtimes/kit.ts', store, join(temporaryFolder(), 'sessions.db')], {
        cwd: ROOT,
      })
      t.teardown(() => running.stop())
      t.timeout(120_000)

      const code = await new Promise((resolve) => running.process.once('close', resolve))

      t.is(code, 0, running.output())
      t.regex(running.output(), /^\d{2,} held, 0 did not$/m)
    })
  }
}
