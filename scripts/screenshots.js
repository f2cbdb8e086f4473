// npm run demo:screenshots: opens the demo in Chromium, plays a short story and draws the pictures of the README anew.
import { subscribe } from 'node:diagnostics_channel'
import { mkdirSync, statSync } from 'node:fs'
import { createServer } from 'node:https'
import { fileURLToPath } from 'node:url'
import { MemoryStore } from 'koa-fastsession'
import { openDemo } from '../example/demo/app.ts'
import { MemoryShelf, Users } from '../example/demo/users.ts'
import { startBoundChromium } from '../test/support/bound-chromium.ts'
import { certificate } from '../test/support/certificate.ts'
import { startChromium } from '../test/support/chromium.ts'

const FOLDER = fileURLToPath(new URL('../example/demo/screenshots/', import.meta.url))
const LARGEST = 200_000
const PASSWORD = 'a long and quiet password'
const WIDE = { viewport: { width: 1200, height: 900 } }
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }
const AGENTS = {
  laptop: 'Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0',
  phone:
    'Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1',
  desk: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0',
}

// A morning in the past, so that every drawing shows the same instants.
let printed
const printing = new Promise((resolve) => (printed = resolve))
let now = Date.UTC(2026, 0, 12, 8, 40)
const demo = openDemo({
  store: new MemoryStore(),
  users: new Users(new MemoryShelf()),
  keys: ['a secret for pictures alone'],
  now: () => now,
  deviceBound: true,
  print: () => printing,
})
await new Promise((resolve) => demo.server.listen(0, '127.0.0.1', resolve))
const url = `http://localhost:${demo.server.address().port}`
const chromium = await startChromium()
const { key, cert } = certificate()
const bound = await startBoundChromium(cert, true)
if (chromium === undefined || bound === undefined) process.exit(1)
const front = createServer({ key, cert }, (request, response) => {
  request.headers['x-forwarded-proto'] = 'https'
  demo.server.emit('request', request, response)
})

try {
  mkdirSync(FOLDER, { recursive: true })
  const pass = (minutes) => (now += minutes * 60_000)
  const visitor = async (userAgent, screen = WIDE) =>
    (await chromium.newContext({ baseURL: url, userAgent, ...screen })).newPage()
  const signIn = async (page, path = '/sign-in') => {
    await page.goto(path)
    await page.getByLabel('E-mail').fill('ada@example.org')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('main').getByRole('button').click()
    await page.waitForURL((to) => !to.pathname.startsWith('/sign-in'))
  }
  const draw = async (page, name, options = {}) => {
    const path = `${FOLDER}${name}.png`
    await page.evaluate('document.activeElement.blur()')
    await page.screenshot({ path, animations: 'disabled', ...options })
    const { size } = statSync(path)
    console.log(`${name}.png  ${Math.round(size / 1000)} kB`)
    if (size > LARGEST) throw new Error(`${name}.png has ${size} bytes: at most ${LARGEST}`)
  }

  const desk = await visitor(AGENTS.desk)
  await desk.goto('/sign-up')
  await desk.getByLabel('Name').fill('Ada')
  await desk.getByLabel('E-mail').fill('ada@example.org')
  await desk.getByLabel('New password').fill(PASSWORD)
  await desk.getByRole('main').getByRole('button').click()
  await desk.waitForURL(`${url}/`)

  pass(48)
  const phone = await visitor(AGENTS.phone, { ...PHONE, colorScheme: 'dark' })
  await signIn(phone)

  pass(25)
  const laptop = await visitor(AGENTS.laptop)
  await laptop.goto('/devices')
  await laptop.getByLabel('E-mail').fill('ada@example.org')
  await laptop.getByLabel('Remember me').check()
  await draw(laptop, 'sign-in')
  await laptop.getByLabel('Password').fill(PASSWORD)
  await laptop.getByRole('button', { name: 'Sign in' }).click()
  await laptop.waitForURL(`${url}/devices`)
  await laptop.goto('/')
  await draw(laptop, 'shop')

  // Two tabs of one browser, at once.
  const tab = await laptop.context().newPage()
  await Promise.all([laptop.goto('/'), tab.goto('/')])
  // Not for its message: a session has one set of messages, and either tab may be the one to show it.
  const add = (page, name) =>
    Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: `Add one ${name}` }).click()])
  await Promise.all([add(laptop, 'Notebook'), add(tab, 'Ink')])
  await add(tab, 'Ink')
  await tab.goto('/cart')
  await tab.getByLabel('What it says').fill('For Mary, who asked first')
  const request = tab.waitForRequest((one) => one.url().endsWith('/cart/card'))
  await tab.getByRole('button', { name: 'Print it' }).click({ noWaitAfter: true })
  await request
  // The printer works on, and the other tab fills the cart: a merge, as the panel says.
  await laptop.waitForTimeout(300)
  await add(laptop, 'Pencil')
  printed()
  await tab.getByText('The gift card is printed.', { exact: true }).waitFor()
  await draw(tab, 'cart', { fullPage: true })

  pass(7)
  await laptop.goto('/devices')
  await draw(laptop, 'devices')

  await laptop.goto('/admin')
  await draw(laptop, 'admin')

  await laptop.goto('/live')
  await laptop.getByText('connected', { exact: true }).waitFor()
  await draw(laptop, 'live')

  await phone.goto('/')
  await add(phone, 'Scissors')
  await draw(phone, 'phone-shop-dark')
  await phone.goto('/devices')
  await draw(phone, 'phone-dark')

  // A session that its browser bound, which it does over HTTPS alone; and the thief of it, two minutes later.
  demo.app.proxy = true
  await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve))
  const context = bound.browser.contexts()[0]
  const page = await context.newPage()
  await page.setViewportSize(WIDE.viewport)
  await (await context.newCDPSession(page)).send('Emulation.setScrollbarsHidden', { hidden: true })
  const isBound = new Promise((resolve) => subscribe('koa-fastsession:bind', resolve))
  await signIn(page, `https://shop.example:${front.address().port}/sign-in`)
  await isBound
  pass(2)
  await page.goto(new URL('/thief', page.url()).href)
  const press = page.getByRole('main').getByRole('button')
  await Promise.all([page.waitForEvent('load'), press.click()])
  await draw(page, 'thief')
} finally {
  await chromium.close()
  await bound.close()
  front.closeAllConnections()
  front.close()
  await demo.close()
}
