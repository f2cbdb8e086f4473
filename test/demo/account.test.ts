// The demo's accounts, in a real browser: the cookie as the browser stores it, signing in and out, and the fresh password.
import { EMAIL, MINUTE, openShop, PASSWORD, testInChromium, type Guest } from '../support/shop.ts'

const DAY = 24 * 60 * MINUTE

async function give(guest: Guest, password: string): Promise<void> {
  await guest.page.getByLabel('Password').fill(password)
  await guest.press('Go on')
}

testInChromium(
  'the browser stores a cookie that is HttpOnly, SameSite=Lax, of this host, and ends with the browser',
  async (t) => {
    const guest = await (await openShop(t)).ada()

    const cookie = await guest.cookie()

    t.like(cookie, { httpOnly: true, sameSite: 'Lax', domain: 'localhost', path: '/', expires: -1 })
  },
)

testInChromium('"remember me" gives the cookie thirty days', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()

  await guest.signIn(PASSWORD, { isRemembered: true })

  const days = (((await guest.cookie())?.expires ?? 0) * 1000 - Date.now()) / DAY
  t.true(days > 29.99 && days <= 30, `${days} days`)
  await guest.page.goto('/account')
  t.regex(await guest.text(), /yes, for 30 days/)
})

testInChromium('scripts of the page do not see the cookie', async (t) => {
  const guest = await (await openShop(t)).ada()

  t.is(await guest.page.evaluate('document.cookie'), '')
  t.not(await guest.id(), '')
})

testInChromium('signing in changes the value of the cookie, and the one before is dead', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.visitor()
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  await guest.press('Add one Pencil')
  const before = await guest.cookie()

  await guest.signIn()

  const after = await guest.cookie()
  t.truthy(before)
  t.not(after?.value, before?.value)
  const thief = await shop.visitor()
  if (before !== undefined) await thief.context.addCookies([before])
  // Beyond the seconds in which requests that were under way may still present it.
  shop.pass(MINUTE)
  await thief.page.goto('/cart')
  t.regex(await thief.text(), /The cart is empty/)
})

testInChromium('a wrong password is told, and nobody is signed in', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  const guest = await shop.visitor()

  await guest.signIn('not the password')

  t.is(await guest.page.getByRole('alert').innerText(), 'There is no account with this e-mail and this password.')
  t.is(await guest.page.getByLabel('E-mail').inputValue(), EMAIL)
  t.is(await guest.cookie(), undefined)
})

testInChromium('an e-mail that nobody has gets the words of a wrong password', async (t) => {
  const guest = await (await openShop(t)).visitor()

  await guest.signIn()

  t.is(await guest.page.getByRole('alert').innerText(), 'There is no account with this e-mail and this password.')
})

testInChromium('a second account with one e-mail is refused, however it is written', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  const guest = await shop.visitor()
  await guest.page.goto('/sign-up')
  await guest.page.getByLabel('Name').fill('Eve')
  await guest.page.getByLabel('E-mail').fill(EMAIL.toUpperCase())
  await guest.page.getByLabel('New password').fill('another long password')

  await guest.press('Sign up')

  t.regex(await guest.text(), /There is an account with this e-mail/)
  t.is(await guest.cookie(), undefined)
})

testInChromium('signing out takes the cookie from the browser, and a copy of it opens nothing', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const copy = await guest.cookie()
  await guest.page.goto('/account')

  await guest.press('Sign out')

  t.deepEqual(await guest.context.cookies(), [])
  if (copy !== undefined) await guest.context.addCookies([copy])
  await guest.page.goto('/account')
  t.is(guest.path(), '/sign-in')
})

testInChromium('who signs in comes where they wanted to go, and never to another site', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const fill = async () => {
    await guest.page.getByLabel('E-mail').fill(EMAIL)
    await guest.page.getByLabel('Password').fill(PASSWORD)
    await guest.press('Sign in')
  }
  await guest.context.clearCookies()

  await guest.page.goto('/devices')
  await fill()
  t.is(guest.path(), '/devices')
  for (const elsewhere of ['//evil.test/', 'https://evil.test/', '/\\evil.test', '/sign-out']) {
    await guest.page.goto(`/sign-in?for=${encodeURIComponent(elsewhere)}`)
    await fill()
    t.is(guest.page.url(), `${shop.url}/account`)
  }
})

testInChromium('the password is asked for again when it was given more than five minutes ago', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  shop.pass(6 * MINUTE)

  await guest.page.goto('/account/email')
  t.is(guest.path(), '/confirm')
  await give(guest, 'not the password')
  t.regex(await guest.text(), /That is not your password/)
  await give(guest, PASSWORD)

  t.is(guest.path(), '/account/email')
})

testInChromium('a fresh password is not asked for', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  shop.pass(4 * MINUTE)

  await guest.page.goto('/account/email')

  t.is(guest.path(), '/account/email')
})

testInChromium(
  'a form that was opened in time and sent too late asks for the password, and changes nothing',
  async (t) => {
    const shop = await openShop(t)
    const guest = await shop.ada()
    await guest.page.goto('/account/email')
    await guest.page.getByLabel('E-mail').fill('thief@example.org')
    shop.pass(6 * MINUTE)

    await guest.press('Change it')

    t.is(guest.path(), '/confirm')
    t.is(await shop.users.check('thief@example.org', PASSWORD), undefined)
    t.truthy(await shop.users.check(EMAIL, PASSWORD))
  },
)

testInChromium('the password given again is a new id, and keeps cart and "remember me"', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  await guest.signIn(PASSWORD, { isRemembered: true })
  await guest.page.goto('/')
  await guest.press('Add one Ink')
  const before = await guest.id()
  shop.pass(6 * MINUTE)
  await guest.page.goto('/account/email')

  await give(guest, PASSWORD)

  t.not(await guest.id(), before)
  t.true(((await guest.cookie())?.expires ?? 0) * 1000 > Date.now() + 29 * DAY)
  await guest.page.goto('/cart')
  t.regex(await guest.text(), /Ink/)
})

testInChromium('a changed password signs the other devices out, and not this one', async (t) => {
  const shop = await openShop(t)
  const [guest, other] = [await shop.ada(), await shop.visitor()]
  await other.signIn()
  const before = await guest.id()
  await guest.page.goto('/account/password')
  await guest.page.getByLabel('New password').fill('a new and longer password')

  await guest.press('Change it')

  t.regex(await guest.text(), /Other devices that were signed out: 1/)
  t.not(await guest.id(), before)
  await other.page.goto('/account')
  t.is(other.path(), '/sign-in')
  t.is(await shop.users.check(EMAIL, PASSWORD), undefined)
  t.truthy(await shop.users.check(EMAIL, 'a new and longer password'))
})

testInChromium('somebody else who signs in at this browser does not get the cart of the one before', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  await guest.press('Add one Ink')
  await shop.users.signUp('Mary', 'mary@example.org', PASSWORD)
  await guest.page.goto('/sign-in')
  await guest.page.getByLabel('E-mail').fill('mary@example.org')
  await guest.page.getByLabel('Password').fill(PASSWORD)

  await guest.press('Sign in')

  await guest.page.goto('/cart')
  t.regex(await guest.text(), /The cart is empty/)
})
