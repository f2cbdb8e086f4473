// The demo explains itself: its own lines on each page, what a merge saved, why a form is shown, and who may do what.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { linesOf } from '../../example/demo/code.ts'
import { ROOT } from '../support/consumer.ts'
import {
  ANYBODY,
  EMAIL,
  MEMBERS,
  openShop,
  PASSWORD,
  printSlowly,
  testInChromium,
  type Guest,
} from '../support/shop.ts'

const FOLDER = join(ROOT, 'example/demo')

async function press(guest: Guest, name: RegExp | string, where = 'main'): Promise<void> {
  const button = guest.page.locator(where).getByRole('button', { name })
  await Promise.all([guest.page.waitForEvent('load'), button.click()])
}

testInChromium(
  'every page names the library, and all but errors show lines of the program that made them',
  async (t) => {
    const shop = await openShop(t)
    const guest = await shop.ada()
    const source = readdirSync(FOLDER)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(FOLDER, name), 'utf8'))
      .join('\n')

    for (const path of [...MEMBERS, ...ANYBODY]) {
      await guest.page.goto(path)
      t.regex(await guest.page.locator('header').innerText(), /a demo of koa-fastsession/, path)
      if (path === '/nowhere' || path === '/trouble/error') continue
      const lines = (await guest.page.locator('figure.code pre').innerText())
        .split('\n')
        .filter((line) => line.trim() !== '')
      t.true(lines.length >= 3 && lines.length <= 40, `${path}: ${lines.length} lines`)
      for (const line of lines) t.true(source.includes(line.trim()), `${path}: ${line}`)
    }
  },
)

test('a region that is not there stops the demo at its start', (t) => {
  t.throws(() => linesOf('cart.ts', 'nothing'), { message: 'cart.ts has no region nothing' })
  t.deepEqual(linesOf('members.ts', 'fresh').slice(-2), ['  return undefined', '}'])
})

testInChromium('the panel says when a merge saved what another tab did', async (t) => {
  const guest = await printSlowly(t)

  t.regex(await guest.page.locator('.panel').innerText(), /merged with 1 newer change: nothing is lost/)
})

testInChromium('what is put into the cart keeps the place on a phone, and says so in view', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.visitor({ viewport: { width: 390, height: 700 } })

  await guest.press('Add one Scissors')

  const inView = (selector: string) =>
    guest.page.evaluate<boolean>(
      `(({ top, bottom }) => top >= 0 && bottom <= innerHeight)(document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect())`,
    )
  t.true(await inView('#scissors h3'))
  t.true(await inView('.notice'))
  t.true(await guest.page.evaluate<boolean>('scrollY > 100'))
})

testInChromium('a sign-in page says what it is for', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.visitor()

  for (const [path, wish] of Object.entries({
    '/devices': 'see your devices',
    '/live': 'open the live view',
    '/account/password': 'change your password',
    '/thief': 'see what a stolen cookie opens',
    '/admin': 'see everybody’s sessions',
  })) {
    await guest.page.goto(path)
    t.is(guest.path(), '/sign-in')
    t.true((await guest.text()).includes(`Sign in to ${wish}.`))
  }
  await guest.page.goto('/sign-in')
  t.notRegex(await guest.text(), /Sign in to/)
})

testInChromium('sign-out stands in the head of every page, and works from there', async (t) => {
  const guest = await (await openShop(t)).ada()

  await press(guest, 'Sign out', 'header')

  t.regex(await guest.text(), /Signed out/)
  t.deepEqual(await guest.context.cookies(), [])
})

testInChromium('an outage leaves navigation and panel on its page, and leads back', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  shop.store.break('read')

  await guest.page.goto('/cart')

  t.deepEqual(await guest.page.locator('nav a').allInnerTexts(), ['Shop', 'Cart', 'Devices', 'Account', 'Trouble'])
  t.regex(await guest.page.locator('.panel').innerText(), /GET \/cart[^]*read × 1[^]*store-error/)
  shop.store.heal()
  await Promise.all([guest.page.waitForEvent('load'), guest.page.getByRole('link', { name: 'Try again' }).click()])
  t.is(guest.path(), '/cart')
  t.regex(await guest.text(), /The cart is empty/)
})

// ---- devices, limit, admin

testInChromium('a device shows the address that it signed in from', async (t) => {
  const guest = await (await openShop(t)).ada()

  await guest.page.goto('/devices')

  t.regex(await guest.text(), /since \d\d:\d\d, from (?:127\.0\.0\.1|::1|::ffff:127\.0\.0\.1)\./)
})

testInChromium('signing out everywhere ends every device, this one too, and takes the cookie', async (t) => {
  const shop = await openShop(t)
  const [laptop, phone] = [await shop.ada(), await shop.visitor()]
  await phone.signIn()
  await laptop.page.goto('/devices')

  await laptop.press('Sign out everywhere')

  t.deepEqual(await laptop.context.cookies(), [])
  for (const guest of [laptop, phone]) {
    await guest.page.goto('/account')
    t.is(guest.path(), '/sign-in')
  }
})

testInChromium('a sixth device signs out the one that was used longest ago', async (t) => {
  const shop = await openShop(t)
  const first = await shop.ada()
  const others: Guest[] = []
  for (let count = 0; count < 5; count++) {
    shop.pass(1000)
    const other = await shop.visitor()
    await other.signIn()
    others.push(other)
  }

  await first.page.goto('/account')
  t.is(first.path(), '/sign-in')
  for (const other of others) {
    await other.page.goto('/account')
    t.is(other.path(), '/account')
  }
})

testInChromium(
  'a role that the admin page gives is there at the next click, and gone when it is taken back',
  async (t) => {
    const shop = await openShop(t)
    const [ada, mary] = [await shop.ada(), await shop.visitor()]
    await mary.press('Add one Ink')
    await ada.page.goto('/admin')
    t.regex(await ada.text(), /2 live[^]*Ada[^]*this session[^]*A visitor[^]*Not signed in[^]*1 thing in the cart/)

    await press(ada, /^Make editor A visitor/)
    t.regex(await ada.text(), /They see it at their next click/)
    await mary.page.goto('/cart')
    t.regex(await mary.page.locator('header').innerText(), /editor/)
    t.regex(await mary.text(), /Ink/)
    await press(ada, /^Take the role back A visitor/)

    await mary.page.goto('/cart')
    t.notRegex(await mary.page.locator('header').innerText(), /editor/)
  },
)

testInChromium('the admin page ends a session, and its live view closes', async (t) => {
  const shop = await openShop(t)
  const [ada, eve] = [await shop.ada(), await shop.visitor()]
  await shop.users.signUp('Eve', 'eve@example.org', PASSWORD)
  await eve.page.goto('/sign-in?for=/live')
  await eve.page.getByLabel('E-mail').fill('eve@example.org')
  await eve.page.getByLabel('Password').fill(PASSWORD)
  await press(eve, 'Sign in')
  await eve.page.getByText('connected', { exact: true }).waitFor()
  await ada.page.goto('/admin')

  await press(ada, /^End Eve/)

  t.regex(await ada.text(), /That session is over/)
  await eve.page.getByText('closed', { exact: true }).waitFor()
})

testInChromium('visitors who are not signed in do not get to the admin page, nor to what it does', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  const [guest, other] = [await shop.visitor(), await shop.visitor()]
  await other.press('Add one Ink')

  for (const path of ['/admin/end', '/admin/role']) {
    const { status, headers } = await fetch(shop.url + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: shop.url },
    })
    t.is(status, 303)
    t.regex(headers.get('location') ?? '', /^\/sign-in/)
  }
  await guest.page.goto('/admin')
  t.is(guest.path(), '/sign-in')
})
