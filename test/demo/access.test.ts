// Who can use the demo: with a keyboard, a screen reader, a phone, in the dark.
import type { Page } from 'playwright-core'
import { ANYBODY, EMAIL, MEMBERS, openShop, PASSWORD, testInChromium } from '../support/shop.ts'

// What a page has wrong, for those who hear it or use it by keyboard. It runs in the page.
const AUDIT = `(() => {
  const wrong = []
  const count = (selector, what) => { if (document.querySelectorAll(selector).length !== 1) wrong.push('not one ' + what) }
  count('main', 'main')
  count('h1', 'h1')
  count('body > header', 'header')
  if (document.documentElement.lang !== 'en') wrong.push('no language')
  if (!/^.+ · Foolscap$/.test(document.title)) wrong.push('no title')
  for (const input of document.querySelectorAll('input:not([type=hidden])')) {
    if (input.labels.length !== 1 || input.labels[0].innerText.trim() === '') wrong.push('no label: ' + input.name)
    if (!input.autocomplete && input.type !== 'checkbox') wrong.push('no autocomplete: ' + input.name)
  }
  for (const control of document.querySelectorAll('button, a')) {
    if (control.textContent.trim() === '') wrong.push('no name: ' + control.outerHTML)
    if (control.tabIndex !== 0) wrong.push('not in reach: ' + control.outerHTML)
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) wrong.push('twice: ' + id)
  for (const element of document.querySelectorAll('[aria-labelledby], [aria-describedby]')) {
    for (const name of ['aria-labelledby', 'aria-describedby']) {
      const id = element.getAttribute(name)
      if (id !== null && document.getElementById(id) === null) wrong.push('leads nowhere: ' + id)
    }
  }
  let level = 1
  for (const heading of document.querySelectorAll('main :is(h1, h2, h3)')) {
    const own = Number(heading.tagName[1])
    if (own > level + 1) wrong.push('a level left out: ' + heading.innerText)
    level = own
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push('wider than the window: ' + document.documentElement.scrollWidth)
  return wrong
})()`

async function audit(page: Page, paths: readonly string[]): Promise<string[]> {
  const wrong: string[] = []
  for (const path of paths) {
    await page.goto(path)
    for (const what of await page.evaluate<string[]>(AUDIT)) wrong.push(`${path}: ${what}`)
  }
  return wrong
}

for (const [where, viewport] of [
  ['a desk', { width: 1280, height: 800 }],
  ['a phone', { width: 320, height: 640 }],
] as const) {
  testInChromium(
    `on ${where} every page has its landmarks, one heading, a label for each field, and fits`,
    async (t) => {
      const shop = await openShop(t)
      const guest = await shop.visitor({ viewport })

      t.deepEqual(await audit(guest.page, ANYBODY), [])
      await shop.users.signUp('Ada', EMAIL, PASSWORD)
      await guest.signIn()
      const second = await shop.visitor()
      await second.signIn()
      for (const article of ['Ink', 'Scissors']) {
        await guest.page.goto('/')
        await guest.press(`Add one ${article}`)
      }
      t.deepEqual(await audit(guest.page, MEMBERS), [])
    },
  )
}

testInChromium('the keyboard alone is enough to sign in, in the order of the page', async (t) => {
  const shop = await openShop(t)
  await shop.users.signUp('Ada', EMAIL, PASSWORD)
  const guest = await shop.visitor()
  const { page } = guest
  await page.goto('/sign-in')
  const order: string[] = []

  for (let presses = 0; presses < 20 && order.at(-1) !== 'Password'; presses++) {
    await page.keyboard.press('Tab')
    order.push(
      await page.evaluate<string>(
        `(({ activeElement: at }) => (at.labels?.[0]?.innerText ?? at.innerText).replace(/\\s+/g, ' '))(document)`,
      ),
    )
    if (order.at(-1) === 'E-mail') await page.keyboard.type(EMAIL)
    if (order.at(-1) === 'Password') await page.keyboard.type(PASSWORD)
  }
  await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')])

  t.deepEqual(order, ['Skip to the content', 'Foolscap', 'Shop', 'Cart 0', 'Sign in', 'Sign up', 'E-mail', 'Password'])
  t.regex(await guest.text(), /Hello, Ada/)
})

testInChromium('what has the focus shows it', async (t) => {
  const guest = await (await openShop(t)).visitor()
  await guest.page.goto('/sign-in')
  const outlines: string[] = []

  for (let presses = 0; presses < 10; presses++) {
    await guest.page.keyboard.press('Tab')
    outlines.push(
      await guest.page.evaluate<string>(
        `(({ outlineStyle, outlineWidth }) => outlineStyle + ' ' + outlineWidth)(getComputedStyle(document.activeElement))`,
      ),
    )
  }

  t.deepEqual([...new Set(outlines)], ['solid 3px'])
})

testInChromium('who wants no motion sees none, and others see that the live view is alive', async (t) => {
  const guest = await (await openShop(t)).ada()
  const moving = async (reducedMotion: 'reduce' | 'no-preference') => {
    await guest.page.emulateMedia({ reducedMotion })
    await guest.page.goto('/live')
    await guest.page.getByText('connected', { exact: true }).waitFor()
    return guest.page.evaluate<number>('document.getAnimations().length')
  }

  t.is(await moving('reduce'), 0)
  t.is(await moving('no-preference'), 1)
})

// Text whose colours are too near one another (WCAG 2.2, success criterion 1.4.3). It runs in the page.
const CONTRAST = `(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const light = (rgb) => rgb.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4).reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0)
  const parts = (colours) => {
    canvas.clearRect(0, 0, 1, 1)
    for (const colour of colours) {
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
    }
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)]
  }
  const wrong = []
  for (const element of document.querySelectorAll('body *')) {
    const hasText = element.matches('input') || [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '')
    if (!hasText || !element.checkVisibility() || element.closest('.unseen, .skip, noscript')) continue
    const behind = []
    for (let at = element; at !== null; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor)
    const { color, fontSize } = getComputedStyle(element)
    const [text, ground] = [light(parts([...behind, color])), light(parts(behind))]
    const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)
    if (ratio < (parseFloat(fontSize) >= 24 ? 3 : 4.5)) wrong.push(ratio.toFixed(2) + ': ' + element.textContent.trim().slice(0, 40))
  }
  return wrong
})()`

for (const colorScheme of ['light', 'dark'] as const) {
  testInChromium(`text stands out from what is behind it, in ${colorScheme} mode`, async (t) => {
    const shop = await openShop(t)
    const guest = await shop.ada({ colorScheme })
    await guest.press('Add one Ink')
    const wrong: string[] = []

    for (const path of [...MEMBERS, ...ANYBODY]) {
      await guest.page.goto(path)
      wrong.push(...(await guest.page.evaluate<string[]>(CONTRAST)))
    }

    t.deepEqual(wrong, [])
  })
}
