// The demo plays the thief: what a copy of all cookies opens, where the browser binds its sessions and where it does not.
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { BrowserContext, Page } from 'playwright-core'
import { boundCookie, startBoundChromium } from '../support/bound-chromium.ts'
import { certificate } from '../support/certificate.ts'
import { EMAIL, MINUTE, openShop, PASSWORD, testInChromium, type OpenShop } from '../support/shop.ts'

const { key, cert } = certificate()
const BUTTON = 'Copy my cookies and try them'
const AGAIN = 'Try the copy again'

// Chromium signs a few times for one site: each test has its own.
let sites = 0

interface Member {
  readonly shop: OpenShop
  readonly page: Page
  readonly context: BrowserContext
  readonly host: string
  readonly press: (name: string) => Promise<void>
  /** What the thief got, and what is said of it. */
  readonly text: () => Promise<string>
}

/** The demo behind HTTPS, and Ada signed in to it with a Chromium that knows the protocol, or does not. */
async function signedIn(t: ExecutionContext, isKnown: boolean): Promise<Member> {
  const shop = await openShop(t, { deviceBound: true })
  const { server, app } = shop.demo
  app.proxy = true
  // What a proxy does that ends TLS. The thief dials the server itself, and says that it came over HTTPS.
  const front = createServer({ key, cert }, (request, response) => {
    request.headers['x-forwarded-proto'] = 'https'
    server.emit('request', request, response)
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  const chromium = await startBoundChromium(cert, isKnown)
  const context = chromium?.browser.contexts()[0]
  if (context === undefined) throw new Error('a test that needs Chromium is to be declared with testInChromium')
  t.teardown(async () => {
    await chromium?.close()
    front.closeAllConnections()
    front.close()
  })
  const host = `shop${sites++}.example`
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  await page.goto(`https://${host}:${(front.address() as AddressInfo).port}/sign-in`)
  await page.getByLabel('E-mail').fill(EMAIL)
  await page.getByLabel('Password').fill(PASSWORD)
  const press = async (name: string): Promise<void> => {
    const button = page.getByRole('main').getByRole('button', { name, exact: true })
    await Promise.all([page.waitForEvent('load'), button.click()])
  }
  await press('Sign in')
  return { shop, page, context, host, press, text: () => page.getByRole('main').innerText() }
}

async function open({ page }: Member, path: string): Promise<void> {
  await page.goto(new URL(path, page.url()).href)
}

testInChromium('the thief of a bound session gets 401, and its browser goes on', async (t) => {
  const member = await signedIn(t, true)
  const { shop, page, context, host, press, text } = member
  await boundCookie(context, host)

  await open(member, '/devices')
  t.regex(await page.getByRole('listitem').filter({ hasText: 'this browser' }).innerText(), /bound to this browser/)
  t.regex(await page.locator('.panel').innerText(), /bound to this browser/)

  await page.getByRole('link', { name: 'Play the thief' }).click()
  await press(BUTTON)
  t.regex(await text(), /copied at[^]*200 your account[^]*run out[^]*200 your account[^]*first minute after a sign-in/)

  shop.pass(2 * MINUTE)
  await press(AGAIN)
  t.regex(await text(), /copied at[^]*200 your account[^]*run out[^]*401 nobody’s account[^]*Nobody can make another/)

  shop.pass(10 * MINUTE)
  // By the clock of the server the second cookie has run out; by its own the browser refreshes when it is gone.
  await context.clearCookies({ name: 'sid-bound', domain: host })
  await press(AGAIN)
  t.regex(await text(), /copied at[^]*401 nobody’s account[^]*run out[^]*401 nobody’s account/)
  t.regex(await text(), /worth nothing any more, and you are still signed in/)
  await open(member, '/account')
  t.regex(await text(), /Ada/)
})

testInChromium('where the browser does not bind, a sentence says so, and the thief is its user', async (t) => {
  const member = await signedIn(t, false)
  const { shop, page, press, text } = member
  shop.pass(20 * MINUTE)

  await open(member, '/devices')
  t.notRegex(await page.content(), /bound to this browser/)
  await open(member, '/thief')
  t.regex(await text(), /not bound to your browser, which does not know how/)
  await press(BUTTON)

  t.regex(await text(), /200 your account/)
  t.notRegex(await text(), /401 nobody|proof has run out/)
})

testInChromium('over plain HTTP a sentence says that no browser binds there', async (t) => {
  const shop = await openShop(t, { deviceBound: true })
  const guest = await shop.ada()
  await guest.page.goto('/thief')
  t.regex(await guest.text(), /browsers bind over HTTPS alone/)

  await guest.press(BUTTON)

  t.regex(await guest.text(), /200 your account/)
  await guest.page.goto('/devices')
  await guest.press('Sign out everywhere')
  t.is((await fetch(`${shop.url}/whoami`)).status, 401)
})
