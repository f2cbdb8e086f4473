// What a page of another site can do to a visitor of ours in Chromium, whose cookie goes along with everything (SameSite=None).
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import type { Page, Response } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { session, type SessionManager, type SessionOptions } from '../../src/index.ts'
import { KEYS } from '../support/app.ts'
import { certificate } from '../support/certificate.ts'
import { startChromiumProfile } from '../support/chromium.ts'

// A profile of its own: what Playwright calls a context sends no cookies to other sites.
const context = await startChromiumProfile()
test.after.always(() => context?.close())
const testInChromium = context === undefined ? test.skip : test.serial
const { key, cert } = certificate()

interface Things {
  n?: number
  user?: string
}

async function listen(
  t: ExecutionContext,
  app: Koa,
  sockets?: WebSocketServer,
): Promise<{ port: number; server: ReturnType<typeof createServer> }> {
  const server = createServer({ key, cert }, (request, response) => void app.callback()(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const client of sockets?.clients ?? []) client.terminate()
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, server }
}

// Cookies know no ports: each scene has a host of its own.
let scenes = 0

interface Scene {
  readonly page: Page
  /** Our own site, in which the visitor has a session, and a page of another one. */
  readonly ours: string
  readonly theirs: string
  /** The requests that reached a handler of ours, and what their session was. */
  readonly served: string[]
}

async function scene(
  t: ExecutionContext,
  options: (theirs: string) => SessionOptions<Things> = () => ({}),
): Promise<Scene> {
  const other = new Koa()
  other.use((ctx) => {
    ctx.type = 'html'
    ctx.body = '<title>theirs</title>'
  })
  const { port: otherPort } = await listen(t, other)
  const theirs = `https://evil.test:${otherPort}`
  const served: string[] = []
  const sessions = session<Things>({ keys: [...KEYS], cookie: { sameSite: 'none' }, logger: {}, ...options(theirs) })
  const app = new Koa()
  app.silent = true
  app.use((ctx, next) => (ctx.path === '/favicon.ico' ? undefined : next()))
  app.use(sessions)
  app.use(async (ctx) => {
    const manager = ctx.state.session as SessionManager<Things>
    served.push(`${ctx.method} ${manager.origin}`)
    const { data } = manager
    if (ctx.path === '/in') data.user = String(ctx.query['user'])
    else if (ctx.path === '/out') await manager.destroy()
    else if (ctx.path !== '/who') data.n = (data.n ?? 0) + 1
    ctx.type = 'html'
    ctx.body = ctx.path === '/who' ? `<title>ours ${data.user ?? 'nobody'}</title>` : '<title>ours</title>'
  })
  const sockets = new WebSocketServer({ noServer: true })
  const { port, server } = await listen(t, app, sockets)
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    sessions
      .run(request, ({ origin }) => {
        served.push(`WebSocket ${origin}`)
        sockets.handleUpgrade(request, socket, head, (client) => client.send('welcome'))
      })
      .catch(() => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'))
  })
  if (context === undefined) throw new Error('a test that needs Chromium is to be declared with testInChromium')
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  t.teardown(() => page.close())
  const ours = `https://shop${scenes++}.test:${port}`
  await page.goto(ours)
  served.length = 0
  return { page, ours, theirs, served }
}

/** Sends a form to our site from the page that is open, and returns the status of what comes then. */
async function submit(page: Page, target: string, method: string, enctype: string): Promise<number> {
  // Text, for it runs in the page; later, for the answer to this call must come before the page goes.
  const submission = `setTimeout(() => {
    const form = document.createElement('form')
    Object.assign(form, { action: ${JSON.stringify(target)}, method: ${JSON.stringify(method)}, enctype: ${JSON.stringify(enctype)} })
    form.innerHTML = '<input name="amount" value="1000">'
    document.body.append(form)
    form.submit()
  })`
  const isAnswer = (response: Response): boolean => response.request().isNavigationRequest()
  const [answer] = await Promise.all([
    page.waitForResponse(isAnswer),
    page.waitForEvent('load'),
    page.evaluate(submission),
  ])
  return answer.status()
}

async function fetched(page: Page, target: string, init: object): Promise<void> {
  await page.evaluate(
    `fetch(${JSON.stringify(target)}, { credentials: 'include', mode: 'no-cors', ...${JSON.stringify(init)} }).catch(() => undefined)`,
  )
}

function socket(page: Page, target: string): Promise<string> {
  return page.evaluate(`new Promise((resolve) => {
    const socket = new WebSocket(${JSON.stringify(target.replace('https', 'wss'))})
    socket.onmessage = ({ data }) => resolve(data)
    socket.onerror = () => resolve('refused')
  })`)
}

const ENCODINGS = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain']

testInChromium('neither forms, fetch, beacons nor WebSockets of another site reach a handler', async (t) => {
  const { page, ours, theirs, served } = await scene(t)

  for (const enctype of ENCODINGS) {
    await page.goto(theirs)
    t.is(await submit(page, ours, 'post', enctype), 403, enctype)
  }
  await page.goto(theirs)
  await fetched(page, ours, { method: 'POST', body: 'amount=1000' })
  await page.evaluate(`navigator.sendBeacon(${JSON.stringify(ours)}, 'amount=1000')`)
  t.is(await socket(page, ours), 'refused')
  await fetched(page, ours, { method: 'GET' })

  t.deepEqual(served, ['GET resumed'])
})

testInChromium('a page of our own does all of that, and so does a link of another site', async (t) => {
  const { page, ours, theirs, served } = await scene(t)

  for (const enctype of ENCODINGS) t.is(await submit(page, ours, 'post', enctype), 200, enctype)
  await fetched(page, ours, { method: 'POST' })
  t.is(await socket(page, ours), 'welcome')
  await page.goto(theirs)
  t.is(await submit(page, ours, 'get', ''), 200)

  t.deepEqual(served, [...Array<string>(4).fill('POST resumed'), 'WebSocket resumed', 'GET resumed'])
})

testInChromium('a site that is trusted does it too', async (t) => {
  const { page, ours, theirs, served } = await scene(t, (origin) => ({ crossSite: { trust: [origin] } }))
  await page.goto(theirs)

  await fetched(page, ours, { method: 'POST' })
  t.is(await socket(page, ours), 'welcome')
  t.is(await submit(page, ours, 'post', 'multipart/form-data'), 200)

  t.deepEqual(served, ['POST resumed', 'WebSocket resumed', 'POST resumed'])
})

testInChromium('with clearSiteData the end of a session takes the storage of its pages along', async (t) => {
  for (const [clearSiteData, left] of [
    [['storage'], null],
    [undefined, 'secret'],
  ] as const) {
    const { page, ours } = await scene(t, () => (clearSiteData === undefined ? {} : { clearSiteData }))
    await page.evaluate("localStorage.setItem('draft', 'secret')")
    await page.goto(`${ours}/out`)
    await page.goto(ours)
    t.is(await page.evaluate("localStorage.getItem('draft')"), left)
  }
})

// ---- what crossSite does not cover

for (const [how, options, statuses, left] of [
  ['by data alone, which the middleware cannot see, is served', {}, 200, 'eve'],
  ['by data that the owner option reads is refused', { owner: ({ user }: Things) => user }, 403, undefined],
] as const) {
  testInChromium(`a login that another site sends to an app whose users are signed in ${how}`, async (t) => {
    const { page, ours, theirs } = await scene(t, () => options)
    // A visitor without a session: there is none that could be misused, and the attacker's own is put in its place.
    await page.goto(`${ours}/out`)
    await page.goto(theirs)

    t.is(await submit(page, `${ours}/in?user=eve`, 'post', 'application/x-www-form-urlencoded'), statuses)

    await page.goto(`${ours}/who`)
    t.is(await page.title(), `ours ${left ?? 'nobody'}`)
  })
}

testInChromium(
  "a form of another site, which comes without our cookie, begins a session in the place of the user's",
  async (t) => {
    const { page, ours, theirs, served } = await scene(t, () => ({ cookie: { sameSite: 'lax' } }))
    await page.goto(`${ours}/in?user=ada`)
    await page.goto(theirs)

    t.is(await submit(page, ours, 'post', 'text/plain'), 200)

    await page.goto(`${ours}/who`)
    t.is(await page.title(), 'ours nobody')
    t.deepEqual(served.slice(-2), ['POST new', 'GET resumed'])
  },
)
