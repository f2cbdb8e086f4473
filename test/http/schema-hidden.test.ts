// With koaSession, data that the schema refuses reads as empty: to look at it stores nothing.
import test from 'ava'
import type { StandardSchema } from '../../src/record/schema.ts'
import { mounted, type Handler, type Things } from '../support/mounted.ts'

const positive: StandardSchema<Things> = {
  '~standard': {
    validate: (value) => {
      const { n } = value as Things
      return n === undefined || n > 0 ? { value: value as Things } : { issues: [{ message: 'too small', path: ['n'] }] }
    },
  },
}

test('with koaSession a request that empties nothing leaves stored data that the schema refuses as it is', async (t) => {
  const handlers: Readonly<Record<string, Handler>> = {
    '/in': ({ data }) => void Object.assign(data, { name: 'ada', n: -1 }),
    '/save': (session) => session.save(),
    '/read': ({ data }) => ({ ...data }),
  }
  const before = await mounted(t, {}, handlers)
  const browser = before.browser()
  await browser.get('/in')
  const now = await mounted(t, { store: before.store, schema: positive, koaSession: true }, handlers)

  for (const path of ['/read', '/save']) t.is((await now.browser().send(path, await browser.cookie())).status, 200)

  t.is((await browser.get('/read')).body, '{"name":"ada","n":-1}')
})
