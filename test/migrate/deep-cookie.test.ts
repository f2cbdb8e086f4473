import test from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { after, ours } from '../support/deployed.ts'
import { signed } from '../support/old-sessions.ts'

test('an old cookie whose data is nested deeper than the stack goes on', async (t) => {
  const app = await after(t, fromKoaSession(), {}, { overlap: '1h' })
  const deep = `{"a":${'['.repeat(5000)}${']'.repeat(5000)},"user":"ada"}`
  const cookie = signed(Buffer.from(deep).toString('base64'))
  const first = await app.browser().send('/', cookie)

  t.is(first.body, 'ada {}')
  t.is((await app.browser().send('/', `${ours(first)}; ${cookie}`)).body, 'ada {}')
})
