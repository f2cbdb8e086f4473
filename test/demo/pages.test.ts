// What holds for every page of the demo: what it never shows, what its panel tells, how it fails, and what it refuses.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ExecutionContext } from 'ava'
import { ANYBODY, EMAIL, MEMBERS, openShop, PASSWORD, testInChromium, type Guest } from '../support/shop.ts'

/** A page of another origin that sends a form, as soon as it is opened. */
async function otherOrigin(
  t: ExecutionContext,
  action: string,
  fields: Readonly<Record<string, string>>,
): Promise<number> {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`)
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html')
    response.end(`<form method="post" action="${action}">${inputs.join('')}<button>Win</button></form>`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Every page and every kind of request that a guest can make. */
async function tour(guest: Guest, eachPage: () => Promise<void>): Promise<void> {
  const { page } = guest
  const visit = async (path: string) => {
    await page.goto(path)
    await eachPage()
  }
  const press = async (name: string) => {
    await guest.press(name)
    await eachPage()
  }
  for (const path of ANYBODY.filter((one) => one !== '/nowhere' && one !== '/trouble/error')) await visit(path)
  await visit('/')
  await press('Add one Pencil')
  await guest.signIn(PASSWORD, { isRemembered: true })
  await eachPage()
  for (const path of MEMBERS) await visit(path)
  await visit('/live')
  await page.getByText('connected', { exact: true }).waitFor()
  await eachPage()
  await visit('/cart')
  await press('Print it')
  await press('One Pencil less')
  await visit('/account/password')
  await page.getByLabel('New password').fill(PASSWORD)
  await press('Change it')
  await visit('/account')
  await press('Sign out')
}

testInChromium('no page shows the id of the session, and none shows a signature', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  const guest = await shop.visitor()
  const secrets = new Set<string>()
  const pages: string[] = []

  await tour(guest, async () => {
    for (const part of (await guest.cookie())?.value.split('.') ?? []) secrets.add(part)
    pages.push(await guest.page.content())
  })

  t.true(secrets.size >= 6)
  t.true(pages.length > 20)
  for (const secret of secrets) t.false(pages.some((page) => page.includes(secret)))
})

testInChromium('no page makes the browser complain: no error, no refused script or style', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  const guest = await shop.visitor()

  await tour(guest, () => Promise.resolve())

  t.deepEqual(guest.complaints, [])
})

testInChromium('a script that got into a page would not run', async (t) => {
  const guest = await (await openShop(t)).visitor()

  await guest.page.evaluate(`{
    const script = document.createElement('script')
    script.textContent = 'window.hasRun = true'
    document.body.append(script)
  }`)

  t.is(await guest.page.evaluate('window.hasRun'), undefined)
  t.regex(guest.complaints.join(), /Content Security Policy/)
})

testInChromium('what a visitor types is text on every page, not markup', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const evil = `"><img src=x onerror=alert(1)><b>&amp;'`
  await guest.page.goto('/cart')
  await guest.page.getByLabel('What it says').fill(evil)

  await guest.press('Print it')

  t.true((await guest.text()).includes(evil))
  t.is(await guest.page.getByLabel('What it says').inputValue(), evil)
  t.is(await guest.page.getByRole('main').locator('img, b').count(), 0)
})

// ---- the panel

async function rows(guest: Guest): Promise<string[]> {
  return (await guest.page.locator('.panel tbody tr').allInnerTexts()).map((text) => text.replace(/\s+/g, ' '))
}

testInChromium(
  'the panel tells what the request before stored and sent, and this one as far as it has got',
  async (t) => {
    const guest = await (await openShop(t)).visitor()
    t.deepEqual(await rows(guest), ['GET / this page, so far none none not known yet'])

    await guest.press('Add one Ink')

    t.deepEqual(await rows(guest), [
      'POST /cart/put the one before create × 1, replace × 1 create, commit, commit sid=…; Path=/; HttpOnly; SameSite=Lax',
      'GET / this page, so far read × 1 resume not known yet',
    ])
  },
)

testInChromium('the panel of one browser shows nothing of another one', async (t) => {
  const shop = await openShop(t)
  const [guest, other] = [await shop.visitor(), await shop.visitor()]
  await guest.press('Add one Ink')
  await other.press('Add one Ink')
  await other.page.goto('/trouble')

  await guest.page.goto('/cart')

  t.regex((await rows(guest))[0] ?? '', /^GET \/ the one before/)
})

// ---- trouble

testInChromium('an outage is a friendly 503, and afterwards everybody is still signed in', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  shop.store.break('read')

  const down = await guest.page.goto('/account')
  t.is(down?.status(), 503)
  t.is(await down?.headerValue('Retry-After'), '10')
  t.regex(await guest.text(), /You are not signed out/)
  t.not(await guest.id(), '')
  shop.store.heal()
  await guest.page.goto('/account')

  t.is(guest.path(), '/account')
})

testInChromium('the store can be unplugged from a page', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  await guest.page.goto('/trouble')

  await guest.press('Unplug it')

  t.regex(await guest.text(), /503[^]*Back in a moment/)
})

testInChromium(
  'a page that is not there is a friendly 404, and an error a 500 that tells nothing of itself',
  async (t) => {
    const guest = await (await openShop(t)).ada()

    t.is((await guest.page.goto('/nowhere'))?.status(), 404)
    t.regex(await guest.text(), /There is no such page/)
    t.is((await guest.page.goto('/trouble/error'))?.status(), 500)
    t.regex(await guest.text(), /Something broke/)
    t.notRegex(await guest.page.content(), /thrown on purpose/)
    await guest.page.goto('/account')
    t.is(guest.path(), '/account')
  },
)

testInChromium('a session that ends while its request runs is a friendly 409, and nothing comes back', async (t) => {
  const shop = await openShop(t)
  const [guest, other] = [await shop.ada(), await shop.visitor()]
  await other.signIn()
  await guest.page.goto('/cart')
  await guest.page.getByLabel('What it says').fill('too late')
  await other.page.goto('/devices')
  const held = shop.store.pause('replace')

  const printed = guest.press('Print it')
  await held.arrived
  await other.press('Sign out everywhere but here')
  held.open()
  await printed

  t.regex(await guest.text(), /409[^]*Your session ended meanwhile/)
  await guest.page.goto('/account')
  t.is(guest.path(), '/sign-in')
})

// ---- other sites

for (const [what, host] of [
  ['another site', '127.0.0.1'],
  ['another port of this host, to which the cookie goes along', 'localhost'],
] as const) {
  testInChromium(`a form that ${what} sends is refused`, async (t) => {
    const shop = await openShop(t)
    const guest = await shop.ada()
    const port = await otherOrigin(t, `${shop.url}/devices/end-others`, {})
    await guest.page.goto(`http://${host}:${port}/`)

    await Promise.all([guest.page.waitForEvent('load'), guest.page.getByRole('button').click()])

    t.regex(await guest.text(), /403[^]*Not from here/)
  })
}

testInChromium('a form that another site sends with a password signs nobody in', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Eve', 'eve@example.org', PASSWORD)
  const guest = await shop.visitor()
  const port = await otherOrigin(t, `${shop.url}/sign-in`, { email: 'eve@example.org', password: PASSWORD })
  await guest.page.goto(`http://127.0.0.1:${port}/`)

  await Promise.all([guest.page.waitForEvent('load'), guest.page.getByRole('button').click()])

  t.is(await guest.cookie(), undefined)
})

testInChromium('a request that does not say where it comes from changes nothing', async (t) => {
  const shop = await openShop(t)

  for (const headers of [
    {},
    { origin: 'null' },
    { origin: 'http://evil.test' },
    { 'sec-fetch-site': 'cross-site', origin: shop.url },
  ]) {
    const { status } = await fetch(`${shop.url}/cart/put`, {
      method: 'POST',
      headers: headers as Record<string, string>,
      body: new URLSearchParams({ article: 'ink' }),
    })
    t.is(status, 403)
  }
  const own = await fetch(`${shop.url}/cart/put`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: shop.url },
    body: new URLSearchParams({ article: 'ink' }),
  })
  t.is(own.status, 303)
})

testInChromium('pages are not kept: after signing out, Back shows no account', async (t) => {
  const shop = await openShop(t)
  const guest = await shop.ada()
  const page = await guest.page.goto('/account')
  await guest.press('Sign out')

  await guest.page.goBack()

  t.is(guest.path(), '/sign-in')
  // Without it a browser may keep the page as it was, and show that.
  t.is(await page?.headerValue('Cache-Control'), 'no-store')
})
