// The code of README.md and docs/ holds: it compiles in a strict project, and what can run runs and does what is said of it.
import { createHmac } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import Keygrip from 'keygrip'
import Koa from 'koa'
import type Router from 'koa-router'
import {
  MemoryStore,
  session,
  type EventMessage,
  type SessionMiddleware,
  type SessionRecord,
  type SessionStore,
} from 'koa-fastsession'
import { storeChecks } from 'koa-fastsession/conformance'
import { WebSocket } from 'ws'
import { Browser, KEYS, served } from '../support/app.ts'
import { consumer } from '../support/consumer.ts'
import { redisMakes, startRedis } from '../support/redis.ts'
import { freePort, listening, printed, start, type Running } from '../support/service.ts'
import { blocks, snippets, textOf } from '../support/readme.ts'

// What the snippets say is the reader's own.
const YOURS = {
  'users.ts': `
    import type { Context } from 'koa'
    export async function findUser(ctx: Pick<Context, 'query'>): Promise<{ id: string; name: string } | undefined> {
      return ctx.query['password'] === 'right' ? { id: 'u1', name: 'Ada' } : undefined
    }
  `,
  'my-store.ts': `
    import { MemoryStore, type SessionStore } from 'koa-fastsession'
    export const openDatabase = (): MemoryStore => new MemoryStore()
    // A store of its own over the same data: each verb is the database's.
    export const MyStore = function (database: MemoryStore) {
      return new Proxy(database, {
        get(target, name) {
          const verb: unknown = Reflect.get(target, name)
          return typeof verb === 'function' ? (verb.bind(target) as unknown) : verb
        },
      })
    } as unknown as new (database: MemoryStore) => SessionStore
  `,
  'old-store.ts': `export const oldStore = { get: async (key: string) => (key === 'k1' ? { user: 'u1' } : null), set: async () => undefined }`,
  'old-express-store.ts': `
    import type { OldExpressStore } from 'koa-fastsession/migrate'
    export const oldExpressStore: OldExpressStore = {
      get: (sid, callback) => void callback(null, sid === 'k1' ? { cookie: {}, userId: 'u1' } : null),
      set: (_sid, _session, callback) => void callback?.(),
      destroy: (_sid, callback) => void callback?.(),
    }
  `,
}

// The settings that docs/typescript.md shows compile all of it; those that a stricter project has are added.
const SHOWN = JSON.parse(blocks.find(({ language }) => language === 'json')?.text ?? '') as { compilerOptions: object }

const project = await consumer([
  '@types/koa',
  '@types/koa-router',
  '@types/node',
  '@types/pg',
  'keygrip',
  'koa',
  'koa-router',
  'pg',
  'redis',
  '@types/ws',
  'ws',
  'mysql2',
  'zod',
  'koa-bodyparser',
  'koa-csrf',
  'koa-passport',
  'passport-local',
])
project.write({
  ...YOURS,
  ...Object.fromEntries(snippets.map(({ name, text }, at) => [name ?? `snippet-${at}.ts`, text])),
  'app.mjs': textOf('app.mjs'),
  'shop.mjs': textOf('shop.mjs'),
  'passport-app.mjs': textOf('passport-app.mjs'),
  'passport-csrf.mjs': textOf('passport-app.mjs')
    .replace('import passport from', "import CSRF from 'koa-csrf'\nimport passport from")
    .replace('// app.use(new CSRF())', 'app.use(new CSRF())'),
  'package.json': JSON.stringify({ type: 'module' }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      ...SHOWN.compilerOptions,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
    },
    include: ['*.ts'],
  }),
})
const compiled = await project.tsc()

/** What a snippet exports, compiled, beside the package that npm packed. */
async function imported<Exports>(name: string): Promise<Exports> {
  // The test says what the snippet exports.
  return (await import(pathToFileURL(join(project.folder, name.replace(/\.ts$/, '.js'))).href)) as Exports
}

test('every block of TypeScript compiles in a strict project', (t) => {
  t.true(snippets.length > 30)
  t.is(compiled.code, 0, compiled.stdout)
})

test('the file to paste answers as the transcript shows', async (t) => {
  const port = await freePort()
  project.write({ 'app.mjs': textOf('app.mjs').replace('3000', String(port)) })
  const transcript = blocks.find(({ language }) => language === 'console')?.text ?? ''
  const [, ...exchanges] = transcript.split(/^\$ curl .*\n/m)
  const app = start(process.execPath, ['app.mjs'], { cwd: project.folder })
  t.teardown(() => app.stop())
  await listening(port, app)
  const browser = new Browser(`http://127.0.0.1:${port}`)

  for (const exchange of exchanges) {
    const { status, headers, setCookie, body } = await browser.get('/')
    const [head = '', shown = ''] = exchange.split('\n\n')
    const [statusLine = '', ...lines] = head.split('\n')

    t.true(statusLine.includes(` ${status} `))
    for (const line of lines) {
      const name = line.slice(0, line.indexOf(':'))
      const sent =
        name === 'Set-Cookie' ? setCookie[0]?.replace(/=[\w-]+\.[\w-]+/, '=<id>.<signature>') : headers.get(name)
      t.is(`${name}: ${sent ?? 'nothing'}`, line)
    }
    t.is(setCookie.length, lines.filter((line) => line.startsWith('Set-Cookie')).length)
    t.is(body, shown)
  }
  t.is(exchanges.length, 2)
})

test('the snippets for far away lose nothing when requests overlap', async (t) => {
  const { addToCart } = await imported<{ addToCart: (item: string) => Promise<void> }>('cart.ts')
  const { countVisit } = await imported<{ countVisit: () => Promise<number> }>('visits.ts')
  const app = new Koa()
  app.use(session<{ cart?: string[]; visits?: number }>()).use(async (ctx) => {
    if (ctx.path === '/add') await addToCart('book')
    if (ctx.path === '/visit') await countVisit()
    ctx.body = { ...ctx.state.session.data }
  })
  const server = await served(t, app)
  const browser = server.browser()
  await browser.get('/add')

  await Promise.all(Array.from({ length: 5 }, async () => Promise.all([browser.get('/add'), browser.get('/visit')])))

  t.deepEqual(JSON.parse((await browser.get('/')).body), { cart: Array.from({ length: 6 }, () => 'book'), visits: 5 })
})

test('the snippet for signing in and out does so', async (t) => {
  const { router } = await imported<{ router: Router }>('account.ts')
  const app = new Koa()
  app.use(session()).use(router.routes())
  const server = await served(t, app)
  const browser = server.browser()
  const post = { method: 'POST' }

  t.is((await browser.get('/login?password=wrong', post)).status, 401)
  t.is((await browser.get('/account')).status, 401)
  t.is((await browser.get('/login?password=right', post)).status, 302)
  t.deepEqual(JSON.parse((await browser.get('/account')).body), { owner: 'u1', notices: ['Welcome, Ada'] })
  t.deepEqual(JSON.parse((await browser.get('/account')).body), { owner: 'u1', notices: [] })
  const old = await browser.cookie()
  t.is((await browser.get('/logout', post)).status, 302)
  t.is(await browser.cookie(), '')
  t.is((await browser.send('/account', old)).status, 401)
})

test('the snippet for remembering a user gives them a cookie of thirty days, and others one that ends with the browser', async (t) => {
  const { signInFor } = await imported<{ signInFor: (user: string, isRemembered: boolean) => Promise<void> }>(
    'remember.ts',
  )
  const app = new Koa().use(session()).use(async (ctx) => {
    await signInFor('u1', ctx.path === '/remember')
    ctx.status = 204
  })
  const server = await served(t, app)

  t.regex((await server.browser().get('/remember')).setCookie[0] ?? '', /Max-Age=259(2000|1999);/)
  t.notRegex((await server.browser().get('/')).setCookie[0] ?? '', /Max-Age/)
})

test('the snippet for renewing does so in the second half of a remembered session, and for no other', async (t) => {
  const { renewRemembered } = await imported<{ renewRemembered: Koa.Middleware }>('renew.ts')
  const day = 86_400_000
  let shift = -20 * day // the snippet asks Date.now(): the middleware begins in the past
  const app = new Koa().use(session({ now: () => Date.now() + shift, idleTimeout: '40d', absoluteTimeout: false }))
  app.use(renewRemembered).use(async (ctx) => {
    if (ctx.path !== '/') await ctx.state.session.signIn('u1')
    if (ctx.path === '/remember') ctx.state.session.maxAge = '30d'
    ctx.body = String(ctx.state.session.owner)
  })
  const server = await served(t, app)
  const [remembered, other] = [server.browser(), server.browser()]
  await remembered.get('/remember')
  await other.get('/login')

  shift = 0
  const renewed = await remembered.get('/')
  t.regex(renewed.setCookie[0] ?? '', /Max-Age=259(2000|1999);/)
  t.is(renewed.body, 'u1')
  t.deepEqual((await remembered.get('/')).setCookie, [], 'the first half has just begun again')
  const kept = await other.get('/')
  t.deepEqual([kept.body, kept.setCookie], ['u1', []])
})

test('the snippet for devices lists and ends sessions', async (t) => {
  interface Devices {
    readonly sessions: Koa.Middleware
    readonly devices: (owner: string) => Promise<string[]>
    readonly endOne: (owner: string, publicId: string) => Promise<boolean>
    readonly logOutEverywhereElse: (owner: string, here: string) => Promise<number>
  }
  const { sessions, devices, endOne, logOutEverywhereElse } = await imported<Devices>('devices.ts')
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/login') await ctx.state.session.signIn('u1')
    ctx.body = ctx.state.session.publicId
  })
  const server = await served(t, app)
  const [first, second, third] = await Promise.all(
    [1, 2, 3].map(async () => (await server.browser().get('/login')).body),
  )
  if (first === undefined || second === undefined || third === undefined) throw new Error('three browsers signed in')

  t.is((await devices('u1')).length, 3)
  t.regex((await devices('u1')).join(), new RegExp(`${first}, last seen \\d{4}-`))
  t.false(await endOne('somebody else', second))
  t.true(await endOne('u1', second))
  t.is(await logOutEverywhereElse('u1', first), 1)
  t.is((await devices('u1')).length, 1)
})

test('the snippet for devices keeps ten sessions of an owner: an eleventh sign-in ends the one that was used longest ago', async (t) => {
  const { sessions } = await imported<{ sessions: SessionMiddleware }>('devices.ts')
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/login') await ctx.state.session.signIn('u2')
    ctx.body = `${ctx.state.session.owner ?? 'nobody'} ${String(ctx.state.session.device?.['userAgent'])}`
  })
  const server = await served(t, app)
  const browsers = Array.from({ length: 11 }, () => server.browser())
  for (const [index, browser] of browsers.entries()) {
    await browser.get('/login', { headers: { 'user-agent': `browser ${index}` } })
    // Sessions of one millisecond are told apart by their keys alone.
    for (const now = Date.now(); Date.now() === now;) await nextTurn()
  }

  const { countSessions } = await imported<{
    countSessions: (sessions: SessionMiddleware) => Promise<{ owned: number }>
  }>('admin.ts')

  t.is((await sessions.list('u2')).length, 10)
  t.true((await countSessions(sessions)).owned >= 10)
  t.is((await browsers[0]?.get('/'))?.body, 'nobody undefined')
  t.is((await browsers[1]?.get('/'))?.body, 'u2 browser 1')
})

test('the snippet for routers reads the session of its request', async (t) => {
  const { router } = await imported<{ router: Router }>('router.ts')
  const app = new Koa()
  app.use(session()).use(router.routes())
  const server = await served(t, app)

  t.is((await server.browser().get('/hello')).body, 'Hello stranger')
})

test('the snippet for packages of koa-session shows them ctx.session, and tells the owner', async (t) => {
  const { sessions } = await imported<{ sessions: SessionMiddleware }>('passport.ts')
  const app = new Koa().use(sessions).use((ctx) => {
    // Where koa-passport puts it.
    ;(ctx as unknown as { session: object }).session = { passport: { user: 'u1' } }
    ctx.body = 'signed in'
  })
  const server = await served(t, app)
  await server.browser().get('/')

  t.is((await sessions.list('u1')).length, 1)
})

test('the snippet for encryption puts nothing readable into the store', async (t) => {
  const records: SessionRecord[] = []
  class Watched extends MemoryStore {
    override create(record: SessionRecord, now: number): boolean {
      records.push(record)
      return super.create(record, now)
    }
  }
  process.env['SESSION_ENCRYPTION_KEYS'] = 'the newest secret,the one before it'
  t.teardown(() => delete process.env['SESSION_ENCRYPTION_KEYS'])
  const { encrypted } = await imported<{ encrypted: (store: SessionStore) => SessionMiddleware<{ note?: string }> }>(
    'encrypted.ts',
  )
  const app = new Koa().use(encrypted(new Watched())).use((ctx) => {
    ctx.state.session.data = { note: 'buy milk' }
    ctx.body = 'noted'
  })
  const server = await served(t, app)
  await server.browser().get('/')

  t.is(records.length, 1)
  t.false(Buffer.from(records[0]?.payload ?? '').includes('milk'))
})

test('the snippet for watching counts a forged cookie with its reason', async (t) => {
  const { watch } = await imported<{ watch: (count: (event: string, why: string) => void) => void }>('watch.ts')
  const { sessions } = await imported<{ sessions: SessionMiddleware }>('devices.ts')
  const counted: string[][] = []
  watch((event, why) => void counted.push([event, why]))
  const server = await served(t, new Koa().use(sessions))
  await server.browser().send('/', `sid=${'a'.repeat(32)}.${'b'.repeat(43)}`)

  t.true(counted.some(([event, why]) => event === 'reject' && why === 'signature'))
})

test('the snippet for WebSockets serves the socket of a signed-in page, and no other', async (t) => {
  const { live } = await imported<{ live: (server: Server, sessions: Koa.Middleware) => void }>('live.ts')
  const sessions = session<{ cart?: string[] }>({ keys: [...KEYS] })
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/login') await ctx.state.session.signIn('u1')
    ctx.body = ctx.path === '/login' ? ctx.state.session.publicId : ctx.state.session.data
  })
  const server = await served(t, app)
  live(server.server, sessions)
  const browser = server.browser()
  const dial = (cookie: string, origin: string): WebSocket => {
    const socket = new WebSocket(server.url.replace('http', 'ws'), { headers: { cookie, origin } })
    socket.on('error', () => undefined) // what waits for it hears of it as well
    t.teardown(() => socket.terminate())
    return socket
  }
  await t.throwsAsync(once(dial('', server.url), 'open'))
  const { body: publicId } = await browser.get('/login')
  const cookie = await browser.cookie()
  await t.throwsAsync(once(dial(cookie, 'http://evil.example'), 'open'))
  const socket = dial(cookie, server.url)
  await once(socket, 'open')
  const stored = new Promise<void>((resolve) => {
    const listen = (message: unknown): void => {
      if ((message as EventMessage).publicId === publicId) resolve()
    }
    subscribe('koa-fastsession:commit', listen)
    t.teardown(() => void unsubscribe('koa-fastsession:commit', listen))
  })
  socket.send('book')
  await stored

  t.is((await browser.get('/')).body, '{"cart":["book"]}')

  // Whoever breaks the protocol loses the socket, and ends nothing else: an error that is not heard would end this process.
  const rude = dial(cookie, server.url)
  await once(rude, 'open')
  const raw = (rude as unknown as { _socket: Socket })._socket // ws has no public way to send what is no frame
  raw.write(Buffer.from([0x8f, 0x80, 0, 0, 0, 0]))
  await once(rude, 'close')
  t.is((await browser.get('/')).status, 200)
})

test('the snippet for those who come from koa-session takes its session over until its last day', async (t) => {
  process.env['OLD_SESSIONS_UNTIL'] = new Date(Date.now() + 86_400_000).toISOString()
  const { app } = await imported<{ app: Koa }>('take-over-koa-session.ts')
  app.use((ctx) => void (ctx.body = ctx.state.session.owner))
  const server = await served(t, app)
  const signature = new Keygrip(['the secret that koa-session signed with']).sign('koa.sess=k1')

  t.is((await server.browser().send('/', `koa.sess=k1; koa.sess.sig=${signature}`)).body, 'u1')
})

test('the snippet for those who come from express-session takes its session over', async (t) => {
  const { app } = await imported<{ app: Koa }>('take-over-express-session.ts')
  app.use((ctx) => void (ctx.body = ctx.state.session.owner))
  const server = await served(t, app)
  const secret = 'the secret that express-session signed with'
  const signature = createHmac('sha256', secret).update('k1').digest('base64').replace(/=+$/, '')

  t.is((await server.browser().send('/', `connect.sid=${encodeURIComponent(`s:k1.${signature}`)}`)).body, 'u1')
})

test('the snippets for lifetimes, rights and errors do what is said of them', async (t) => {
  const { askForPassword } = await imported<{ askForPassword: Koa.Middleware }>('sensitive.ts')
  const { signInFor } = await imported<{ signInFor: (user: string, isRemembered: boolean) => Promise<void> }>(
    'remember.ts',
  )
  const { promote } = await imported<{
    promote: (sessions: SessionMiddleware<{ role?: string }>, owner: string) => Promise<number>
  }>('promote.ts')
  const { answerGone } = await imported<{ answerGone: Koa.Middleware }>('answer-gone.ts')
  const { resolvers } = await imported<{
    resolvers: { Query: { me: () => string | null }; Mutation: { logout: () => Promise<boolean> } }
  }>('resolvers.ts')
  const sessions = session<{ role?: string }>({ keys: [...KEYS] })
  const app = new Koa().use(answerGone).use(sessions)
  app.use(async (ctx, next) => {
    if (ctx.path === '/login') await signInFor('u1', true)
    if (ctx.path === '/logout') await resolvers.Mutation.logout()
    else if (ctx.path === '/late') {
      await sessions.destroyAll('u1')
      ctx.state.session.data.role = 'too late'
    }
    ctx.body = { me: ctx.path === '/logout' ? null : resolvers.Query.me(), path: ctx.path }
    await next()
  })
  app.use(async (ctx, next) => {
    if (ctx.path === '/sensitive') await askForPassword(ctx, next)
  })
  const server = await served(t, app)
  const browser = server.browser()

  t.is((await browser.get('/sensitive')).status, 302)
  t.regex((await browser.get('/login')).setCookie[0] ?? '', /Max-Age=259(?:2000|1999);/)
  t.deepEqual(JSON.parse((await browser.get('/sensitive')).body), { me: 'u1', path: '/sensitive' })
  t.is(await promote(sessions, 'u1'), 1)
  t.is((await sessions.list('u1'))[0]?.data?.role, 'editor')
  t.like(await browser.get('/late'), { status: 409, body: 'You were signed out meanwhile' })
  await browser.get('/login')
  await browser.get('/logout')
  t.is(await browser.cookie(), '')
})

test('the snippet for other sites trusts the one that it lists, and no other', async (t) => {
  const { sessions } = await imported<{ sessions: SessionMiddleware }>('trust.ts')
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/login') await ctx.state.session.signIn('u1')
    ctx.body = ctx.state.session.owner
  })
  app.proxy = true
  const server = await served(t, app)
  const https = { 'x-forwarded-proto': 'https' }
  const { setCookie } = await server.browser().get('/login', { headers: https })
  const [cookie = ''] = (setCookie[0] ?? '').split(';')
  const post = async (origin: string): Promise<number> =>
    (await server.browser().send('/', cookie, { method: 'POST', headers: { ...https, origin } })).status

  t.is(await post('https://pay.example'), 200)
  t.is(await post('https://evil.example'), 403)
})

test('the snippet for server-sent events ends its stream when the session ends elsewhere', async (t) => {
  const { liveEvents } = await imported<{ liveEvents: Koa.Middleware }>('sse.ts')
  const sessions = session({ keys: [...KEYS] })
  const app = new Koa().use(sessions).use(async (ctx, next) => {
    if (ctx.path !== '/login') {
      await liveEvents(ctx, next)
      return
    }
    await ctx.state.session.signIn('u1')
    ctx.body = ''
  })
  const server = await served(t, app)
  const browser = server.browser()
  t.is((await browser.get('/live')).status, 401)
  await browser.get('/login')
  const response = await fetch(`${server.url}/live`, { headers: { cookie: await browser.cookie() } })
  const parts = (response.body ?? new ReadableStream()).getReader()

  t.regex(new TextDecoder().decode((await parts.read()).value as Uint8Array), /^retry: 3000/)
  t.is(await sessions.destroyAll('u1'), 1)
  t.true((await parts.read()).done)
})

test('the snippet for long answers passes them on, and counts them after the commit', async (t) => {
  const { answer, modelUrl } = await imported<{ answer: Koa.Middleware; modelUrl: { href: string } }>('answer.ts')
  const model = await served(
    t,
    new Koa().use((ctx) => void (ctx.body = 'an answer')),
  )
  modelUrl.href = model.url
  const app = new Koa().use(session<{ visits?: number }>()).use(async (ctx, next) => {
    if (ctx.path === '/begin') ctx.state.session.data.visits = 1
    if (ctx.path === '/answer') await answer(ctx, next)
    else ctx.body = ctx.state.session.data
  })
  const server = await served(t, app)
  const browser = server.browser()
  await browser.get('/begin')

  t.is((await browser.get('/answer')).body, 'an answer')
  t.is((await browser.get('/')).body, '{"visits":2}')
})

test('the snippet for spans times the calls of a store that gives promises', async (t) => {
  const { timeStoreCalls } = await imported<{
    timeStoreCalls: (report: (operation: string, milliseconds: number) => void) => void
  }>('spans.ts')
  const { over } = await imported<{ over: (store: object) => SessionMiddleware }>('adapted.ts')
  const timed: string[] = []
  timeStoreCalls((operation, milliseconds) => {
    if (milliseconds >= 0) timed.push(operation)
  })
  const held = new Map<string, unknown>()
  const sessions = over({
    get: (sid: string, callback: (error: unknown, session: unknown) => void) =>
      setImmediate(callback, null, held.get(sid)),
    set: (sid: string, value: unknown, callback: (error: unknown) => void) => {
      held.set(sid, value)
      setImmediate(callback, null)
    },
    destroy: (sid: string, callback: (error: unknown) => void) => {
      held.delete(sid)
      setImmediate(callback, null)
    },
  })
  const app = new Koa().use(sessions).use(async (ctx) => {
    await ctx.state.session.save()
    ctx.body = ''
  })
  const server = await served(t, app)
  await server.browser().get('/')

  t.true(timed.includes('create'), timed.join())
})

test('the snippet for handlers that answer by themselves sends the cookie and stores data', async (t) => {
  const { pages } = await imported<{
    pages: (handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>) => Koa.Middleware
  }>('next.ts')
  const app = new Koa().use(session<{ views?: number }>()).use(async (ctx, next) => {
    ctx.state.session.data.views = (ctx.state.session.data.views ?? 0) + 1
    await next()
  })
  app.use(pages((_req, res) => new Promise((resolve) => res.end('a page', () => resolve()))))
  const server = await served(t, app)
  const browser = server.browser()

  t.is((await browser.get('/')).body, 'a page')
  t.like(await browser.get('/'), { body: 'a page', setCookie: { length: 0 } })
})

test('the store of the page on custom stores keeps every promise that it makes', async (t) => {
  const { MapStore } = await imported<{ MapStore: new () => SessionStore }>('map-store.ts')

  for (const { title, run } of storeChecks) await t.notThrowsAsync(run(new MapStore()), title)
})

test('the recipe for production refuses to start without a secret', async (t) => {
  const { code, stderr } = await project.node(
    '--input-type=module',
    '-e',
    `import { serve } from './production.js'; serve(undefined, 0)`,
  )

  t.is(code, 1)
  t.regex(stderr, /ERR_INVALID_ARG/)
  t.regex(stderr, /options\.keys/)
})

for (const make of redisMakes()) {
  test(`the guide leads from nothing to a signed-in user, over ${make.name}, and through a restart`, async (t) => {
    const redis = await startRedis(make)
    t.teardown(() => redis.running.stop())
    const port = await freePort()
    const env = { ...process.env, REDIS_URL: `redis://127.0.0.1:${redis.port}`, PORT: `${port}` }
    const open = async (): Promise<Running> => {
      const app = start(process.execPath, ['shop.mjs'], { cwd: project.folder, env })
      t.teardown(() => app.stop())
      await listening(port, app)
      return app
    }
    const app = await open()
    const browser = new Browser(`http://127.0.0.1:${port}`)
    await printed(app, new RegExp(`^http://localhost:${port}$`, 'm'))
    // What the page's comments promise of its curl lines.
    const transcript =
      blocks.find(({ page, text }) => page === 'docs/guide.md' && text.includes('curl -b jar'))?.text ?? ''
    const lines = [
      ...transcript.matchAll(/^curl -b jar -c jar (-X POST )?http:\/\/localhost:3000(\S+)(?: +# (.*))?$/gm),
    ]

    t.is(lines.length, 7)
    for (const [index, [, post, path = '', shown]] of lines.entries()) {
      const { body } = await browser.get(path, {
        method: post === undefined ? 'GET' : 'POST',
        headers: { 'user-agent': 'curl/8.5.0' },
      })
      if (shown !== undefined) t.is(body.trim(), shown)
      if (index !== 2) continue
      await app.stop()
      await open()
    }
  })

  test(`the recipe for production holds behind a TLS proxy, over ${make.name}, and ends in order`, async (t) => {
    const redis = await startRedis(make)
    t.teardown(() => redis.running.stop())
    const port = await freePort()
    project.write({
      'try-production.js': `
        import { createClient } from 'redis'
        import { RedisStore } from 'koa-fastsession/redis'
        import { serve } from './production.js'

        process.env.SESSION_KEYS = 'the newest secret of this test,an older secret of this test'
        process.env.SESSION_ENCRYPTION_KEYS = 'an encryption secret of this test'
        const client = createClient({ url: 'redis://127.0.0.1:${redis.port}' })
        await client.connect()
        serve(new RedisStore(client), ${port}, async (ctx) => {
          await ctx.state.session.signIn('ada')
          ctx.state.session.data.password = 'hunter2'
        })
        const response = await fetch('http://127.0.0.1:${port}/', { headers: { 'x-forwarded-proto': 'https' } })
        process.once('SIGTERM', () => setTimeout(() => client.close(), 100))
        const values = await Promise.all((await client.keys('session:*')).map((key) => client.type(key).then((type) => type === 'string' ? client.get(key) : '')))
        console.log(response.headers.getSetCookie().join().replace(/=[^;]*/, '=<value>'))
        console.log(values.length > 0, values.join().includes('hunter2'))
        process.kill(process.pid, 'SIGTERM')
      `,
    })

    const { code, stdout, stderr } = await project.node('try-production.js')

    t.is(stderr, '')
    t.deepEqual(stdout.trim().split('\n'), ['__Host-sid=<value>; Path=/; HttpOnly; SameSite=Lax; Secure', 'true false'])
    t.is(code, 0)
  })
}

for (const name of ['cart.test.js', 'account.test.js', 'my-store.test.js']) {
  test(`the tests of ${name} pass under Node's own runner`, async (t) => {
    const { code, stdout } = await project.node('--test-reporter=tap', name)

    t.is(code, 0, stdout)
    t.regex(stdout, /^# pass [1-9]/m)
    t.regex(stdout, /^# fail 0$/m)
  })
}

test('the account page in TypeScript shows the user of passport and the cart, and refuses a visitor', async (t) => {
  const { router } = await imported<{ router: Router }>('passport-account.ts')
  const app = new Koa().use(session<{ cart?: string[] }>()).use((ctx, next) => {
    // Where koa-passport puts the user.
    if (ctx.query['user'] === 'ada') Object.assign(ctx.state, { user: { id: 'ada' } })
    ctx.state.session.data.cart = ['book']
    return next()
  })
  app.use(router.routes())
  const server = await served(t, app)

  t.is((await server.browser().get('/account')).status, 401)
  t.deepEqual(JSON.parse((await server.browser().get('/account?user=ada')).body), { user: 'ada', cart: ['book'] })
})

test('the app with passport keeps the cart, sets authenticatedAt, and a planted id is dead after the login', async (t) => {
  const { app, sessions } = await imported<{ app: Koa; sessions: SessionMiddleware }>('passport-app.mjs')
  const server = await served(t, app)
  const browser = server.browser()
  const form = (fields: Record<string, string>): RequestInit => ({ method: 'POST', body: new URLSearchParams(fields) })
  const ada = form({ username: 'ada', password: 'right' })
  await browser.get('/cart', form({ item: 'book' }))
  const planted = await browser.cookie()

  t.is((await browser.get('/login', form({ username: 'ada', password: 'wrong' }))).status, 401)
  const elsewhere = await browser.get('/login', { ...ada, headers: { 'sec-fetch-site': 'cross-site' } })
  t.is(elsewhere.status, 403)
  t.is((await browser.get('/login', ada)).status, 302)
  const account = JSON.parse((await browser.get('/account')).body) as { authenticatedAt: number }
  t.like(account, { user: 'ada', cart: ['book'] })
  t.true(Math.abs(Date.now() - account.authenticatedAt) < 60_000)
  t.not(await browser.cookie(), planted)
  t.is((await browser.send('/account', planted)).status, 401)
  t.is((await sessions.list('ada')).length, 1)

  const theirs = await browser.cookie()
  t.is((await browser.get('/logout', { method: 'POST' })).status, 302)
  t.is((await browser.send('/account', theirs)).status, 401)
  t.is((await sessions.list('ada')).length, 0)

  const { app: withTokens } = await imported<{ app: Koa }>('passport-csrf.mjs')
  const guarded = await served(t, withTokens)
  t.is((await guarded.browser().get('/login', ada)).status, 403)
})
