// With koaSession, data that the schema refuses reads as empty. What empties it on purpose is stored all the same: a process that
// runs the version before must not find it again.
import test from 'ava'
import type { StandardSchema } from '../../src/record/schema.ts'
import { mounted, type Handler, type Session, type Things } from '../support/mounted.ts'

/** n is a number above 0, where it is there. */
const positive: StandardSchema<Things> = {
  '~standard': {
    validate: (value) => {
      const { n } = value as Things
      return n === undefined || n > 0 ? { value: value as Things } : { issues: [{ message: 'too small', path: ['n'] }] }
    },
  },
}

const clearing: Readonly<Record<string, (session: Session) => unknown>> = {
  'clear()': (session) => session.clear(),
  'session.data = {}': (session) => (session.data = {}),
  'clear() and save()': (session) => (session.clear(), session.save()),
  'clear() and an update() that changes nothing': (session) => (session.clear(), session.update(() => undefined)),
}

for (const [what, clear] of Object.entries(clearing)) {
  test(`with koaSession ${what} empties stored data that does not satisfy the schema`, async (t) => {
    const handlers: Readonly<Record<string, Handler>> = {
      '/in': ({ data }) => void Object.assign(data, { name: 'ada', n: -1 }),
      '/out': async (session) => {
        await clear(session)
      },
      '/read': ({ data }) => ({ ...data }),
    }
    const before = await mounted(t, {}, handlers)
    const browser = before.browser()
    await browser.get('/in')
    const now = await mounted(t, { store: before.store, schema: positive, koaSession: true }, handlers)

    t.is((await now.browser().send('/out', await browser.cookie())).status, 200)

    t.is((await browser.get('/read')).body, '{}')
  })
}

test('with koaSession clear() of data that the schema refuses signs an owner out whom data names', async (t) => {
  const owner = ({ name }: Things): string | undefined => name
  const handlers: Readonly<Record<string, Handler>> = {
    '/in': ({ data }) => void Object.assign(data, { name: 'ada', n: -1 }),
    '/out': (session) => session.clear(),
  }
  const before = await mounted(t, { owner }, handlers)
  const browser = before.browser()
  await browser.get('/in')
  const now = await mounted(t, { store: before.store, schema: positive, koaSession: true, owner }, handlers)

  t.is((await now.browser().send('/out', await browser.cookie())).status, 200)

  t.deepEqual(await before.middleware.list('ada'), [])
})
