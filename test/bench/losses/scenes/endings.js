// A session ends, or gets a new id, while another request of the same browser is under way.
import { bad, good, none } from '../cell.js'
import { Gate } from '../gate.js'
import { slowly } from './races.js'

/** @type {import('../play.js').Scene[]} */
export const endings = [
  {
    title: 'Logout while a slow request that changes data is under way',
    facts: ['the session', 'the browser afterwards', 'the slow request'],
    async play(open) {
      const { isBack, user, slow } = await during(open, {}, (data) => (data.theme = 'dark'), '/logout')
      return [
        isBack ? bad('revived') : good('stays ended'),
        user === undefined ? good('signed out') : bad('signed in again'),
        slow.status === 200 ? bad('is told "done" (200)') : good(`is refused (${slow.status})`),
      ]
    },
  },
  {
    title: 'Logout while a slow request that only reads is under way, with rolling cookies',
    facts: ['the session', 'the browser afterwards', 'the dead cookie'],
    async play(open) {
      const options = { rolling: true, maxAge: 3_600_000 }
      if (!(await isRenewed(open, options))) return [none('not renewed'), none('not renewed'), none('not renewed')]
      const { isBack, user, slow } = await during(open, options, () => undefined, '/logout')
      return [
        isBack ? bad('revived') : good('stays ended'),
        user === undefined ? good('signed out') : bad('signed in again'),
        slow.setCookie.some(({ isEnd }) => !isEnd) ? bad('sent again') : good('not sent again'),
      ]
    },
  },
  {
    title: 'Login while a slow request of the anonymous session changes data',
    facts: ['the old id', 'the browser afterwards'],
    async play(open) {
      const { isBack, user } = await during(open, { isAnonymous: true }, (data) => (data.theme = 'dark'), '/login')
      return [
        isBack ? bad('lives again') : good('stays dead'),
        user === 'ann' ? good('signed in') : bad('signed out: cookie overwritten'),
      ]
    },
  },
  {
    title: 'A new login (new id) while a slow request of the signed-in session changes data',
    facts: ['the old id', 'the browser afterwards'],
    async play(open) {
      const { isBack, user, newest } = await during(open, {}, (data) => (data.theme = 'dark'), '/login')
      return [
        isBack ? bad('lives again, signed in') : good('stays dead'),
        user === 'ann' && newest ? good('has the new id') : bad('has the old id again'),
      ]
    },
  },
  {
    title: 'Two logins at once from one browser (a double click)',
    facts: ['the browser afterwards', 'signed-in sessions', 'what the anonymous session held'],
    async play(open) {
      const gate = new Gate(2)
      const site = await open({
        '/fill': ({ data }) => void (data.cart = ['book']),
        '/login-slowly': async (visit) => {
          const { cart } = visit.data
          await gate.pass()
          await visit.login('ann')
          return cart
        },
      })
      const browser = site.browser()
      await browser.get('/fill')
      await site.probe.settled()
      const before = browser.cookie
      const logins = [browser.twin(), browser.twin()]
      const answers = logins.map((twin) => twin.get('/login-slowly'))
      await gate.arrived
      gate.open()
      for (const answer of answers) browser.take(await answer)
      await site.probe.settled()
      const user = await site.user(browser)
      const cookies = new Set([before, ...logins.map(({ cookie }) => cookie), browser.cookie])
      const looks = await Promise.all([...cookies].map((cookie) => site.look(cookie)))
      const live = looks.filter((data) => data?.user === 'ann').length
      const { cart } = await site.look(browser.cookie)
      return [
        user === 'ann' ? good('signed in') : bad('signed out'),
        live <= 2 ? good(live === 1 ? '1' : '2, one for each') : bad(`${live}`),
        cart !== undefined ? good('kept') : (await isKeptByLogin(open)) ? bad('lost') : none('no login keeps it'),
      ]
    },
  },
]

/** While a slow request of the browser waits, the browser does something else; then the slow one ends, and its answer comes last. */
async function during(open, { isAnonymous = false, ...options }, change, path) {
  const gate = new Gate()
  const site = await open(
    { '/slow': slowly(gate, change), '/fill': ({ data }) => void (data.cart = ['book']) },
    options,
  )
  const browser = isAnonymous ? site.browser() : await site.member()
  if (isAnonymous) await browser.get('/fill')
  await site.probe.settled()
  site.later(UNTIL_DUE)
  const old = browser.cookie
  const slow = browser.send('/slow', old)
  await gate.arrived
  await browser.get(path)
  await site.probe.settled()
  const fresh = browser.cookie
  gate.open()
  const answer = await slow
  browser.take(answer)
  await site.probe.settled()
  const { user, cart, theme } = await site.look(old)
  return {
    isBack: user !== undefined && user !== null ? true : cart !== undefined || theme !== undefined,
    user: (await site.user(browser)) ?? undefined,
    newest: browser.cookie === fresh,
    slow: answer,
  }
}

// Where renewal is throttled, it is due by then.
const UNTIL_DUE = 1_200_000

/** Whether a request that nothing disturbs gets its cookie renewed: else there would be nothing to see. */
async function isRenewed(open, options) {
  const site = await open({}, options)
  const browser = await site.member()
  site.later(UNTIL_DUE)
  const { setCookie } = await browser.get('/look')
  await site.probe.settled()
  return setCookie.some(({ isEnd }) => !isEnd)
}

/** Whether a single login keeps what the anonymous session held. */
async function isKeptByLogin(open) {
  const site = await open({ '/fill': ({ data }) => void (data.cart = ['book']) })
  const browser = site.browser()
  for (const path of ['/fill', '/login']) {
    await browser.get(path)
    await site.probe.settled()
  }
  return (await site.look(browser.cookie)).cart !== undefined
}
