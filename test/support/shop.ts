// The demo on a free port, and visitors of it in a real browser.
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { MemoryStore } from 'koa-fastsession'
import { openDemo, type Demo, type DemoOptions } from '../../example/demo/app.ts'
import { MemoryShelf, Users } from '../../example/demo/users.ts'
import { startChromium } from './chromium.ts'
import { Barrier, FaultyStore } from './faults.ts'

export const EMAIL = 'ada@example.org'
export const PASSWORD = 'a long and quiet password'
export const MINUTE = 60_000

/** The pages for users who are not signed in, and the error pages. */
export const ANYBODY = ['/', '/cart', '/sign-in', '/sign-up', '/signed-out', '/trouble', '/nowhere', '/trouble/error']
/** The pages for signed-in users. */
export const MEMBERS = [
  '/',
  '/cart',
  '/live',
  '/devices',
  '/thief',
  '/account',
  '/account/email',
  '/account/password',
  '/confirm?for=/account',
  '/admin',
  '/trouble',
]

/** Cheap parameters of the password hash, for tests only. */
export const CHEAP = { N: 16, r: 1, p: 1 }

const chromium = await startChromium()
test.after.always(() => chromium?.close())

type Play = (t: ExecutionContext) => Promise<void>

/** A test that needs Chromium; skipped, which is reported, if there is none. Serial, because all share one browser. */
export const testInChromium: (title: string, play: Play) => void = chromium === undefined ? test.skip : test.serial

export interface OpenShop {
  readonly url: string
  readonly store: FaultyStore
  readonly users: Users
  readonly demo: Demo
  /** Moves the shop's clock. */
  pass(milliseconds: number): void
  /** A visitor with a new browser, on the first page. */
  visitor(options?: BrowserContextOptions): Promise<Guest>
  /** The same, signed in to a new account of Ada. */
  ada(options?: BrowserContextOptions): Promise<Guest>
}

export async function openShop(t: ExecutionContext, options: Partial<DemoOptions> = {}): Promise<OpenShop> {
  // For a whole tour on a busy machine.
  t.timeout(120_000)
  const store = new FaultyStore(new MemoryStore())
  const users = new Users(new MemoryShelf(), CHEAP)
  let ahead = 0
  const demo = openDemo({
    store,
    users,
    keys: ['a test secret of more than thirty-two characters'],
    now: () => Date.now() + ahead,
    print: () => Promise.resolve(),
    // A browser may take seconds while a test pauses the store.
    storeTimeout: '1m',
    logger: {},
    ...options,
  })
  demo.app.silent = true
  await new Promise<void>((resolve) => demo.server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(demo.server.address() as AddressInfo).port}`
  const guests: Guest[] = []
  t.teardown(async () => {
    await Promise.all(guests.map(({ context }) => context.close()))
    store.heal()
    await demo.close()
  })
  const shop: OpenShop = {
    url,
    store,
    users,
    demo,
    pass: (milliseconds) => void (ahead += milliseconds),
    async visitor(given = {}) {
      const context = await chromium?.newContext({ baseURL: url, ...given })
      if (context === undefined) throw new Error('a test that needs Chromium is to be declared with testInChromium')
      context.setDefaultTimeout(60_000)
      const guest = new Guest(context, await context.newPage())
      guests.push(guest)
      await guest.page.goto('/')
      return guest
    },
    async ada(given) {
      await users.signUp('Ada', EMAIL, PASSWORD)
      const guest = await shop.visitor(given)
      await guest.signIn()
      return guest
    },
  }
  return shop
}

/** A guest with a pencil in the cart prints a gift card. Before the printer is done, another tab adds scissors. */
export async function printSlowly(t: ExecutionContext): Promise<Guest> {
  const printer = new Barrier()
  const shop = await openShop(t, { print: () => printer.pass() })
  const guest = await shop.visitor()
  await guest.press('Add one Pencil')
  const tab = await guest.newTab()
  await guest.page.goto('/cart')
  await guest.page.getByLabel('What it says').fill('For Mary')

  const printed = guest.press('Print it')
  await printer.arrived
  await guest.press('Add one Scissors', tab)
  printer.open()
  await printed
  return guest
}

/** A browser with cookies of its own. */
export class Guest {
  readonly context: BrowserContext
  /** The first tab. */
  readonly page: Page
  /** Errors and refusals that a page logged to its console. */
  readonly complaints: string[] = []

  constructor(context: BrowserContext, page: Page) {
    this.context = context
    this.page = page
    context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text())
    })
    context.on('weberror', (error) => this.complaints.push(String(error.error())))
  }

  async signIn(password = PASSWORD, { isRemembered = false } = {}): Promise<void> {
    const { page } = this
    await page.goto('/sign-in')
    await page.getByLabel('E-mail').fill(EMAIL)
    await page.getByLabel('Password').fill(password)
    if (isRemembered) await page.getByLabel('Remember me').check()
    await this.press('Sign in')
  }

  /** Another tab, on the first page. */
  async newTab(): Promise<Page> {
    const tab = await this.context.newPage()
    await tab.goto('/')
    return tab
  }

  /** Presses a button in the content, and waits for the page that it leads to. */
  async press(name: string, page = this.page): Promise<void> {
    await Promise.all([
      page.waitForEvent('load'),
      page.getByRole('main').getByRole('button', { name, exact: true }).click(),
    ])
  }

  /** The session cookie as the browser stores it. */
  async cookie() {
    return (await this.context.cookies()).find(({ name }) => name === 'sid')
  }

  /** The secret id in the cookie; empty if there is none. */
  async id(): Promise<string> {
    return (await this.cookie())?.value.split('.')[0] ?? ''
  }

  /** The text in the content of the page. */
  text(page = this.page): Promise<string> {
    return page.getByRole('main').innerText()
  }

  path(page = this.page): string {
    return new URL(page.url()).pathname
  }
}
