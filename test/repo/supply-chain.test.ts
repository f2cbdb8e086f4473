// What comes with the package, and what its own source may not do: checks on files, so that no review has to remember them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import type { timingSafeEqual } from 'node:crypto'
import test from 'ava'
import { KEYS } from '../support/app.ts'
import { ROOT } from '../support/consumer.ts'
import { cookieOf, quick } from '../support/quick.ts'

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly peer?: boolean
  readonly devOptional?: boolean
  readonly link?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')
const manifest = JSON.parse(read('package.json')) as Manifest
const lock = JSON.parse(read('package-lock.json')) as {
  readonly lockfileVersion: number
  readonly packages: Readonly<Record<string, Locked>>
}
const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: read(join('src', name)) }))

test('the lockfile has what package.json asks for, each with its hash', (t) => {
  const { '': root, ...others } = lock.packages
  const { dependencies, devDependencies } = manifest

  t.is(lock.lockfileVersion, 3)
  t.deepEqual(root?.dependencies, dependencies)
  t.deepEqual(root?.devDependencies, devDependencies)
  for (const name of Object.keys({ ...dependencies, ...devDependencies }))
    t.true(`node_modules/${name}` in others, name)
  t.deepEqual(
    Object.entries(others)
      .filter(([, { integrity, link }]) => link !== true && integrity?.startsWith('sha512-') !== true)
      .map(([path]) => path),
    [],
  )
})

test('what runs with the package is keygrip and what that needs, and the README names and justifies it', (t) => {
  const closure = new Set<string>()
  const visit = (name: string): void => {
    if (closure.has(name)) return
    closure.add(name)
    for (const needed of Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {})) visit(needed)
  }
  for (const name of Object.keys(manifest.dependencies)) visit(name)
  const section = /^## Dependencies\n(.*?)^## /ms.exec(read('README.md'))?.[1] ?? ''

  t.deepEqual([...closure].sort(), ['keygrip', 'tsscmp'])
  for (const name of closure) t.true(section.includes(name), name)
})

// `prepare` runs where the package is made: for npm pack and npm publish, and where it is installed from a git repository.
test('the package runs nothing when it is installed, and its own installation runs nothing either', (t) => {
  t.deepEqual(
    Object.keys(manifest.scripts).filter((name) =>
      /^(?:pre|post)?(?:install|prepare|uninstall)$|^dependencies$/.test(name),
    ),
    ['prepare'],
  )
  t.is(manifest.scripts['prepare'], manifest.scripts['build'])
  t.regex(read('.npmrc'), /^ignore-scripts=true$/m)
})

test('no comment in the source hides a line from the coverage', (t) => {
  t.true(sources.length > 30)
  t.deepEqual(
    sources
      .filter(({ text }) => /\b(?:c8|v8|istanbul|node:coverage)\s+(?:ignore|disable)/.test(text))
      .map(({ name }) => name),
    [],
  )
})

test('the source makes no code from text, and reads no serialised objects', (t) => {
  const forbidden =
    /\beval\s*\(|new Function\b|\bFunction\s*\(|node:vm|\bv8\b.*deserialize|child_process|setTimeout\(\s*['"`]/

  t.deepEqual(
    sources.filter(({ text }) => forbidden.test(text)).map(({ name }) => name),
    [],
  )
})

test('chance comes from the system: Math.random decides about pauses, sweeps and which node is asked alone', (t) => {
  const lines = sources.flatMap(({ name, text }) =>
    text
      .split('\n')
      .filter((line) => line.includes('Math.random'))
      .map((line) => `${name}: ${line.trim()}`),
  )

  for (const line of lines) t.regex(line, /sleep|pause|interval|nodes/i)
})

test('no signature or digest is compared with an operator', (t) => {
  const compared = /(?:signature|digest|hmac)\)?\s*[!=]==?|[!=]==?\s*(?:\w+\.)?(?:signature|digest|hmac)/i
  const lines = sources.flatMap(({ name, text }) =>
    text
      .split('\n')
      // Whether there is one at all is no secret.
      .filter((line) => compared.test(line.replace(/\w+ === undefined/g, '')))
      .map((line) => `${name}: ${line.trim()}`),
  )

  t.deepEqual(lines, [])
})

test.serial(
  'a forged signature is compared in constant time: whole, once for each key, wherever it is wrong',
  async (t) => {
    const app = quick()
    const cookie = cookieOf(await app.ask(undefined, ({ data }) => (data['n'] = 1)))
    const crypto = createRequire(import.meta.url)('node:crypto') as { timingSafeEqual: typeof timingSafeEqual }
    const original = crypto.timingSafeEqual
    const lengths: number[] = []
    crypto.timingSafeEqual = (a, b) => {
      lengths.push(a.byteLength)
      return original(a, b)
    }
    syncBuiltinESMExports()
    t.teardown(() => {
      crypto.timingSafeEqual = original
      syncBuiltinESMExports()
    })
    const start = cookie.lastIndexOf('.') + 1

    for (const at of [start, start + 20, cookie.length - 1]) {
      lengths.length = 0
      const forged = `${cookie.slice(0, at)}${cookie[at] === 'A' ? 'B' : 'A'}${cookie.slice(at + 1)}`
      t.is((await app.ask(forged, ({ origin }) => origin)).result, 'invalid')
      t.deepEqual(
        lengths,
        KEYS.map(() => 43),
        `byte ${at}`,
      )
    }
    lengths.length = 0
    for (const other of [cookie.slice(0, -1), `${cookie}A`, 'sid=x.y'])
      t.is((await app.ask(other, ({ origin }) => origin)).result, 'invalid')
    t.deepEqual(lengths, [], 'another length is another shape, and compared with nothing')
  },
)
