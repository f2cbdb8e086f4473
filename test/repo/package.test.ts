// The package as a user gets it: what npm packs, what its entry points give, what compiles against it.
import { readFileSync, statSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import { join } from 'node:path'
import test from 'ava'
import { consumer, ROOT } from '../support/consumer.ts'

interface Manifest {
  readonly main: string
  readonly types: string
  readonly typesVersions: Readonly<Record<'*', Readonly<Record<string, readonly string[]>>>>
  readonly exports: Readonly<
    Record<string, string | Readonly<Record<string, Readonly<Record<'types' | 'default', string>>>>>
  >
  readonly dependencies: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
const project = await consumer(['@types/koa', '@types/node', 'keygrip', 'koa'])
const CLIENTS = [
  '@electric-sql/pglite',
  '@types/koa',
  '@types/node',
  '@types/pg',
  '@valkey/valkey-glide',
  'ioredis',
  'iovalkey',
  'koa',
  'libsql',
  'mysql2',
  'pg',
  'postgres',
  'redis',
]
const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
const names = entries.map((entry) => join('koa-fastsession', entry))

test('every target of the exports map is packed', (t) => {
  const targets = [
    manifest.main,
    manifest.types,
    ...Object.values(manifest.typesVersions['*']).flat(),
    ...Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? target : Object.values(target).flatMap((files) => Object.values(files)),
    ),
  ]

  t.deepEqual(
    targets.filter((target) => !project.packed.includes(target.slice('./'.length))),
    [],
  )
})

test('the tarball holds the build, its source, the licence, the README, the changelog, the security page and the documentation, and nothing else', (t) => {
  const folders = new Set(project.packed.map((path) => path.split('/')[0]))

  t.deepEqual([...folders].sort(), [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'dist',
    'docs',
    'package.json',
    'src',
  ])
  t.deepEqual(
    project.packed.filter((path) => /tsconfig|\.test\.|\.stamp/.test(path)),
    [],
  )
})

test('every source map in the tarball leads to a source in the tarball', (t) => {
  const built = project.packed.filter((path) => path.endsWith('.js'))

  t.true(built.length > 0)
  t.deepEqual(
    built.filter((path) => !project.packed.includes(path.replace(/^dist\/(?:cjs\/)?/, 'src/').replace(/\.js$/, '.ts'))),
    [],
  )
})

test('the only dependency is keygrip, which has one of its own', (t) => {
  const all = new Set<string>()
  const visit = (name: string): void => {
    if (all.has(name)) return
    all.add(name)
    const { dependencies = {} } = JSON.parse(
      readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
    ) as Partial<Manifest>
    Object.keys(dependencies).forEach(visit)
  }
  Object.keys(manifest.dependencies).forEach(visit)

  t.deepEqual(Object.keys(manifest.dependencies), ['keygrip'])
  t.deepEqual([...all], ['keygrip', 'tsscmp'])
})

/** The files that a program loads with the first one, packages that are dependencies included. */
function loadedBy(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  const resolved = createRequire(file)
  const source = readFileSync(file, 'utf8')
  // The build has no comments, so that every match is an import; tsscmp and keygrip are CommonJS.
  for (const [, name = ''] of source.matchAll(/(?:\bfrom |\bimport |\brequire\()["']([^"'\n]+)["']/g)) {
    if (!isBuiltin(name) && !name.startsWith('node:')) loadedBy(resolved.resolve(name), seen)
  }
  return seen
}

const sizeOf = (files: ReadonlySet<string>): number => [...files].reduce((sum, file) => sum + statSync(file).size, 0)

test('the core and what it depends on are less than 305 kB of readable JavaScript as installed', (t) => {
  const dist = join(project.folder, 'node_modules/koa-fastsession/dist')
  const core = loadedBy(join(dist, 'index.js'))
  for (const entry of names) {
    const files = loadedBy(createRequire(join(dist, 'index.js')).resolve(entry))
    t.log(`${entry}: ${Math.round(sizeOf(files) / 1000)} kB in ${files.size} files`)
  }
  const built = new Set(
    project.packed
      .filter((path) => path.endsWith('.js'))
      .map((path) => join(project.folder, 'node_modules/koa-fastsession', path)),
  )
  t.log(`all that is installed: ${Math.round(sizeOf(built) / 1000)} kB in ${built.size} files`)

  t.true([...core].some((file) => file.endsWith('keygrip/index.js')))
  t.true([...core].some((file) => file.endsWith('tsscmp/lib/index.js')))
  t.true(core.size > 30)
  t.true(sizeOf(core) < 305_000, `${sizeOf(core)} bytes`)
})

test('the JavaScript has no comments but the map of its source, the declarations have every one', (t) => {
  const read = (path: string): string =>
    readFileSync(join(project.folder, 'node_modules/koa-fastsession', path), 'utf8')

  t.regex(read('dist/index.js'), /^\/\/# sourceMappingURL=index\.js\.map$/m)
  for (const path of ['dist/session/manager.js', 'dist/sessions.js']) t.notRegex(read(path), /\/\*/)
  t.regex(read('dist/cjs/session/manager.d.ts'), /\/\*\*[^/]*@throws/)
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

// Where `require` knows no module-sync (bundlers, other loaders), a program may have the package twice.
test('a copy by import and one by require serve one another', async (t) => {
  project.write({
    'copies.cjs': `
      const cjs = (name) => require('./node_modules/koa-fastsession/dist/cjs/' + name + '.js')
      void (async () => {
        const esm = await import('koa-fastsession')
        const { session, SessionError, currentSession } = cjs('index')
        const { sessionCookie, sessionOf } = await import('koa-fastsession/testing')
        const keys = ['a secret of some length']
        const results = { two: session !== esm.session }

        const middleware = session({ keys, store: new esm.MemoryStore() })
        const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
        results.testing = (await sessionOf(middleware, cookie)).owner === 'ada'
        results.context = await middleware.run({ headers: { cookie } }, (mine) => esm.currentSession() === mine && mine.data.n === 1)

        await middleware.close()
        const error = await middleware.run({ headers: { cookie } }, () => {}).catch((error) => error)
        results.error = error instanceof esm.SessionError && error instanceof SessionError && !(error instanceof TypeError)
        results.other = !(new Error() instanceof SessionError) && !({ name: 'SessionError' } instanceof SessionError)

        const { DatabaseSync } = process.getBuiltinModule('node:sqlite') ?? {}
        if (DatabaseSync) {
          const database = new DatabaseSync(':memory:')
          const { SqliteStore } = cjs('stores/sqlite')
          const app = esm.session({ keys, store: new SqliteStore(database) })
          const damaged = await sessionCookie(app, { n: 1 })
          const [{ name }] = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()
          database.exec('UPDATE ' + name + " SET version = 'x'")
          results.corrupt = await app.run({ headers: { cookie: damaged } }, ({ origin }) => origin === 'expired')
        }
        console.log(JSON.stringify(results))
      })()
    `,
  })

  const { stdout, stderr } = await project.node('--disable-warning=ExperimentalWarning', 'copies.cjs')

  t.is(stderr, '')
  const results = JSON.parse(stdout) as Record<string, boolean>
  t.deepEqual(
    Object.entries(results).filter(([, holds]) => !holds),
    [],
  )
  t.true(Object.keys(results).length >= 5)
})

test('Jest runs a CommonJS app and its tests with no configuration', async (t) => {
  project.write({
    'package.json': '{}',
    'app.test.js': `
      const http = require('node:http')
      const Koa = require('koa')
      const { session, currentSession, SessionError } = require('koa-fastsession')
      const { withSession } = require('koa-fastsession/testing')
      ${names
        .map((name) => `test('${name}', () => expect(Object.keys(require('${name}')).length).toBeGreaterThan(0))`)
        .join('\n')}

      test('a session goes on', async () => {
        const app = new Koa()
        app.use(session({ keys: ['a secret of some length'] }))
        app.use((ctx) => {
          const { data } = currentSession()
          ctx.body = String((data.views = (data.views ?? 0) + 1))
        })
        const server = app.listen(0, '127.0.0.1')
        await new Promise((resolve) => server.once('listening', resolve))
        const ask = (cookie) =>
          new Promise((resolve, reject) =>
            http
              .get({ port: server.address().port, host: '127.0.0.1', headers: cookie ? { cookie } : {}, agent: false }, async (response) => {
                let text = ''
                for await (const chunk of response) text += chunk
                resolve({ text, cookie: response.headers['set-cookie']?.[0].split(';')[0] })
              })
              .once('error', reject),
          )
        const { text, cookie } = await ask()
        expect(text).toBe('1')
        expect((await ask(cookie)).text).toBe('2')
        await new Promise((resolve) => server.close(resolve))
      })

      test('helpers', async () => {
        expect(await withSession({ n: 1 }, () => currentSession().data.n)).toBe(1)
        expect(() => currentSession()).toThrow(SessionError)
      })
    `,
  })

  const jest = join(ROOT, 'node_modules/jest/bin/jest.js')
  const { code, stderr } = await project.node(jest, '--ci', '--rootDir', project.folder, '--cacheDirectory', '.jest')

  t.is(code, 0, stderr)
  t.regex(stderr, new RegExp(`Tests: +${names.length + 2} passed`))
})

const CONSUMER = `
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

  const options: SessionOptions<SessionData> = { keys: ['a secret'], store: new MyStore(), maxAge: '30d', rolling: true }
  const sessions = session(options)
  const app = new Koa()
  app.use(sessions)
  app.use(async (ctx) => {
    // extending SessionData reaches ctx.state and currentSession alike
    ctx.state.session.data.userId satisfies string | undefined
    currentSession().data.userId satisfies string | undefined
    tryCurrentSession()?.publicId satisfies string | undefined
    // @ts-expect-error -- a key has its type
    ctx.state.session.data.userId = 1
    // @ts-expect-error -- an optional key is not an undefined one
    ctx.state.session.data.userId = undefined
    ;(await currentSession().update((data) => data.userId ?? 'nobody')) satisfies string
    await ctx.state.session.signIn('u1', { keep: ['userId'] })
    // @ts-expect-error -- no such key
    await ctx.state.session.regenerate({ keep: ['nobody'] })
  })
  const switched = (error: unknown): SessionErrorCode | undefined => (error instanceof SessionError ? error.code : undefined)
  const listed: Promise<SessionInfo[]> = sessions.list('u1')
  session({ store: new SqliteStore('sessions.db') })
  session<{ n: number }>({ store: new MemoryStore({ maxSessions: 5 }), owner: (data) => String(data.n) })
  storeChecks satisfies readonly { title: string }[]
  RedisStore satisfies new (client: { call(command: string, args: string[]): Promise<unknown> }) => SessionStore
  PostgresStore satisfies new (pool: PostgresClient) => SessionStore
  app.use(takeOver({ from: fromKoaSession({ keys: ['an old secret'] }), until: Date.parse('2027-01-01'), goOn: () => undefined }))
  fromExpressSession satisfies (...options: never[]) => unknown
  MysqlStore satisfies new (pool: MysqlClient) => SessionStore
  const express: ExpressStore = { get: (_, found) => found(), set: (_, __, done) => done(), destroy: (_, done) => done() }
  const adapted: SessionStore[] = [fromExpressStore(express), fromKeyv(new Map<string, string>()), fromKoaStore({ get() {}, set() {}, destroy() {} })]
  const cookie: Promise<string> = sessionCookie(sessions, { userId: 'u1' }, { owner: 'u1' })
  const result: Promise<number> = withSession({ n: 1 }, (manager) => manager.data.n)
  const bound: (n: number) => string = bindSession((n: number) => String(n))
  const moved: (from: SessionStore, to: SessionStore) => Promise<number> = moveSessions
  MysqlStore satisfies new (...args: never[]) => SessionStore
  // another data beside the extended one
  session<{ other: Date }>() satisfies Koa.Middleware
  app.use(session<{ other: Date }, 'other'>({ stateKey: 'other', cookie: { name: 'other' } })).use((ctx) => {
    ctx.state.other.data.other satisfies Date
    // @ts-expect-error -- its data is not the extended one
    ctx.state.other.data.userId satisfies unknown
    currentSession<{ other: Date }>('other').data.other satisfies Date
  })
  export const used: readonly unknown[] = [switched, listed, adapted, cookie, result, bound, moved]
`
const IMPORTS = `
  import {
    bindSession, currentSession, MemoryStore, session, SessionError, tryCurrentSession,
    type SessionData, type SessionErrorCode, type SessionInfo, type SessionOptions, type SessionRecord, type SessionStore,
  } from 'koa-fastsession'
  import { fromExpressStore, fromKeyv, fromKoaStore, type ExpressStore } from 'koa-fastsession/adapters'
  import { storeChecks } from 'koa-fastsession/conformance'
  import { fromExpressSession, fromKoaSession, moveSessions, takeOver } from 'koa-fastsession/migrate'
  import { MysqlStore, type MysqlClient } from 'koa-fastsession/mysql'
  import { PostgresStore, type PostgresClient } from 'koa-fastsession/postgres'
  import { RedisStore } from 'koa-fastsession/redis'
  import { SqliteStore } from 'koa-fastsession/sqlite'
  import { sessionCookie, withSession } from 'koa-fastsession/testing'
`
const STRICT = {
  target: 'ES2022',
  lib: ['ES2023'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  noEmit: true,
}
// What people have in their tsconfig.json. TypeScript 7 has no node10 any more, TypeScript 6 warns of it.
const SETTINGS = [
  { title: 'nodenext', module: 'NodeNext', files: ['consumer.mts', 'consumer.cts'] },
  { title: 'node16', module: 'Node16', files: ['consumer.mts', 'consumer.cts'] },
  { title: 'bundler', module: 'ESNext', moduleResolution: 'Bundler', files: ['consumer.mts'] },
  {
    title: 'commonjs',
    module: 'CommonJS',
    moduleResolution: 'Node10',
    esModuleInterop: false,
    files: ['consumer.ts'],
    compilers: ['typescript5', 'typescript'],
  },
  {
    title: 'commonjs of a bundler',
    module: 'CommonJS',
    moduleResolution: 'Bundler',
    files: ['consumer.ts'],
    compilers: ['typescript', 'typescript7'],
  },
]

project.write({
  'consumer.mts': `import Koa from 'koa'${IMPORTS}${CONSUMER}`,
  'consumer.cts': `import Koa = require('koa')${IMPORTS}${CONSUMER}`,
  'consumer.ts': `import Koa = require('koa')${IMPORTS}${CONSUMER}`,
})
for (const compiler of ['typescript5', 'typescript', 'typescript7'] as const) {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules', compiler, 'package.json'), 'utf8')) as {
    version: string
  }
  for (const { title, files, compilers, ...settings } of SETTINGS) {
    if (compilers?.includes(compiler) === false) continue
    test.serial(
      `with TypeScript ${version} all entry points compile for a strict consumer, all libraries checked: ${title}, ${files.join(' and ')}`,
      async (t) => {
        t.timeout(120_000)
        const name = `tsconfig.${compiler}.${title.replaceAll(' ', '-')}.json`
        const verbatimModuleSyntax = files.every((file) => file.endsWith('.mts'))
        const ignoreDeprecations = compiler === 'typescript' ? '6.0' : undefined
        project.write({
          [name]: JSON.stringify({
            compilerOptions: { ...STRICT, ...settings, verbatimModuleSyntax, ignoreDeprecations },
            files,
          }),
        })

        const { code, stdout } = await project.tsc(compiler, '-p', name)

        t.is(code, 0, stdout)
      },
    )
  }
}

// The types of other packages are taken as they are, whatever those say of one another.
test('the clients that the pages name, postgres.js behind the wrapper of the reference, are taken without a cast', async (t) => {
  t.timeout(240_000)
  const clients = await consumer(CLIENTS)
  clients.write({
    'clients.mts': `
      import { PGlite } from '@electric-sql/pglite'
      import { GlideClient } from '@valkey/valkey-glide'
      import { Cluster, Redis } from 'ioredis'
      import Valkey from 'iovalkey'
      import Database from 'libsql' // its types are those of better-sqlite3
      import mysql from 'mysql2/promise'
      import pg from 'pg'
      import postgres from 'postgres'
      import { createClient, createCluster } from 'redis'
      import type { SessionStore } from 'koa-fastsession'
      import { MysqlStore } from 'koa-fastsession/mysql'
      import { PostgresStore, type PostgresClient } from 'koa-fastsession/postgres'
      import { RedisStore } from 'koa-fastsession/redis'
      import { SqliteStore } from 'koa-fastsession/sqlite'

      const client = createClient({ disableOfflineQueue: true })
      const sql = postgres('postgres://127.0.0.1')
      const wrapped: PostgresClient = {
        query: async ({ text, values }) => ({ rows: await sql.unsafe(text, values) }),
      }
      export const stores: SessionStore[] = [
        new RedisStore(client, { subscriber: client.duplicate() }),
        new RedisStore(createCluster({ rootNodes: [] })),
        new RedisStore(new Redis(), { subscriber: new Redis() }),
        new RedisStore(new Cluster([])),
        new RedisStore(new Valkey.Redis()),
        new RedisStore(await GlideClient.createClient({ addresses: [] })),
        new PostgresStore(new pg.Pool(), { subscriber: () => new pg.Client() }),
        new PostgresStore(new pg.Client()),
        new PostgresStore(new PGlite()),
        new PostgresStore(wrapped),
        new MysqlStore(mysql.createPool('mysql://127.0.0.1')),
        new MysqlStore(await mysql.createConnection('mysql://127.0.0.1')),
        new MysqlStore(mysql.createPoolCluster()),
        new SqliteStore(new Database('sessions.db')),
      ]
    `,
    'tsconfig.json': JSON.stringify({
      compilerOptions: { ...STRICT, module: 'NodeNext', skipLibCheck: true },
      files: ['clients.mts'],
    }),
  })

  for (const compiler of ['typescript5', 'typescript', 'typescript7'] as const) {
    const { code, stdout } = await clients.tsc(compiler)
    t.is(code, 0, `${compiler}: ${stdout}`)
  }
})
