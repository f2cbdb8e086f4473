// After the overlap a request may come with the old cookie alone: from another site, where ours is SameSite=Strict, or as a copy.
import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const HOUR = DAY / 24

for (const isStored of [true, false])
  test(`an old cookie alone signs nobody out after the overlap, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
    let time = Date.now()
    const now = (): number => time
    const ends = { _expire: time + 9 * DAY, _maxAge: 9 * DAY }
    const old = new OldStore(['k1', { user: 'ada', ...ends }])
    const app = await after(t, fromKoaSession(isStored ? { store: old } : {}), { now }, { overlap: '1h', now })
    const cookie = isStored ? signed('k1') : inCookie({ user: 'ada' }, ends)
    const mine = ours(await app.browser().send('/', cookie))
    time += 2 * HOUR

    t.is((await app.browser().send('/', cookie)).body, 'nobody {}')
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
  })

test('an old cookie beside the session of another user signs nobody out after the overlap', async (t) => {
  let time = Date.now()
  const now = (): number => time
  const old = new OldStore(['k1', { user: 'ada', _expire: time + 9 * DAY, _maxAge: 9 * DAY }])
  const app = await after(t, fromKoaSession({ store: old }), { now }, { overlap: '1h', now })
  const mine = ours(await app.browser().send('/', signed('k1')))
  const eves = ours(await app.browser().send('/other', ''))
  time += 1.5 * HOUR

  t.is((await app.browser().send('/', `${eves}; ${signed('k1')}`)).body, 'eve {}')
  t.is((await app.browser().send('/', mine)).body, 'ada {}')
})
