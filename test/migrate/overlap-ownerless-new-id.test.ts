import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'

test('an old cookie alone ends no session of nobody that got a new id', async (t) => {
  let time = Date.now()
  const now = (): number => time
  const old = new OldStore(['k1', { cart: ['book'], _expire: time + 9 * DAY, _maxAge: 9 * DAY }])
  const app = await after(t, fromKoaSession({ store: old }), { now }, { overlap: '1d', now })
  const mine = ours(await app.browser().send('/', signed('k1')))
  const again = ours(await app.browser().send('/again', `${mine}; ${signed('k1')}`))
  time += 120_000

  t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}')
  t.is((await app.browser().send('/', again)).body, 'nobody {"cart":["book"]}')
})
