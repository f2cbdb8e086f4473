// Two versions of the package in one process: a dependency may still have the one before, whose scopes know no updates.
import test from 'ava'
import type * as current from '../../src/index.ts'
import { currentSession, session, type StandardSchema } from '../../src/index.ts'
import { KEYS, servedMiddlewares } from '../support/app.ts'
import { PREVIOUS, release } from '../support/releases.ts'

interface Counted {
  count?: number
}

const other = (await import(release(PREVIOUS).index)) as typeof current
const admin = other.session({ keys: KEYS, stateKey: 'admin', cookie: { name: 'admin' } })
const count = (data: Counted): number => (data.count = (data.count ?? 0) + 1)

test('inside a middleware of the version before, the sessions around it can be updated', async (t) => {
  const sessions = session<Counted>()
  const app = await servedMiddlewares(t, sessions, admin, async (ctx) => {
    const mine = currentSession<Counted>('session')
    await mine.update(count)
    const found = await sessions.update(mine.publicId, (data) => {
      count(data)
      return currentSession<object>('admin')
    })
    t.is<unknown, unknown>(found, ctx.state['admin'])
    ctx.body = await mine.update(count)
  })

  t.is((await app.browser().get('/')).body, '3', String(app.errors[0]))
})

test('below a middleware of the version before, a schema checks the data that is loaded', async (t) => {
  const schema: StandardSchema<Counted> = { '~standard': { validate: (value) => ({ value: value as Counted }) } }
  const app = await servedMiddlewares(t, admin, session({ schema }), (ctx) => {
    ctx.body = count(currentSession<Counted>().data)
  })
  const browser = app.browser()
  await browser.get('/')

  t.is((await browser.get('/')).body, '2', String(app.errors[0]))
})
