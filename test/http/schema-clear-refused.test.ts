// A schema that wants keys refuses what is stored: what drops the data works all the same, and leaves it empty.
import test from 'ava'
import type { SessionError } from '../../src/index.ts'
import type { StandardSchema } from '../../src/record/schema.ts'
import { mounted, type Session, type Things } from '../support/mounted.ts'

const named: StandardSchema<Things> = {
  '~standard': {
    validate: (value) =>
      typeof (value as Things).name === 'string' ? { value: value as Things } : { issues: [{ message: 'no' }] },
  },
}

const ways: Readonly<Record<string, (session: Session) => unknown>> = {
  'signIn()': (session) => session.signIn('ada'),
  'regenerate({ keep: false })': (session) => session.regenerate({ keep: false }),
  'clear()': (session) => session.clear(),
  'clear() and save()': (session) => (session.clear(), session.save()),
}

for (const [way, drop] of Object.entries(ways)) {
  test(`${way} drops stored data that the schema refuses, also where the schema wants keys`, async (t) => {
    const old = await mounted(t, {}, { '/old': (session) => (session.data.n = 1) })
    const browser = old.browser()
    await browser.get('/old')
    const now = await mounted(
      t,
      { store: old.store, schema: named },
      {
        '/drop': async (session) => {
          await drop(session)
        },
      },
    )

    t.is((await now.browser().send('/drop', await browser.cookie())).status, 200)
    t.deepEqual(
      now.errors.map((error) => (error as SessionError).code),
      [],
    )
  })
}
