// The cookie in a real browser, which has the last word on attributes: over HTTPS, from other sites, at its end.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import type { BrowserContext, Cookie, Page } from 'playwright-core'
import { session, type SessionManager, type SessionOptions } from '../../src/index.ts'
import { KEYS, serve, served } from '../support/app.ts'
import { certificate } from '../support/certificate.ts'
import { startChromium } from '../support/chromium.ts'

const DAY = 24 * 60 * 60

interface Things {
  n?: number
}

const chromium = await startChromium()
test.after.always(() => chromium?.close())
const testInChromium = chromium === undefined ? test.skip : test.serial

const { key, cert } = certificate()

/** A site with sessions over HTTP and HTTPS; `/` counts, `/out` ends the session, `/in` signs in. */
async function site(
  t: ExecutionContext,
  options: SessionOptions<Things> = {},
): Promise<{ http: number; https: number }> {
  const app = new Koa()
  // The browser asks for it beside the pages, at a moment of its own.
  app.use((ctx, next) => (ctx.path === '/favicon.ico' ? undefined : next()))
  app.use(session<Things>({ keys: [...KEYS], logger: {}, ...options }))
  app.use(async (ctx) => {
    const manager = ctx.state.session as SessionManager<Things>
    const isOut = ctx.path.endsWith('/out')
    if (isOut) await manager.destroy()
    else if (ctx.path === '/in') await manager.signIn('ada')
    ctx.type = 'html'
    ctx.body = isOut ? 'out' : `<title>${manager.origin}</title>${(manager.data.n = (manager.data.n ?? 0) + 1)}`
  })
  const running = await serve(app)
  const secure = createServer({ key, cert }, (request, response) => void app.callback()(request, response))
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    secure.closeAllConnections()
    secure.close()
    await running.close()
  })
  return { http: (running.server.address() as AddressInfo).port, https: (secure.address() as AddressInfo).port }
}

async function browser(t: ExecutionContext): Promise<{ context: BrowserContext; page: Page }> {
  const context = await chromium?.newContext({ ignoreHTTPSErrors: true })
  if (context === undefined) throw new Error('a test that needs Chromium is to be declared with testInChromium')
  context.setDefaultTimeout(20_000)
  t.teardown(() => context.close())
  return { context, page: await context.newPage() }
}

/** What the site saw of the request that led to this page. */
function origin(page: Page): Promise<string> {
  return page.title()
}

// ---- what is stored

testInChromium('a cookie called __Host- is stored over HTTPS, Secure, for that host alone', async (t) => {
  const { https } = await site(t, { cookie: { name: '__Host-sid' } })
  const { context, page } = await browser(t)

  await page.goto(`https://shop.test:${https}/`)

  t.like((await context.cookies())[0], {
    name: '__Host-sid',
    domain: 'shop.test',
    path: '/',
    secure: true,
    httpOnly: true,
    sameSite: 'Lax',
    expires: -1,
  })
  await page.goto(`https://shop.test:${https}/`)
  t.is(await origin(page), 'resumed')
  await page.goto(`https://sub.shop.test:${https}/`)
  t.is(await origin(page), 'new')
})

testInChromium('over plain HTTP the same cookie is refused by the browser', async (t) => {
  const { http } = await site(t, { cookie: { name: '__Host-sid' } })
  const { context, page } = await browser(t)

  await page.goto(`http://shop.test:${http}/`)

  t.deepEqual(await context.cookies(), [])
})

testInChromium('a cookie made over HTTPS is not sent in the clear', async (t) => {
  const { http, https } = await site(t)
  const { page } = await browser(t)
  await page.goto(`https://shop.test:${https}/`)

  await page.goto(`http://shop.test:${http}/`)

  t.is(await origin(page), 'new')
})

testInChromium('a session of 400 days has a cookie of 400 days, which is as long as the browser allows', async (t) => {
  const { http } = await site(t, { maxAge: '400d' })
  const { context, page } = await browser(t)
  const app = new Koa()
  app.use((ctx) => {
    ctx.set('Set-Cookie', `longer=1; Max-Age=${500 * DAY}`)
    ctx.body = 'done'
  })
  const other = await served(t, app)

  await page.goto(`http://localhost:${http}/`)
  await page.goto(other.url)

  const days = (await context.cookies()).map(({ name, expires }) => [
    name,
    Math.round((expires - Date.now() / 1000) / DAY),
  ])
  t.deepEqual(Object.fromEntries(days), { sid: 400, longer: 400 })
})

testInChromium('a cookie that was renewed or got a new id stays one cookie', async (t) => {
  let now = Date.now()
  const { https } = await site(t, {
    maxAge: '30d',
    rolling: true,
    now: () => now,
    cookie: { domain: 'shop.test', partitioned: true, sameSite: 'none' },
  })
  const { context, page } = await browser(t)
  const seen: Cookie[][] = []

  for (const path of ['/', '/in', '/']) {
    await page.goto(`https://www.shop.test:${https}${path}`)
    seen.push(await context.cookies())
    now += 4 * DAY * 1000
  }

  t.deepEqual(
    seen.map(({ length }) => length),
    [1, 1, 1],
  )
  t.is(new Set(seen.flat().map(({ value }) => value)).size, 2)
})

// ---- what is cleared

for (const [what, cookie] of [
  ['with the defaults', {}],
  ['under a path', { path: '/deep' }],
  ['of a domain', { domain: 'shop.test' }],
  ['that is partitioned', { partitioned: true, sameSite: 'none' }],
  ['called __Host-', { name: '__Host-sid' }],
  [
    'with everything',
    { name: '__Secure-sid', domain: 'shop.test', path: '/deep', partitioned: true, sameSite: 'none', priority: 'high' },
  ],
] as const) {
  testInChromium(`destroy() takes a cookie ${what} from the browser`, async (t) => {
    const { https } = await site(t, { cookie })
    const { context, page } = await browser(t)
    const at = `https://www.shop.test:${https}${'path' in cookie ? cookie.path : ''}`
    await page.goto(`${at}/`)
    t.is((await context.cookies()).length, 1)

    await page.goto(`${at}/out`)

    t.deepEqual(await context.cookies(), [])
  })
}

// ---- other sites

/** A page of another site, with a link and two forms that lead to this address. */
async function otherSite(t: ExecutionContext, target: string): Promise<string> {
  const app = new Koa()
  app.use((ctx) => {
    ctx.type = 'html'
    ctx.body = `<a href="${target}">link</a><form action="${target}"><button>get</button></form><form method="post" action="${target}"><button>post</button></form>`
  })
  const running = await served(t, app)
  return running.url
}

const CROSSINGS = [
  // The link and the GET form are navigations that change nothing: Lax lets the cookie go along. A POST may change something.
  { sameSite: 'lax', seen: { link: 'resumed', get: 'resumed', post: 'new' } },
  { sameSite: 'strict', seen: { link: 'new', get: 'new', post: 'new' } },
] as const

for (const { sameSite, seen } of CROSSINGS) {
  for (const [way, expected] of Object.entries(seen)) {
    testInChromium(`SameSite=${sameSite}: by ${way} from another site a session is ${expected}`, async (t) => {
      const { http } = await site(t, { cookie: { sameSite } })
      const { page } = await browser(t)
      const target = `http://localhost:${http}/`
      await page.goto(target)
      await page.goto(target)
      t.is(await origin(page), 'resumed')
      // 127.0.0.1 and localhost are two sites.
      await page.goto(await otherSite(t, target))

      await Promise.all([page.waitForURL(/^http:\/\/localhost/), page.getByText(way, { exact: true }).click()])

      t.is(await origin(page), expected)
    })
  }
}

testInChromium('SameSite=None over HTTPS goes along with a POST of another site', async (t) => {
  const { https } = await site(t, { cookie: { sameSite: 'none' }, crossSite: 'allow' })
  const { page } = await browser(t)
  const target = `https://shop.test:${https}/`
  await page.goto(target)
  await page.goto(await otherSite(t, target))

  await Promise.all([page.waitForURL(/^https/), page.getByText('post', { exact: true }).click()])

  t.is(await origin(page), 'resumed')
})
