// What goes to the browser, what comes back, and what it costs.
import { bad, good, none } from '../cell.js'
import { KEYS, NotOffered } from '../site.js'

/** @type {import('../play.js').Scene[]} */
export const cookies = [
  {
    title: 'A page is shown to',
    facts: ['a visitor without a cookie', 'a visitor with a forged cookie'],
    async play(open) {
      const site = await open({})
      const visit = async (cookie) => {
        const before = site.probe.asked.length
        const { setCookie } = await site.browser().send('/look', cookie)
        await site.probe.settled()
        const calls = site.probe.asked.length - before
        const text = `${calls} store call${calls === 1 ? '' : 's'}${setCookie.some(({ isEnd }) => !isEnd) ? ', a cookie' : ''}`
        return calls === 0 ? good(text) : bad(text)
      }
      return [await visit(''), await visit(withId(site, await site.member(), 'an-id-that-nobody-here-has-ever-made'))]
    },
  },
  {
    title: 'A browser brings an id that the store does not know',
    facts: ['signed by us, its session gone', 'chosen by an attacker'],
    async play(open) {
      const routes = { '/change': ({ data }) => void (data.theme = 'dark') }
      const site = await open(routes)
      if (site.adapter.isStateless) throw new NotOffered('no ids')
      const browser = await site.member()
      // The same keys over an empty store: all sessions are gone, and the signatures are good.
      const empty = await open(routes)
      const adopted = async (cookie) => {
        const stranger = empty.browser()
        const answer = await stranger.send('/change', cookie)
        stranger.take(answer)
        await empty.probe.settled()
        if ((await empty.look(cookie)).theme === 'dark') return bad('adopted')
        return (await empty.look(stranger.cookie)).theme === 'dark'
          ? good('gets a new one')
          : none(`answered with ${answer.status}`)
      }
      return [await adopted(browser.cookie), await adopted(withId(site, browser, 'an-id-that-the-attacker-knows-too'))]
    },
  },
  {
    title: 'The signing key is rotated: newest first, the old one still listed',
    facts: ['a read with an old cookie', 'once the old key is dropped'],
    async play(open) {
      const options = { maxAge: 86_400_000, sameSite: 'lax' }
      const [newest, older] = KEYS
      const before = await open({}, { ...options, keys: [older] })
      const browser = before.browser()
      const first = await browser.get('/login')
      await before.probe.settled()
      const at = (keys) => open({}, { ...options, keys, store: before.store })
      const unsigned = await at(['a secret that has never signed anything at all here'])
      if ((await unsigned.user(browser.twin(unsigned.url))) === 'ann') return [bad('not signed'), bad('not signed')]
      const rotated = await at([newest, older])
      const visitor = browser.twin(rotated.url)
      const answer = await visitor.get('/look')
      await rotated.probe.settled()
      const after = await at([newest])
      return [
        reissued(first, answer),
        (await after.user(visitor.twin(after.url))) === 'ann' ? good('signed in') : bad('signed out'),
      ]
    },
  },
  {
    title: 'The app sets a cookie of its own in a response that begins a session',
    facts: ['Set-Cookie'],
    async play(open) {
      const site = await open({
        '/both': ({ data, setCookie }) => {
          setCookie('lang', 'en')
          data.theme = 'dark'
        },
      })
      const browser = site.browser()
      const { setCookie } = await browser.get('/both')
      await site.probe.settled()
      const hasOwn = setCookie.some(({ name }) => name === 'lang')
      const hasSession = (await site.look(browser.cookie)).theme === 'dark'
      return [hasOwn && hasSession ? good('both sent') : bad(hasOwn ? "the session's lost" : "the app's lost")]
    },
  },
  {
    title: 'What is at rest in the store',
    facts: ['ids'],
    async play(open) {
      const site = await open({})
      const browser = site.browser()
      const { setCookie } = await browser.get('/login')
      await site.probe.settled()
      const ids = setCookie
        .filter(({ name, isEnd }) => !isEnd && !name.endsWith('.sig'))
        .map(({ value }) => site.adapter.idIn(value))
      if (ids.length === 0 || site.probe.kept === '') return [none('nothing was stored')]
      return [ids.some((id) => site.probe.kept.includes(id)) ? bad('plain') : good('none')]
    },
  },
]

/** The Cookie header of a browser, with another id in the session cookie and the signature as it was. */
function withId({ adapter }, browser, id) {
  return browser.cookie
    .split('; ')
    .map((pair) => {
      const at = pair.indexOf('=')
      const name = pair.slice(0, at)
      const value = pair.slice(at + 1)
      return name.endsWith('.sig') ? pair : `${name}=${value.replace(encodeURIComponent(adapter.idIn(value)), id)}`
    })
    .join('; ')
}

/** What became of the cookies of the first answer in a later one. */
function reissued(first, later) {
  const live = later.setCookie.filter(({ isEnd }) => !isEnd)
  if (live.length === 0) return bad(later.setCookie.length === 0 ? 'not re-issued' : 'cookie deleted: signed out')
  const isNew = live.some(
    ({ name, value }) => !first.setCookie.some((cookie) => cookie.name === name && cookie.value === value),
  )
  if (!isNew) return bad('sent again, signed with the old key')
  const missing = new Set()
  for (const { name, attributes } of live) {
    const original = first.setCookie.find((cookie) => cookie.name === name && !cookie.isEnd)
    for (const attribute of original?.attributes.keys() ?? []) {
      if (!attributes.has(attribute)) missing.add(WRITTEN[attribute] ?? attribute)
    }
  }
  return missing.size === 0 ? good('re-issued whole') : bad(`re-issued without ${[...missing].join(', ')}`)
}

const WRITTEN = { expires: 'Expires', samesite: 'SameSite', 'max-age': 'Max-Age', path: 'Path', httponly: 'HttpOnly' }
