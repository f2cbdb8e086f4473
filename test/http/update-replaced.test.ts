// What takes the place of data that the schema hides, inside an update's function and beside it.
import test, { type ExecutionContext } from 'ava'
import type { StandardSchema } from '../../src/record/schema.ts'
import { Barrier } from '../support/faults.ts'
import { mounted, type Handler, type Mounted, type Things } from '../support/mounted.ts'

const positive: StandardSchema<Things> = {
  '~standard': {
    validate: (value) =>
      ((value as Things).n ?? 1) > 0 ? { value: value as Things } : { issues: [{ message: 'too small', path: ['n'] }] },
  },
}

/** What is stored of a session that the schema hides, after a request of it. */
async function after(t: ExecutionContext, handler: Handler): Promise<[status: number, stored: string, app: Mounted]> {
  const handlers: Readonly<Record<string, Handler>> = {
    '/in': ({ data }) => void Object.assign(data, { name: 'ada', n: -1 }),
    '/read': ({ data }) => ({ ...data }),
    '/': handler,
  }
  const before = await mounted(t, {}, handlers)
  const browser = before.browser()
  await browser.get('/in')
  const app = await mounted(t, { store: before.store, schema: positive, koaSession: true }, handlers)
  const { status } = await app.browser().send('/', await browser.cookie())
  return [status, (await browser.get('/read')).body, app]
}

test('clear() beside an update that fails is stored', async (t) => {
  const [status, stored] = await after(t, async (session) => {
    const barrier = new Barrier()
    const failing = session.update(async () => {
      await barrier.pass()
      throw new Error('on purpose')
    })
    await barrier.arrived
    session.clear()
    barrier.open()
    await t.throwsAsync(failing, { message: 'on purpose' })
  })

  t.deepEqual([status, stored], [200, '{}'])
})

test('an update that replaces data by nothing has stored that when it resolves', async (t) => {
  const [status, stored] = await after(t, async (session) => {
    await session.update(() => {
      session.data = {}
    })
    throw new Error('on purpose')
  })

  t.deepEqual([status, stored], [500, '{}'])
})

test('an update that replaces data stores it once', async (t) => {
  const [status, stored, { store }] = await after(t, async (session) => {
    await session.update(() => {
      session.data = { n: 1 }
    })
  })

  t.deepEqual([status, stored], [200, '{"n":1}'])
  t.is(store.calls.replace, 1)
})
