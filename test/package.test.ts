// The package as a user gets it: what npm packs, what its entry points give, what compiles against it.
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import ts from 'typescript'
import { consumer, ROOT } from './support/consumer.ts'

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
const project = await consumer(['@types/koa', '@types/node', 'keygrip', 'koa'])
const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
const names = entries.map((entry) => join('koa-fastsession', entry))

test('every target of the exports map is packed', (t) => {
  const targets = Object.values(manifest.exports).flatMap((target) => (typeof target === 'string' ? target : Object.values(target)))

  t.deepEqual(
    targets.filter((target) => !project.packed.includes(target.slice('./'.length))),
    [],
  )
})

test('the tarball holds the build, its source, the licence, the README and the changelog, and nothing else', (t) => {
  const folders = new Set(project.packed.map((path) => path.split('/')[0]))

  t.deepEqual([...folders].sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json', 'src'])
  t.deepEqual(
    project.packed.filter((path) => /tsconfig|\.test\./.test(path)),
    [],
  )
})

test('every source map in the tarball leads to a source in the tarball', (t) => {
  const built = project.packed.filter((path) => path.endsWith('.js'))

  t.true(built.length > 0)
  t.deepEqual(
    built.filter((path) => !project.packed.includes(path.replace('dist/', 'src/').replace(/\.js$/, '.ts'))),
    [],
  )
})

test('the only dependency is keygrip', (t) => {
  t.deepEqual(Object.keys(manifest.dependencies), ['keygrip'])
})

test('the core and what it depends on are less than 150 kB of JavaScript, comments aside', (t) => {
  const modules = join(project.folder, 'node_modules')
  const seen = new Set<string>()
  const visit = (file: string): number => {
    if (seen.has(file)) return 0
    seen.add(file)
    const source = readFileSync(file, 'utf8')
    const { outputText } = ts.transpileModule(source, { compilerOptions: { removeComments: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } })
    const imports = [...source.matchAll(/^(?:import|export) [^'"]*['"](\.[^'"]+)['"]/gm)].map(([, path = '']) => join(dirname(file), path))
    return imports.reduce((sum, path) => sum + visit(path), Buffer.byteLength(outputText))
  }

  const size = visit(join(modules, 'koa-fastsession/dist/index.js')) + statSync(join(modules, 'keygrip/index.js')).size

  t.log(`${Math.round(size / 1000)} kB in ${seen.size} files`)
  t.true(seen.size > 20)
  t.true(size < 150_000)
})

test('every entry point can be imported and required, without a warning', async (t) => {
  project.write({
    'entries.cjs': `
      const names = ${JSON.stringify(names)}
      const load = async () => {
        for (const name of names) {
          const required = require(name)
          const imported = await import(name)
          const same = Object.keys(imported).every((key) => imported[key] === required[key])
          console.log(name, Object.keys(imported).length > 0 && same)
        }
      }
      void load()
    `,
  })

  const { code, stdout, stderr } = await project.node('entries.cjs')

  t.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  t.deepEqual(
    stdout.trim().split('\n'),
    names.map((name) => `${name} true`),
  )
})

test('import and require share one AsyncLocalStorage', async (t) => {
  project.write({
    'storage.cjs': `
      const { EventEmitter } = require('node:events')
      const required = require('koa-fastsession')
      const storage = () => globalThis[Symbol.for('koa-fastsession.context')]
      const before = storage()
      import('koa-fastsession').then(async (imported) => {
        const middleware = required.session({ keys: ['a secret of some length'] })
        const seen = await middleware.run({ headers: {} }, (session) => imported.currentSession() === session)
        console.log(before !== undefined, storage() === before, seen)
      })
    `,
  })

  const { stdout, stderr } = await project.node('storage.cjs')

  t.is(stdout.trim(), 'true true true', stderr)
})

test('the types compile for a strict consumer, as a module and as CommonJS, with all libraries checked', async (t) => {
  const source = `
    declare module 'koa-fastsession' {
      interface SessionData {
        userId?: string
      }
    }

    class MyStore implements SessionStore {
      create(record: SessionRecord): boolean { return record.version > 0 }
      read(): undefined { return undefined }
      replace(): 'gone' { return 'gone' }
      touch(): boolean { return false }
      delete(): boolean { return false }
    }

    const app = new Koa()
    app.use(session({ keys: ['a secret'], store: new MyStore() }))
    app.use((ctx) => {
      // extending SessionData reaches ctx.state and currentSession alike
      ctx.state.session.data.userId satisfies string | undefined
      currentSession().data.userId satisfies string | undefined
      // @ts-expect-error -- a key has its type
      ctx.state.session.data.userId = 1
    })
    session({ store: new SqliteStore('sessions.db') })
    storeChecks satisfies readonly { title: string }[]
    RedisStore satisfies new (client: { call(command: string, args: string[]): Promise<unknown> }) => SessionStore
    PostgresStore satisfies new (pool: PostgresClient) => SessionStore
  `
  const imports = `
    import { currentSession, session, type SessionRecord, type SessionStore } from 'koa-fastsession'
    import { storeChecks } from 'koa-fastsession/conformance'
    import { PostgresStore, type PostgresClient } from 'koa-fastsession/postgres'
    import { RedisStore } from 'koa-fastsession/redis'
    import { SqliteStore } from 'koa-fastsession/sqlite'
  `
  const compilerOptions = {
    target: 'ES2022',
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  }
  project.write({
    'consumer.mts': `import Koa from 'koa'${imports}${source}`,
    'consumer.cts': `import Koa = require('koa')${imports}${source}`,
    'tsconfig.json': JSON.stringify({ compilerOptions, files: ['consumer.mts', 'consumer.cts'] }),
  })

  const { code, stdout } = await project.tsc()

  t.is(code, 0, stdout)
})
