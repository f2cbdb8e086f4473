// A logout at an old process, of a user who comes back only when the overlap is over.
import test, { type ExecutionContext } from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const HOUR = DAY / 24

/** A user of an old process, taken over with an overlap of an hour; `mine` is the cookie of ours, `cookie` the old one. */
async function takenOver(t: ExecutionContext, isStored: boolean) {
  const clock = { now: Date.now() }
  const now = (): number => clock.now
  const life = { _expire: clock.now + 9 * DAY, _maxAge: 9 * DAY }
  const old = new OldStore(['k1', { user: 'ada', ...life }])
  const app = await after(t, fromKoaSession(isStored ? { store: old } : {}), { now }, { overlap: '1h', now })
  const cookie = isStored ? signed('k1') : inCookie({ user: 'ada' }, life)
  const mine = ours(await app.browser().send('/', cookie))
  return { app, clock, cookie, mine, old }
}

for (const isStored of [true, false])
  test(`who has signed out there during the overlap is signed out here, whenever he comes back, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
    const { app, clock, mine, old } = await takenOver(t, isStored)
    // A process of before ends the record, and clears its cookies.
    old.records.delete('k1')
    clock.now += 2 * HOUR

    t.is((await app.browser().send('/', mine)).body, 'nobody {}')
  })

for (const isStored of [true, false])
  test(`who has not goes on after the overlap, with all requests that come at once, ${isStored ? 'with a store' : 'in the cookie'}`, async (t) => {
    const { app, clock, cookie, mine, old } = await takenOver(t, isStored)
    clock.now += 2 * HOUR

    for (const answer of await Promise.all([1, 2, 3, 4].map(() => app.browser().send('/', `${mine}; ${cookie}`))))
      t.is(answer.body, 'ada {}')
    // The old cookies are cleared, and the old record has ended: neither is missed.
    t.is(old.records.has('k1'), !isStored)
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
  })
