// A store that fails, and handlers that do.
import { bad, good } from '../cell.js'
import { refusal } from '../site.js'

/** @type {import('../play.js').Scene[]} */
export const faults = [
  {
    title: 'The store is down when a signed-in browser comes',
    facts: ['the answer', 'the browser when it is back'],
    async play(open) {
      const site = await open({})
      const browser = await site.member()
      site.probe.break('read')
      const { status } = await browser.get('/look')
      await site.probe.settled()
      site.probe.heal()
      const user = await site.user(browser)
      return [
        status === 200 ? bad('200: a stranger') : good(`${status}`),
        user === 'ann' ? good('signed in') : bad('signed out'),
      ]
    },
  },
  {
    title: 'The store fails when a change is written',
    facts: ['the client is told'],
    async play(open, { unhandled }) {
      const site = await open({ '/change': ({ data }) => (data.theme = 'dark') })
      const browser = await site.member()
      site.probe.break('write')
      const { status } = await browser.get('/change')
      await site.probe.settled()
      site.probe.heal()
      // By default Node ends a process that does not handle a rejection.
      const crash = unhandled() > 0 ? ', then an unhandled rejection' : ''
      return [status === 200 ? bad(`"done" (200)${crash}`) : good(`${status}${crash}`)]
    },
  },
  {
    title: 'A handler changes data, then answers by throwing 403',
    facts: ['a known browser', 'a first visit'],
    async play(open) {
      const site = await open({
        '/forbidden': ({ data }) => {
          data.attempts = 1
          throw refusal(403, 'not for you')
        },
      })
      const known = await site.member()
      await known.get('/forbidden')
      await site.probe.settled()
      const stranger = site.browser()
      const writes = count(site, 'write')
      await stranger.get('/forbidden')
      await site.probe.settled()
      const isStored = count(site, 'write') > writes
      const { attempts } = await site.look(stranger.cookie)
      return [
        (await site.look(known.cookie)).attempts === 1 ? good('kept') : bad('lost'),
        attempts === 1 ? good('kept, with its cookie') : bad(isStored ? 'stored, its cookie lost' : 'lost'),
      ]
    },
  },
]

function count({ probe }, verb) {
  return probe.asked.filter((asked) => asked === verb).length
}
