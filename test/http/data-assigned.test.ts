// What data as a whole is replaced by: nothing of it is lost without a word.
import test from 'ava'
import { mounted } from '../support/mounted.ts'

test('a symbol for a key is refused in an object that replaces data, as it is in one that is assigned to it', async (t) => {
  const given = { n: 1, [Symbol('mark')]: 2 }
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        t.throws(() => Object.assign(session.data, given), { code: 'ERR_SESSION_VALUE' })
        t.throws(() => (session.data = given), { code: 'ERR_SESSION_VALUE' })
      },
    },
  )

  t.is((await app.browser().get('/')).status, 200)
})
