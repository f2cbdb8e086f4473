// The demo's cart, in a real browser: what overlapping requests put into one session.
import type { ExecutionContext } from 'ava'
import { openShop, printSlowly, testInChromium, type Guest } from '../support/shop.ts'

/** A guest with a pencil in the cart, whose second tab adds an article while the first still adds another. */
async function addAtOnce(t: ExecutionContext, one: string, other: string): Promise<Guest> {
  const shop = await openShop(t)
  const guest = await shop.visitor()
  await guest.press('Add one Pencil')
  const tab = await guest.newTab()
  const held = shop.store.pause('replace')

  const first = guest.press(`Add one ${one}`)
  await held.arrived
  await guest.press(`Add one ${other}`, tab)
  held.open()
  await first
  return guest
}

testInChromium('two tabs fill the cart at once, and both items are there', async (t) => {
  const guest = await addAtOnce(t, 'Notebook', 'Ink')

  await guest.page.goto('/cart')
  t.regex(await guest.text(), /Notebook[^]*Pencil[^]*Ink/)
})

testInChromium('of one article, what two tabs put in at once is counted twice', async (t) => {
  const guest = await addAtOnce(t, 'Pencil', 'Pencil')

  await guest.page.goto('/cart')
  t.is(await guest.page.getByRole('main').locator('.quantity').innerText(), '3')
})

testInChromium('a gift card that takes long to print undoes nothing that another tab did meanwhile', async (t) => {
  const guest = await printSlowly(t)

  t.regex(await guest.text(), /Pencil[^]*Scissors[^]*For Mary/)
})

testInChromium('a visitor who only looks has no cookie', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.visitor()

  for (const path of ['/', '/cart', '/sign-in', '/sign-up']) await guest.page.goto(path)

  t.deepEqual(await guest.context.cookies(), [])
})

testInChromium('what is taken out of the cart is gone, and the last one takes its line along', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.visitor()
  for (const article of ['Pencil', 'Pencil', 'Ink']) await guest.press(`Add one ${article}`)
  await guest.page.goto('/cart')

  for (const article of ['Pencil', 'Ink']) await guest.press(`One ${article} less`)

  t.regex(await guest.text(), /Pencil/)
  t.notRegex(await guest.text(), /Blue-black/)
  t.regex(await guest.text(), /Together\s+€ 2\.20/)
})

testInChromium('the cart of an anonymous visitor goes along when they sign in', async (t) => {
  const shop = await openShop(t)
  const other = await shop.ada()
  const guest = await shop.visitor()
  await guest.press('Add one Ruler')

  await guest.signIn()

  await guest.page.goto('/cart')
  t.regex(await guest.text(), /Ruler/)
  await other.page.goto('/cart')
  t.notRegex(await other.text(), /Ruler/)
})

testInChromium('without JavaScript the shop works: sign up, fill the cart, print a card, sign out', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.visitor({ javaScriptEnabled: false })
  const { page } = guest
  await page.goto('/sign-up')
  await page.getByLabel('Name').fill('Mary')
  await page.getByLabel('E-mail').fill('mary@example.org')
  await page.getByLabel('New password').fill('another long password')
  await guest.press('Sign up')
  t.regex(await guest.text(), /Welcome, Mary/)

  await guest.press('Add one Envelopes')
  await page.goto('/cart')
  await page.getByLabel('What it says').fill('For Ada')
  await guest.press('Print it')
  t.regex(await guest.text(), /Envelopes[^]*For Ada/)
  await page.goto('/live')
  t.regex(await guest.text(), /needs JavaScript[^]*Envelopes/)
  await page.goto('/account')
  await guest.press('Sign out')

  t.regex(await guest.text(), /Signed out/)
  t.deepEqual(await guest.context.cookies(), [])
})
