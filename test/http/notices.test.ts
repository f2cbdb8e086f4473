// Safety notices: what a developer should know, once, through process.emitWarning or the logger.
import cluster from 'node:cluster'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test from 'ava'
import Koa from 'koa'
import { MemoryStore, session, type CookieOptions } from '../../src/index.ts'
import { KEYS, served } from '../support/app.ts'
import { ask, mounted, type Handler } from '../support/mounted.ts'
import { settle, warnings, type Warning } from '../support/warnings.ts'

const codes = (seen: readonly Warning[]): (string | undefined)[] => seen.map(({ code }) => code)

test.serial('an insecure cookie behind a proxy that says https is worth a notice, once', async (t) => {
  const seen = warnings(t)
  const app = await mounted(t, {}, { '/': ({ data }) => (data.n = 1) })
  await app.browser().get('/')
  await settle()
  t.deepEqual(seen, [])
  for (let turn = 0; turn < 3; turn++) await app.browser().get('/', { headers: { 'x-forwarded-proto': 'https' } })
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_INSECURE_COOKIE'])
  t.regex(seen[0]?.message ?? '', /set app\.proxy = true if you run behind that proxy$/)
})

test.serial('no notice comes where app.proxy is set, or Secure was decided', async (t) => {
  const seen = warnings(t)
  for (const secure of ['auto', true, false] as const) {
    const app = await mounted(t, { cookie: { secure } }, { '/': ({ data }) => (data.n = 1) })
    app.app.proxy = secure === 'auto'
    await app.browser().get('/', { headers: { 'x-forwarded-proto': 'https' } })
  }
  await settle()

  t.deepEqual(seen, [])
})

test.serial('a secret of under 16 characters is worth a notice that does not show it', async (t) => {
  const seen = warnings(t)
  session({ keys: ['a secret of more than sixteen characters', 'short secret'] })
  session({ keys: [Buffer.alloc(15, 'x')] })
  session({ keys: ['sixteen letters!', Buffer.alloc(16, 'x')] })
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_SHORT_SECRET', 'KOA_FASTSESSION_SHORT_SECRET'])
  t.false(seen.some(({ message }) => message.includes('short secret')))
})

test.serial('a short secret of app.keys is told at the first request', async (t) => {
  const seen = warnings(t)
  const app = await mounted(t, {}, { '/': () => 'done' })
  app.app.keys = ['short secret']
  await app.browser().get('/')
  await app.browser().get('/')
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_SHORT_SECRET'])
})

test.serial('a maxAge whose cookie can no longer be sent is worth a notice, once', async (t) => {
  const seen = warnings(t)
  const late: Handler = (session, ctx) => {
    ctx.res.flushHeaders()
    session.maxAge = '30d'
  }
  const handlers: Record<string, Handler> = {
    '/in-time': (session, ctx) => {
      session.maxAge = '1d'
      session.data.n = 1
      ctx.res.flushHeaders()
    },
    '/none': (session, ctx) => {
      ctx.res.flushHeaders()
      session.maxAge = 0
    },
    // The cookie of the new session left with the headers.
    '/introduced': (session, ctx) => {
      session.data.n = 1
      late(session, ctx)
    },
    '/late': late,
  }
  const told: unknown[] = []
  for (const path of ['/in-time', '/none', '/introduced', '/late', 'run()']) {
    const app = await mounted(t, { keys: [...KEYS] }, { '/set': ({ data }) => (data.n = 1), ...handlers })
    const browser = app.browser()
    if (path === '/late' || path === 'run()') await browser.get('/set')
    for (let turn = 0; turn < 2; turn++) {
      if (path !== 'run()') await browser.get(path)
      else {
        const request = new IncomingMessage(new Socket())
        request.headers = { cookie: await browser.cookie() }
        await app.middleware.run(request, (session) => void (session.maxAge = '30d'))
      }
    }
    await settle()
    told.push([path, ...codes(seen.splice(0))])
  }

  const code = 'KOA_FASTSESSION_LATE_MAX_AGE'
  t.deepEqual(told, [['/in-time'], ['/none'], ['/introduced', code], ['/late', code], ['run()', code]])
})

test.serial('a merged conflict is worth a notice, once', async (t) => {
  const seen = warnings(t)
  const app = await mounted(
    t,
    {},
    {
      '/': async ({ data }, ctx) => {
        data.n = (data.n ?? 0) + 1
        if (ctx.query['nested'] === undefined) await app.browser().send('/?nested', ctx.get('cookie'))
      },
    },
  )
  const browser = app.browser()
  await browser.get('/?nested')
  for (let turn = 0; turn < 3; turn++) await browser.get('/')
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_MERGED_CONFLICT'])
})

test.serial('with a logger notices are its warnings, and the process has none', async (t) => {
  const seen = warnings(t)
  const lines: string[] = []
  session({ keys: ['short secret'], logger: { warn: (line) => void lines.push(line) } })
  await settle()

  t.deepEqual(seen, [])
  t.regex(
    lines[0] ?? '',
    /^koa-fastsession: a secret of keys has fewer than 16 characters.* \(KOA_FASTSESSION_SHORT_SECRET\)$/,
  )
})

test.serial('what a store cannot promise is said once', async (t) => {
  const seen = warnings(t)
  session({ store: Object.assign(new MemoryStore(), { limits: 'this store has no owner index' }) })
  await settle()

  t.deepEqual(
    seen.map(({ code, message }) => [code, message]),
    [['KOA_FASTSESSION_STORE_LIMITS', 'this store has no owner index']],
  )
})

test.serial('a short encryption secret is told as a short signing secret is', async (t) => {
  const seen = warnings(t)
  session({ encryptionKeys: ['short secret'] })
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_SHORT_SECRET'])
  t.regex(seen[0]?.message ?? '', /^a secret of encryptionKeys has fewer than 16 characters/)
})

test.serial('sessions that may be forged, and timeouts that never come, are told', async (t) => {
  const seen = warnings(t)
  session({ encryptionKeys: { keys: ['a secret of more than sixteen characters'], acceptPlain: true } })
  session({ idleTimeout: '2d' })
  session({ idleTimeout: '2d', absoluteTimeout: '3d' })
  session({ idleTimeout: '2d', absoluteTimeout: false })
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_ACCEPT_PLAIN', 'KOA_FASTSESSION_IDLE_ABOVE_ABSOLUTE'])
})

test.serial('the default store in production is told, one that was chosen is not', async (t) => {
  const seen = warnings(t)
  const before = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'production'
  t.teardown(() => (process.env['NODE_ENV'] = before))
  session({ store: new MemoryStore() })
  session()
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_MEMORY_STORE'])
})

test.serial('a memory store in a worker of node:cluster is told, whether chosen or not', async (t) => {
  const seen = warnings(t)
  const { isWorker } = cluster
  Object.assign(cluster, { isWorker: true })
  t.teardown(() => Object.assign(cluster, { isWorker }))
  session({ store: new MemoryStore() })
  session()
  await settle()

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_MEMORY_STORE', 'KOA_FASTSESSION_MEMORY_STORE'])
})

const begin = { '/': ({ data }: { data: { n?: number } }) => (data.n = 1) }
const refused: readonly [string, CookieOptions, Record<string, string>, boolean][] = [
  ['Secure over plain http', { secure: true }, { host: 'app.example' }, true],
  ['Secure because of its name over plain http', { name: '__Host-sid' }, { host: 'app.example' }, true],
  ['Secure on the own machine', { secure: true }, { host: 'localhost:3000' }, false],
  [
    'Secure behind a proxy that says https',
    { secure: true },
    { host: 'app.example', 'x-forwarded-proto': 'https' },
    false,
  ],
  ['Secure to a browser that is on https', { secure: true }, { host: 'app.example', 'sec-fetch-site': 'none' }, false],
  ['a foreign domain', { domain: 'other.example' }, { host: 'app.example' }, true],
  ['a domain that is a part of the name only', { domain: 'pp.example' }, { host: 'app.example' }, true],
  ['the own domain', { domain: '.app.example' }, { host: 'APP.example:80' }, false],
  ['the domain above', { domain: 'example' }, { host: 'app.example' }, false],
  ['a domain behind a proxy', { domain: 'app.example' }, { host: 'inner', 'x-forwarded-host': 'app.example' }, false],
]
for (const [what, cookie, headers, isRefused] of refused)
  test.serial(`a cookie with ${what} is ${isRefused ? '' : 'not '}told as one that no browser keeps`, async (t) => {
    const seen = warnings(t)
    const app = await mounted(t, { cookie }, begin)
    for (let turn = 0; turn < 2; turn++) await ask(app.url, headers)
    await settle()

    t.deepEqual(codes(seen), isRefused ? ['KOA_FASTSESSION_COOKIE_REFUSED'] : [])
  })

for (const how of ['defineProperty', 'assignment'] as const)
  test.serial(`a package that looks for ctx.session and brings its own by ${how} is no news`, async (t) => {
    const seen = warnings(t)
    const app = new Koa()
    app.use(session({ keys: ['a secret of more than sixteen characters'] }))
    app.use(async (ctx, next) => {
      if ('session' in ctx && ctx['session'] !== undefined) return next() as Promise<unknown>
      if (how === 'assignment') ctx['session'] = {}
      else Object.defineProperty(ctx, 'session', { get: () => ({}) })
      await next()
    })
    app.use((ctx) => void (ctx.body = 'done'))
    const running = await served(t, app)
    await running.browser().get('/')
    await settle()
    await settle()

    t.deepEqual(codes(seen), [])
  })

test.serial('two middlewares that bind sessions at one path are worth a notice, once', async (t) => {
  const seen = warnings(t)
  const serveTwo = async (...paths: readonly string[]): Promise<void> => {
    const app = new Koa()
    for (const [at, path] of paths.entries())
      app.use(session({ stateKey: `s${at}`, cookie: { name: `c${at}` }, deviceBound: { path } }))
    app.use((ctx) => void (ctx.body = 'done'))
    const running = await served(t, app)
    for (let turn = 0; turn < 2; turn++) t.is((await running.browser().get('/')).status, 200)
    await settle()
  }
  await serveTwo('/one', '/other')
  t.deepEqual(seen, [])
  await serveTwo('/one', '/other', '/one')

  t.deepEqual(codes(seen), ['KOA_FASTSESSION_DEVICE_BOUND_PATH'])
})
