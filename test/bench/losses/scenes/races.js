// Two requests of one browser at the same time.
import { bad, good, none } from '../cell.js'
import { Gate } from '../gate.js'

/** @type {import('../play.js').Scene[]} */
export const races = [
  {
    title: 'Two parallel requests change different keys',
    facts: ['their changes'],
    async play(open) {
      const gate = new Gate()
      const site = await open({ '/slow': slowly(gate, (data) => (data.a = 1)), '/fast': ({ data }) => (data.b = 1) })
      const { body } = await overlap(site, gate)
      return [kept([body.a === 1, body.b === 1])]
    },
  },
  {
    title: 'One of two parallel requests deletes a key, the other changes another',
    facts: ['deleted by the slower', 'changed by the slower'],
    async play(open) {
      const remove = (data) => delete data.a
      const change = (data) => (data.b = 2)
      return [await ordered(open, remove, change), await ordered(open, change, remove)]
    },
  },
  {
    title: '20 parallel increments',
    facts: ['counted'],
    async play(open) {
      const gate = new Gate(20)
      const site = await open({
        '/add': async (visit) => {
          const { user } = visit.data
          await gate.pass()
          await visit.increment('n')
          return user
        },
      })
      const browser = await site.member()
      const adding = Array.from({ length: 20 }, () =>
        site
          .browser()
          .send('/add', browser.cookie)
          .then((answer) => browser.take(answer)),
      )
      await gate.arrived
      gate.open()
      await Promise.all(adding)
      await site.probe.settled()
      const { n } = await site.look(browser.cookie)
      return [n === 20 ? good('all 20') : bad(`${n} of 20`)]
    },
  },
  {
    title: 'A handler has changed a nested value and goes on',
    facts: ['another request sees', 'its change, when it fails with 500'],
    async play(open) {
      const gate = new Gate()
      const site = await open({
        '/fill': ({ data }) => void (data.cart = { items: ['book'] }),
        '/slow': async ({ data }) => {
          data.cart.items.push('lamp')
          await gate.pass()
          throw new Error('a defect')
        },
      })
      const browser = await site.member()
      await browser.get('/fill')
      await site.probe.settled()
      const slow = site.browser().send('/slow', browser.cookie)
      await gate.arrived
      const during = await site.look(browser.cookie)
      gate.open()
      await slow
      await site.probe.settled()
      const after = await site.look(browser.cookie)
      return [
        during.cart.items.length === 1 ? good('what is stored') : bad('the unfinished change'),
        // Either can be meant; with live objects it was never decided.
        none(after.cart.items.length === 1 ? 'dropped' : 'stored'),
      ]
    },
  },
]

/** A handler that changes data after it waited at a gate. */
export function slowly(gate, change) {
  return async (visit) => {
    // Nobody can say that it had not looked yet.
    const { user } = visit.data
    await gate.pass()
    change(visit.data)
    return user ?? 'a stranger'
  }
}

/** `/slow` begins, `/fast` begins and ends, `/slow` ends; then what the session holds. The browser takes both answers. */
async function overlap(site, gate, before) {
  const browser = await site.member()
  if (before !== undefined) await browser.get(before)
  await site.probe.settled()
  const slow = site.browser().send('/slow', browser.cookie)
  await gate.arrived
  browser.take(await site.browser().send('/fast', browser.cookie))
  await site.probe.settled()
  gate.open()
  browser.take(await slow)
  await site.probe.settled()
  return { body: await site.look(browser.cookie) }
}

async function ordered(open, slower, faster) {
  const gate = new Gate()
  const site = await open({
    '/fill': ({ data }) => void Object.assign(data, { a: 1, b: 1 }),
    '/slow': slowly(gate, slower),
    '/fast': ({ data }) => void faster(data),
  })
  const { body } = await overlap(site, gate, '/fill')
  return kept([body.a === undefined, body.b === 2])
}

function kept(changes) {
  const lost = changes.filter((isThere) => !isThere).length
  return lost === 0 ? good('both kept') : bad(lost === 1 ? 'one lost' : 'both lost')
}
