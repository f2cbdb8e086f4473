// Overlapping requests of one process: what the process knows already is not asked of the store again.
import test from 'ava'
import { Barrier } from './support/faults.ts'
import { mounted, type Mounted, type Session } from './support/mounted.ts'

interface Overlap {
  readonly app: Mounted
  readonly slow: string
  readonly seen: unknown
}

/** `slow` is loaded, then `fast` begins and ends, then `slow` is committed; the store counts from `fast`'s end on. */
async function overlap(t: Parameters<typeof mounted>[0], options: Parameters<typeof mounted>[1], slow: (session: Session) => unknown, fast: (session: Session) => unknown): Promise<Overlap> {
  const worked = new Barrier()
  const app = await mounted(t, options, {
    '/begin': ({ data }) => (data.n = 1),
    '/slow': async (session) => {
      await slow(session)
      await worked.pass()
    },
    '/fast': fast,
    '/see': ({ data }) => data,
  })
  const browser = app.browser()
  await browser.get('/begin')
  const late = browser.get('/slow')
  await worked.arrived
  await browser.get('/fast')
  app.store.counted()
  worked.open()
  const { status } = await late
  const calls = app.store.counted()
  return { app, slow: `${status} ${JSON.stringify(calls)}`, seen: JSON.parse((await browser.get('/see')).body) }
}

test('a request that was overtaken in this process writes over what the other wrote, without a refusal first', async (t) => {
  const { slow, seen } = await overlap(t, {}, ({ data }) => (data.name = 'slow'), ({ data }) => (data.other = 'fast'))

  t.is(slow, '200 {"replace":1}')
  t.deepEqual(seen, { n: 1, name: 'slow', other: 'fast' })
})

test('before a change is refused as a conflict the store is asked', async (t) => {
  const { slow, seen } = await overlap(t, { onConflict: 'throw' }, ({ data }) => (data.n = 2), ({ data }) => (data.n = 3))

  t.is(slow, '409 {"read":1,"replace":1}')
  t.deepEqual(seen, { n: 3 })
})

test('however often it was overtaken, one write is enough', async (t) => {
  const { slow, seen } = await overlap(t, {}, ({ data }) => (data.name = 'slow'), async (session) => {
    for (let n = 2; n < 6; n++) {
      session.data.n = n
      await session.save()
    }
  })

  t.is(slow, '200 {"replace":1}')
  t.deepEqual(seen, { n: 5, name: 'slow' })
})

test('a session that another request of this process ended is gone for it', async (t) => {
  const { slow, seen } = await overlap(t, {}, ({ data }) => (data.name = 'slow'), (session) => session.destroy())

  t.is(slow, '409 {"replace":1}')
  t.deepEqual(seen, {})
})

test('a session that was changed and then replaced by a new id is not written under the old one', async (t) => {
  const { slow, seen } = await overlap(t, {}, ({ data }) => (data.name = 'slow'), async (session) => {
    session.data.other = 'fast'
    await session.save()
    await session.regenerate()
  })

  t.regex(slow, /^409 /)
  t.deepEqual(seen, { n: 1, other: 'fast' })
})
