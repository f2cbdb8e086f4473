// Without a store koa-session's cookie is its data. With `maxAge: 'session'` nothing else is in it, so that browsers whose data is
// equal have equal cookies: they are no copies of one another.
import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, inCookie } from '../support/old-sessions.ts'

const UNTIL_CLOSED = { _session: true }

for (const overlap of [0, '1h'] as const) {
  test(`with overlap ${overlap}, visitors with equal cookies have sessions of their own`, async (t) => {
    for (const ends of [UNTIL_CLOSED, { _expire: Date.now() + DAY, _maxAge: DAY }]) {
      const app = await after(t, fromKoaSession(), {}, { overlap })
      const cookie = inCookie({ cart: ['book'] }, ends)
      const one = `${ours(await app.browser().send('/', cookie))}; ${cookie}`
      const other = `${ours(await app.browser().send('/', cookie))}; ${cookie}`
      await app.browser().send('/count', one)

      t.is((await app.browser().send('/', other)).body, 'nobody {"cart":["book"]}')
      t.is((await app.browser().send('/', one)).body, 'nobody {"cart":["book"],"n":1}')
    }
  })

  test(`with overlap ${overlap}, a user's second browser goes on as well, however late it comes`, async (t) => {
    let time = Date.now()
    const now = (): number => time
    const app = await after(t, fromKoaSession(), { now }, { overlap, now })
    const cookie = inCookie({ user: 'ada' }, UNTIL_CLOSED)
    const phone = ours(await app.browser().send('/', cookie))
    time += DAY / 12
    const laptop = ours(await app.browser().send('/', cookie))

    t.not(laptop, phone)
    t.is((await app.browser().send('/', `${laptop}; ${cookie}`)).body, 'ada {}')
  })
}
