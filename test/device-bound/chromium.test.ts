// Chromium binds its sessions, with keys in software and over HTTPS: the whole protocol, as browsers speak it today.
import type { IncomingMessage } from 'node:http'
import { createServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import type { BrowserContext, Page } from 'playwright-core'
import { session, type SessionManager, type SessionMiddleware, type SessionOptions } from '../../src/index.ts'
import { KEYS } from '../support/app.ts'
import { boundCookie, startBoundChromium } from '../support/bound-chromium.ts'
import { certificate } from '../support/certificate.ts'
import { Barrier } from '../support/faults.ts'

const MINUTE = 60_000
// Requests that left before the browser had its second cookie, and come to the session after it: fewer than a browser has
// connections to one site, for it registers over another one.
const HELD = 3
const { key, cert } = certificate()
const chromium = await startBoundChromium(cert, true)
test.after.always(() => chromium?.close())
const testInChromium = chromium === undefined ? test.skip : test.serial

interface Things {
  n?: number
}

interface Scene {
  readonly at: string
  readonly middleware: SessionMiddleware<Things>
  readonly page: Page
  readonly context: BrowserContext
  /** The browser's own requests and their answers, such as `register 200`. */
  readonly own: string[]
  /** Moves the clock of the server. */
  later(milliseconds: number): void
  /** Opens a page and returns what it says of the session. */
  go(path: string): Promise<string>
  /** Resolves once the browser has got that answer of its own. */
  got(answer: string): Promise<void>
  /** All cookies of the browser. */
  cookies(): Promise<string>
  /** Sends a request by no browser at all. */
  send(path: string, cookie: string): Promise<string>
}

// Chromium signs a few times for one site: each test has its own.
let sites = 0

async function open(
  t: ExecutionContext,
  options: SessionOptions<Things> = {},
  browser = chromium?.browser,
): Promise<Scene> {
  t.timeout(240_000)
  let skew = 0
  const own: string[] = []
  const waiting: (() => void)[] = []
  const app = new Koa()
  app.keys = [...KEYS]
  app.silent = true
  const held = Array.from({ length: HELD }, () => new Barrier())
  let isBusy = false
  app.use(async (ctx, next) => {
    const name = /^\/\.session\/device\/(\w+)$/.exec(ctx.path)?.[1]
    if (name !== undefined) {
      if (isBusy) await Promise.all(held.map(({ arrived }) => arrived))
      ctx.res.once('finish', () => {
        own.push(`${name} ${ctx.res.statusCode}`)
        for (const look of waiting) look()
        for (const barrier of held) barrier.open()
      })
    }
    if (ctx.path === '/in/busy') isBusy = true
    const barrier = held[Number(ctx.query['held'])]
    if (barrier !== undefined) {
      if (ctx.get('cookie').includes('sid-bound')) ctx.throw(418)
      await barrier.pass()
    }
    if (ctx.path !== '/favicon.ico') await next()
  })
  const middleware = session<Things>({ deviceBound: true, now: () => Date.now() + skew, logger: {}, ...options })
  app.use(middleware)
  app.use(async (ctx) => {
    const manager = ctx.state.session as SessionManager<Things>
    ctx.type = 'html'
    if (ctx.path === '/out') {
      await manager.destroy()
      ctx.body = '<title>out</title>'
      return
    }
    if (ctx.path.startsWith('/in')) await manager.signIn('ada')
    if (ctx.path === '/renew') await manager.regenerate()
    if (ctx.path === '/add') await manager.update((data) => (data.n = (data.n ?? 0) + 1))
    const { origin, owner = 'nobody', isBound, data } = manager
    const busy =
      ctx.path === '/in/busy'
        ? `<script>Promise.all(Array.from({ length: ${HELD} }, async (_, at) => (await fetch('/add?held=' + at)).text()))
           .then((all) => (document.title = all.map((one) => one.includes('resumed ada')).join()))</script>`
        : ''
    ctx.body = `<title>${origin} ${owner} ${isBound ? 'bound' : 'unbound'} ${data.n ?? 0}</title>${busy}`
  })
  const server = createServer({ key, cert }, (request, response) => void app.callback()(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const context = browser?.contexts()[0]
  if (context === undefined) throw new Error('a test that needs Chromium is to be declared with testInChromium')
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const host = `app${sites++}.example`
  const at = `https://${host}:${port}`
  t.teardown(async () => {
    await page.close()
    server.closeAllConnections()
    server.close()
    await middleware.close()
  })
  const told = (answer: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no ${answer}, but ${own.join(', ')}`)), 60_000)
      waiting.push(() => {
        if (!own.includes(answer)) return
        clearTimeout(late)
        resolve()
      })
    })
  return {
    at,
    middleware,
    page,
    context,
    own,
    later: (milliseconds) => (skew += milliseconds),
    async go(path) {
      await page.goto(at + path)
      return page.title()
    },
    async got(answer) {
      if (!own.includes(answer)) await told(answer)
      // The answer has left; now the browser takes the cookie in it.
      if (answer.endsWith(' 200')) await boundCookie(context, host)
    },
    cookies: async () => (await context.cookies(at)).map(({ name, value }) => `${name}=${value}`).join('; '),
    async send(path, cookie) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const request = httpsRequest({ port, path, ca: cert, headers: { host, cookie }, rejectUnauthorized: false })
        request.once('response', resolve).once('error', reject).end()
      })
      let body = ''
      for await (const chunk of response) body += String(chunk)
      return /<title>(.*)<\/title>/.exec(body)?.[1] ?? body
    },
  }
}

/** The browser's second cookie has expired: it holds its next request back and refreshes. */
async function expire({ context, at }: Scene): Promise<void> {
  await context.clearCookies({ name: 'sid-bound', domain: new URL(at).hostname })
}

testInChromium('whoever copies all cookies is out `within` later, and the browser goes on', async (t) => {
  const scene = await open(t)
  t.is(await scene.go('/in'), 'new ada unbound 0')
  await scene.got('register 200')
  t.is(await scene.go('/add'), 'resumed ada bound 1')
  const stolen = await scene.cookies()
  t.regex(stolen, /^sid=[^;]+; sid-bound=[^;]+$/)
  t.is(await scene.send('/', stolen), 'resumed ada bound 1')

  scene.later(10 * MINUTE)
  await expire(scene)

  t.is(await scene.send('/', stolen), 'unbound nobody unbound 0')
  t.is(await scene.go('/add'), 'resumed ada bound 2')
  t.deepEqual(scene.own, ['register 200', 'refresh 403', 'refresh 200'])
  t.is(await scene.send('/', stolen), 'unbound nobody unbound 0')
  t.is(await scene.go('/'), 'resumed ada bound 2')
})

testInChromium('requests that are under way while the browser registers are served', async (t) => {
  const scene = await open(t)

  await scene.go('/in/busy')
  await scene.page.waitForFunction("document.title.includes('true') || document.title.includes('false')")

  t.is(await scene.page.title(), Array(HELD).fill('true').join())
  t.deepEqual(scene.own, ['register 200'])
  t.is(await scene.go('/'), `resumed ada bound ${HELD}`)
})

testInChromium('a new id keeps the binding, another sign-in is bound anew, a sign-out ends it', async (t) => {
  const scene = await open(t)
  await scene.go('/in')
  await scene.got('register 200')
  scene.later(2 * MINUTE)
  t.is(await scene.go('/renew'), 'resumed ada bound 0')
  await expire(scene)
  t.is(await scene.go('/'), 'resumed ada bound 0')
  t.is(scene.own.at(-1), 'refresh 200')

  scene.own.length = 0
  t.is(await scene.go('/in'), 'resumed ada unbound 0')
  await scene.got('register 200')
  scene.later(2 * MINUTE)
  t.is(await scene.go('/'), 'resumed ada bound 0')

  t.is(await scene.go('/out'), 'out')
  t.is(await scene.cookies(), '')
  t.is(await scene.go('/'), 'new nobody unbound 0')
  const count = scene.own.length
  t.is(await scene.go('/'), 'new nobody unbound 0')
  t.is(scene.own.length, count, 'the browser has forgotten its binding')
})

testInChromium('a browser that lost its key reads as a visitor, signs in again, and is bound again', async (t) => {
  const scene = await open(t)
  await scene.go('/in')
  await scene.got('register 200')
  scene.later(11 * MINUTE)
  // The cookies in another profile of Chromium: one that has no key.
  const other = await chromium?.browser.newContext()
  if (other === undefined) return t.fail()
  t.teardown(() => other.close())
  await other.addCookies(await scene.context.cookies(scene.at))
  const page = await other.newPage()
  await page.goto(scene.at + '/')
  t.is(await page.title(), 'unbound nobody unbound 0')

  scene.own.length = 0
  await page.goto(scene.at + '/in')
  await scene.got('register 200')
  await page.goto(scene.at + '/')

  t.is(await page.title(), 'resumed ada bound 0')
  await expire(scene)
  t.is(await scene.go('/'), 'resumed ada bound 0', 'the first browser goes on in its own session')
})

testInChromium('a browser that spent its signatures looks on as a visitor, and its user signs in again', async (t) => {
  const scene = await open(t)
  await scene.go('/in')
  await scene.got('register 200')
  scene.later(2 * MINUTE)
  let title = await scene.go('/')
  // Some six signatures in nine minutes; a Chromium that grants more is bound all the way.
  for (let refreshes = 0; refreshes < 14 && title === 'resumed ada bound 0'; refreshes++) {
    await expire(scene)
    title = await scene.go('/')
  }
  if (title === 'resumed ada bound 0') return t.pass()

  t.is(title, 'unbound nobody unbound 0')
  t.is(await scene.go('/in'), 'unbound ada unbound 0')
  t.is(await scene.go('/add'), 'resumed ada unbound 1')
  scene.later(20 * MINUTE)
  t.regex(await scene.go('/add'), /^resumed ada (?:un)?bound 2$/)
})

testInChromium('cookies that the user deletes leave a visitor, who signs in and is bound again', async (t) => {
  const scene = await open(t)
  await scene.go('/in')
  await scene.got('register 200')
  scene.later(2 * MINUTE)
  await scene.context.clearCookies({ domain: new URL(scene.at).hostname })
  t.is(await scene.go('/'), 'new nobody unbound 0')

  scene.own.length = 0
  t.is(await scene.go('/in'), 'new ada unbound 0')
  await scene.got('register 200')
  scene.later(2 * MINUTE)
  t.is(await scene.go('/add'), 'resumed ada bound 1')
})

testInChromium('an outage ends nothing in the browser', async (t) => {
  const { MemoryStore } = await import('../../src/index.ts')
  const { FaultyStore } = await import('../support/faults.ts')
  const store = new FaultyStore(new MemoryStore())
  const scene = await open(t, { store })
  await scene.go('/in')
  await scene.got('register 200')
  scene.later(2 * MINUTE)
  await expire(scene)
  store.break('read')
  await scene.go('/')
  t.is(scene.own.at(-1), 'refresh 503')

  store.heal()

  t.is(await scene.go('/'), 'resumed ada bound 0')
  t.is(scene.own.at(-1), 'refresh 200')
})

for (const [what, cookie] of [
  ['called __Host-', { name: '__Host-sid' }],
  ['that is SameSite=Strict, with a priority', { sameSite: 'strict', priority: 'high' }],
  ['under a path', { path: '/.session' }],
] as const) {
  testInChromium(`the browser takes its instructions for a cookie ${what}`, async (t) => {
    const scene = await open(t, { cookie: cookie as SessionOptions['cookie'] })
    await scene.go('/in')
    await scene.got('register 200')
    if ('path' in cookie) return t.pass()
    t.is(await scene.go('/'), 'resumed ada bound 0')
    scene.later(2 * MINUTE)
    await scene.context.clearCookies({ name: /-bound$/, domain: new URL(scene.at).hostname })
    t.is(await scene.go('/'), 'resumed ada bound 0')
    t.is(await scene.go('/'), 'resumed ada bound 0')
    t.deepEqual(scene.own, ['register 200', 'refresh 403', 'refresh 200'])
  })
}

testInChromium('without the feature nothing changes: no request of the browser, one cookie, no end', async (t) => {
  const plain = await startBoundChromium(cert, false)
  t.teardown(() => plain?.close())
  const scene = await open(t, {}, plain?.browser)
  t.is(await scene.go('/in'), 'new ada unbound 0')
  t.is(await scene.go('/add'), 'resumed ada unbound 1')
  scene.later(60 * MINUTE)

  t.is(await scene.go('/add'), 'resumed ada unbound 2')

  t.deepEqual(scene.own, [])
  t.regex(await scene.cookies(), /^sid=[^;]+$/)
  t.is(await scene.go('/out'), 'out')
  t.is(await scene.cookies(), '')
})
