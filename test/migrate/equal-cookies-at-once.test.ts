// A user whose old cookie tells no end: his first requests come at once, and make one session, as those of other users do.
import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { inCookie } from '../support/old-sessions.ts'

for (const overlap of [0, '1h'] as const)
  test(`with overlap ${overlap}, first requests of a user at once sign nobody out, and lose nothing`, async (t) => {
    const app = await after(t, fromKoaSession(), { maxPerOwner: 1 }, { overlap })
    const cookie = inCookie({ user: 'ada' }, { _session: true })
    const answers = await Promise.all([1, 2, 3].map(() => app.browser().send('/count', cookie)))

    for (const answer of answers)
      t.is((await app.browser().send('/', `${ours(answer)}; ${overlap === 0 ? '' : cookie}`)).body, 'ada {"n":3}')
  })

test('a copy of an old cookie that tells no end signs nobody in after a logout', async (t) => {
  const app = await after(t, fromKoaSession(), {}, { overlap: 0 })
  const cookie = inCookie({ user: 'ada' }, { _session: true })
  const mine = ours(await app.browser().send('/', cookie))
  t.is((await app.browser().send('/logout', mine)).body, 'done')

  t.is((await app.browser().send('/', cookie)).body, 'nobody {}')
})
