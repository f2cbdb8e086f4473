// A logout at an old process, of a user who comes back only when the overlap is over.
import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const HOUR = DAY / 24

for (const isStored of [true, false])
  test(`who has signed out there during the overlap is signed out here, whenever he comes back, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
    let time = Date.now()
    const now = (): number => time
    const old = new OldStore(['k1', { user: 'ada', _expire: time + 9 * DAY, _maxAge: 9 * DAY }])
    const app = await after(t, fromKoaSession(isStored ? { store: old } : {}), { now }, { overlap: '1h', now })
    const cookie = isStored ? signed('k1') : inCookie({ user: 'ada' }, { _expire: time + 9 * DAY, _maxAge: 9 * DAY })
    const mine = ours(await app.browser().send('/', cookie))
    // A process of before ends the record, and clears its cookies.
    old.records.delete('k1')
    time += 2 * HOUR

    t.is((await app.browser().send('/', mine)).body, 'nobody {}')
  })

for (const isStored of [true, false])
  test(`who has not goes on after the overlap, with all requests that come at once, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
    let time = Date.now()
    const now = (): number => time
    const old = new OldStore(['k1', { user: 'ada', _expire: time + 9 * DAY, _maxAge: 9 * DAY }])
    const app = await after(t, fromKoaSession(isStored ? { store: old } : {}), { now }, { overlap: '1h', now })
    const cookie = isStored ? signed('k1') : inCookie({ user: 'ada' }, { _expire: time + 9 * DAY, _maxAge: 9 * DAY })
    const mine = ours(await app.browser().send('/', cookie))
    time += 2 * HOUR

    for (const answer of await Promise.all([1, 2, 3, 4].map(() => app.browser().send('/', `${mine}; ${cookie}`))))
      t.is(answer.body, 'ada {}')
    // The old cookies are cleared, and the old record has ended: neither is missed.
    t.is(old.records.has('k1'), !isStored)
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
  })
