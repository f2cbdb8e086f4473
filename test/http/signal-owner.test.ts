// A sign-in over another owner ends the signals of other requests, also where its request had given the session a new id before.
import test from 'ava'
import { Barrier } from '../support/faults.ts'
import { mounted } from '../support/mounted.ts'
import { turns } from '../support/stopped-clock.ts'

for (const way of ['before', 'after', 'not at all'])
  test(`data that names another owner aborts the signals of the former one; regenerate(): ${way}`, async (t) => {
    const held = new Barrier()
    let signal: AbortSignal | undefined
    const app = await mounted(
      t,
      { logger: {}, owner: ({ name }) => name },
      {
        '/ada': ({ data }) => (data.name = 'ada'),
        '/watch': async (session) => {
          ;({ signal } = session)
          await held.pass()
        },
        '/eve': async (session) => {
          if (way === 'before') await session.regenerate()
          session.data.name = 'eve'
          if (way === 'after') await session.regenerate()
        },
      },
    )
    t.teardown(() => held.open())
    const browser = app.browser()
    await browser.get('/ada')
    const watched = (await browser.twin()).get('/watch')
    await held.arrived
    t.false(signal?.aborted)

    t.is((await browser.get('/eve')).status, 200)
    await turns()

    t.true(signal?.aborted)
    held.open()
    await watched
  })
