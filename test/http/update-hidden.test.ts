// An update that failed stores nothing, also where the schema hides what is stored.
import test from 'ava'
import type { StandardSchema } from '../../src/record/schema.ts'
import { mounted, type Handler, type Things } from '../support/mounted.ts'

test('with koaSession an update that failed empties no data that the schema refuses', async (t) => {
  const positive: StandardSchema<Things> = {
    '~standard': {
      validate: (value) =>
        ((value as Things).n ?? 1) > 0
          ? { value: value as Things }
          : { issues: [{ message: 'too small', path: ['n'] }] },
    },
  }
  const handlers: Readonly<Record<string, Handler>> = {
    '/in': ({ data }) => void Object.assign(data, { name: 'ada', n: -1 }),
    '/fail': async (session) => {
      const failing = session.update(() => {
        session.data = {}
        throw new Error('on purpose')
      })
      await t.throwsAsync(failing, { message: 'on purpose' })
    },
    '/read': ({ data }) => ({ ...data }),
  }
  const before = await mounted(t, {}, handlers)
  const browser = before.browser()
  await browser.get('/in')
  const now = await mounted(t, { store: before.store, schema: positive, koaSession: true }, handlers)

  t.is((await now.browser().send('/fail', await browser.cookie())).status, 200)

  t.is((await browser.get('/read')).body, '{"name":"ada","n":-1}')
})
