// With koaSession, data that the schema refuses reads as empty: to look at it stores nothing. What empties it on purpose is stored
// all the same: a process that runs the version before must not find it again.
import test, { type ExecutionContext } from 'ava'
import type { SessionOptions } from '../../src/index.ts'
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

/** An app without a schema, a browser whose data the schema refuses, and what the next version of the app answers it. */
async function deployed(
  t: ExecutionContext,
  handlers: Readonly<Record<string, Handler>>,
  options: SessionOptions<Things> = {},
) {
  const enter: Handler = ({ data }) => void Object.assign(data, { name: 'ada', n: -1 })
  const before = await mounted(t, options, { ...handlers, '/in': enter })
  const browser = before.browser()
  await browser.get('/in')
  const now = await mounted(t, { store: before.store, schema: positive, koaSession: true, ...options }, handlers)
  const send = async (path: string) => (await now.browser().send(path, await browser.cookie())).status
  return { before, browser, send }
}

const clearing: Readonly<Record<string, (session: Session) => unknown>> = {
  'clear()': (session) => session.clear(),
  'session.data = {}': (session) => (session.data = {}),
  'clear() and save()': (session) => (session.clear(), session.save()),
  'clear() and an update() that changes nothing': (session) => (session.clear(), session.update(() => undefined)),
}

for (const [what, clear] of Object.entries(clearing)) {
  test(`with koaSession ${what} empties stored data that does not satisfy the schema`, async (t) => {
    const { browser, send } = await deployed(t, {
      '/out': async (session) => {
        await clear(session)
      },
      '/read': ({ data }) => ({ ...data }),
    })

    t.is(await send('/out'), 200)

    t.is((await browser.get('/read')).body, '{}')
  })
}

test('with koaSession clear() of data that the schema refuses signs an owner out whom data names', async (t) => {
  const owner = ({ name }: Things): string | undefined => name
  const { before, send } = await deployed(t, { '/out': (session) => session.clear() }, { owner })

  t.is(await send('/out'), 200)

  t.deepEqual(await before.middleware.list('ada'), [])
})

test('with koaSession a request that empties nothing leaves stored data that the schema refuses as it is', async (t) => {
  const { browser, send } = await deployed(t, {
    '/save': (session) => session.save(),
    '/read': ({ data }) => ({ ...data }),
  })

  for (const path of ['/read', '/save']) t.is(await send(path), 200)

  t.is((await browser.get('/read')).body, '{"name":"ada","n":-1}')
})
