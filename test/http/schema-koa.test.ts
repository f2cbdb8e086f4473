// With koaSession and no codec of the app's own, what a schema makes of data is kept as JSON.stringify writes it.
import test from 'ava'
import type { StandardSchema } from '../../src/record/schema.ts'
import { mounted, type Things } from '../support/mounted.ts'

test('with koaSession a schema may make what JSON leaves out of data: it is left out, not null', async (t) => {
  const before = await mounted(t, {}, { '/': ({ data }) => (data.n = 1) })
  const browser = before.browser()
  await browser.get('/')
  const told: unknown[] = []
  const made = { thing: () => 1, other: { toJSON: (key: unknown) => (told.push(key), 'text') } }
  const schema: StandardSchema<Things> = {
    '~standard': { validate: (value) => ({ value: { ...(value as Things), ...made } }) },
  }
  const app = await mounted(
    t,
    { store: before.store, koaSession: true, schema },
    {
      '/': ({ data }) => Object.entries(data),
    },
  )

  t.is((await app.browser().send('/', await browser.cookie())).body, '[["n",1],["other","text"]]')
  t.deepEqual(told, ['other'])
})
