// The demo's devices and its live view, in real browsers that are signed in as one user.
import { once } from 'node:events'
import type { Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { MINUTE, openShop, PASSWORD, testInChromium, type Guest } from '../support/shop.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0'
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1'

/** The devices that a page shows, in order. */
async function devices({ page }: Guest): Promise<string[]> {
  await page.goto('/devices')
  return page.getByRole('main').getByRole('heading', { level: 2 }).allInnerTexts()
}

/** Opens the live view in a tab and waits until it follows. */
async function watch(guest: Guest): Promise<Page> {
  const tab = await guest.context.newPage()
  await tab.goto('/live')
  await tab.getByText('connected', { exact: true }).waitFor()
  return tab
}

async function signOut(guest: Guest): Promise<void> {
  await guest.page.goto('/account')
  await guest.press('Sign out')
}

testInChromium('two browsers of one user are both listed, and each knows itself', async (t) => {
  const shop = await openShop(t)
  const laptop = await shop.ada({ userAgent: FIREFOX })
  const phone = await shop.visitor({ userAgent: IPHONE })
  await phone.signIn()

  t.deepEqual(await devices(laptop), ['Firefox on Linux this browser', 'Safari on iPhone'])
  t.deepEqual(await devices(phone), ['Safari on iPhone this browser', 'Firefox on Linux'])
})

testInChromium('a device shows when it was last seen', async (t) => {
  const shop = await openShop(t)
  const laptop = await shop.ada()
  const phone = await shop.visitor({ userAgent: IPHONE })
  await phone.signIn()
  shop.pass(20 * MINUTE)

  await devices(laptop)
  t.regex(await laptop.text(), /Seen 20 minutes ago/)
  await phone.page.goto('/cart')
  await devices(laptop)
  t.regex(await laptop.text(), /Seen just now/)
})

testInChromium('a device that another one ended is signed out on its next page, and told', async (t) => {
  const shop = await openShop(t)
  const laptop = await shop.ada()
  const phone = await shop.visitor({ userAgent: IPHONE })
  await phone.signIn()
  await devices(laptop)

  await Promise.all([
    laptop.page.waitForEvent('load'),
    laptop.page.getByRole('button', { name: /^End Safari on iPhone/ }).click(),
  ])

  t.regex(await laptop.text(), /That device is signed out/)
  t.deepEqual(await devices(laptop), ['Chromium on Linux this browser'])
  await phone.page.goto('/account')
  t.is(phone.path(), '/sign-in')
  t.regex(await phone.text(), /its session was ended from elsewhere, or ran out/)
})

testInChromium('the live view of a device that another one ended closes and says so', async (t) => {
  const shop = await openShop(t)
  const laptop = await shop.ada()
  const phone = await shop.visitor({ userAgent: IPHONE })
  await phone.signIn()
  const live = await watch(phone)
  await devices(laptop)

  await laptop.page.getByRole('button', { name: /^End Safari on iPhone/ }).click()

  await live.getByText('closed', { exact: true }).waitFor()
  t.regex(await live.getByRole('alert').innerText(), /This session has ended[^]*closed the live view/)
})

testInChromium('signing out everywhere but here ends all other devices and keeps this one', async (t) => {
  const shop = await openShop(t)
  const laptop = await shop.ada()
  const others = await Promise.all([shop.visitor(), shop.visitor({ userAgent: IPHONE })])
  for (const other of others) await other.signIn()
  await devices(laptop)

  await laptop.press('Sign out everywhere but here')

  t.regex(await laptop.text(), /Devices that were: 2/)
  t.is((await devices(laptop)).length, 1)
  for (const other of others) {
    await other.page.goto('/account')
    t.is(other.path(), '/sign-in')
  }
})

testInChromium('nobody ends a session of somebody else, even knowing its public id', async (t) => {
  const shop = await openShop(t)
  const ada = await shop.ada()
  await devices(ada)
  const publicId = await ada.page.getByRole('main').locator('.id').innerText()
  await shop.users.signUp('Eve', 'eve@example.org', PASSWORD)
  const [eve, second] = [await shop.visitor(), await shop.visitor()]
  for (const { page } of [eve, second]) {
    await page.goto('/sign-in')
    await page.getByLabel('E-mail').fill('eve@example.org')
    await page.getByLabel('Password').fill(PASSWORD)
    await Promise.all([page.waitForEvent('load'), page.getByRole('main').getByRole('button').click()])
  }
  await devices(eve)
  await eve.page.evaluate(`document.querySelector('input[name=device]').value = ${JSON.stringify(publicId)}`)

  await Promise.all([eve.page.waitForEvent('load'), eve.page.getByRole('button', { name: /^End/ }).click()])

  t.regex(await eve.text(), /was signed out already/)
  await ada.page.goto('/account')
  t.is(ada.path(), '/account')
})

testInChromium('the live view follows the cart of its browser and the sessions of its user', async (t) => {
  const shop = await openShop(t)
  const laptop = await shop.ada()
  const live = await watch(laptop)
  const phone = await shop.visitor({ userAgent: IPHONE })

  await laptop.page.goto('/')
  await laptop.press('Add one Scissors')
  await live.getByText('Scissors').waitFor()
  await phone.signIn()
  await live.getByText('Safari on iPhone').waitFor()
  await signOut(phone)

  await live.getByText('Safari on iPhone').waitFor({ state: 'detached' })
  t.regex(await laptop.text(live), /Scissors\s+× 1/)
})

testInChromium('the live view goes on under the new id of its session', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const live = await watch(guest)
  shop.pass(6 * MINUTE)
  await guest.page.goto('/account/email')
  const before = await guest.id()

  const again = live.waitForEvent('websocket')
  await guest.page.getByLabel('Password').fill(PASSWORD)
  await guest.press('Go on')
  await again
  await guest.page.goto('/')
  await guest.press('Add one Ruler')

  await live.getByText('Ruler').waitFor()
  t.not(await guest.id(), before)
})

testInChromium('the live view closes when its own browser signs out in another tab', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const live = await watch(guest)

  await signOut(guest)

  await live.getByText('closed', { exact: true }).waitFor()
  t.true(await live.getByRole('link', { name: 'Sign in again' }).isVisible())
})

testInChromium('a view that is left open does not keep its session alive', async (t) => {
  const shop = await openShop(t)
  const [guest, other] = [await shop.ada(), await shop.visitor()]
  const live = await watch(guest)
  // Twice an hour something happens that the view shows, and yet its session is not used.
  for (let times = 0; times < 5; times++) {
    shop.pass(30 * MINUTE)
    await other.signIn()
  }

  await live.getByText('closed', { exact: true }).waitFor()
  await guest.page.goto('/account')
  t.is(guest.path(), '/sign-in')
})

testInChromium('a socket that another site opens is refused, whatever cookie it brings', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const cookie = `sid=${(await guest.cookie())?.value ?? ''}`
  const dial = async (origin: string) => {
    const socket = new WebSocket(`${shop.url.replace('http', 'ws')}/live/socket`, { headers: { cookie, origin } })
    socket.on('error', () => undefined) // what waits for it hears of it as well
    t.teardown(() => socket.terminate())
    await once(socket, 'message')
  }

  for (const origin of ['http://evil.test', 'null', '', 'http://localhost:1'])
    await t.throwsAsync(dial(origin), { message: /403/ }, origin)
  await t.notThrowsAsync(dial(shop.url))
})

testInChromium('a socket without a session is closed with the reason', async (t) => {
  const shop = await openShop(t)
  const socket = new WebSocket(`${shop.url.replace('http', 'ws')}/live/socket`, { headers: { origin: shop.url } })
  socket.on('error', () => undefined) // what waits for it hears of it as well
  t.teardown(() => socket.terminate())

  const [code] = (await once(socket, 'close')) as [number]

  t.is(code, 4001)
})
