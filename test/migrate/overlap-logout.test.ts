// A logout at an old process, of a user who comes back only when the overlap is over.
import test, { type ExecutionContext } from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

const HOUR = DAY / 24

const places = ['with a store', 'with a store and no end', 'in the cookie'] as const

/** A user of an old process, taken over with an overlap of an hour; `mine` is the cookie of ours, `cookie` the old one. */
async function takenOver(t: ExecutionContext, place: (typeof places)[number]) {
  const clock = { now: Date.now() }
  const now = (): number => clock.now
  const isStored = place !== 'in the cookie'
  // Without an end, as koa-session with maxAge: 'session', and express-session without a maxAge, leave it.
  const life =
    place === 'with a store and no end' ? { _session: true } : { _expire: clock.now + 9 * DAY, _maxAge: 9 * DAY }
  const old = new OldStore(['k1', { user: 'ada', ...life }])
  const app = await after(t, fromKoaSession(isStored ? { store: old } : {}), { now }, { overlap: '1h', now })
  const cookie = isStored ? signed('k1') : inCookie({ user: 'ada' }, life)
  const mine = ours(await app.browser().send('/', cookie))
  return { app, clock, cookie, isStored, mine, old }
}

for (const place of places)
  test(`who has signed out there during the overlap is signed out here, whenever he comes back, ${place}`, async (t) => {
    const { app, clock, mine, old } = await takenOver(t, place)
    // A process of before ends the record, and clears its cookies.
    old.records.delete('k1')
    clock.now += 1.5 * HOUR

    t.is((await app.browser().send('/', mine)).body, 'nobody {}')
  })

for (const place of places)
  test(`who has not goes on after the overlap, with all requests that come at once, ${place}`, async (t) => {
    const { app, clock, cookie, isStored, mine, old } = await takenOver(t, place)
    clock.now += 1.5 * HOUR

    for (const answer of await Promise.all([1, 2, 3, 4].map(() => app.browser().send('/', `${mine}; ${cookie}`))))
      t.is(answer.body, 'ada {}')
    // The old cookies are cleared, and the old record has ended: neither is missed.
    t.is(old.records.has('k1'), !isStored)
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
    t.is((await app.browser().send('/', mine)).body, 'ada {}')
  })
