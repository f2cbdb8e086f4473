// Who signs out at an old process during the overlap ends the streams of the new ones as well, without a further request.
import { once } from 'node:events'
import { mock } from 'node:test'
import test, { type ExecutionContext } from 'ava'
import { fromKoaSession } from '../../src/migrate.ts'
import { ada, after, ours, type Site } from '../support/deployed.ts'
import { DAY, OldStore, signed } from '../support/old-sessions.ts'
import { turns } from '../support/stopped-clock.ts'

// The old sessions are looked at when a test says so.
mock.timers.enable({ apis: ['setInterval'] })
const LOOK = 4000

interface Stream {
  readonly site: Site
  readonly old: OldStore
  readonly mine: string
  readonly signal: AbortSignal
  readonly hangUp: () => void
}

/** A session that was taken over, and a response of it that goes on. */
async function streaming(t: ExecutionContext, name: string): Promise<Stream> {
  const old = new OldStore(ada(), ['visitor', { cart: ['pen'], _expire: Date.now() + DAY, _maxAge: DAY }])
  const site = await after(t, fromKoaSession({ store: old }))
  const mine = ours(await site.browser().send('/', signed(name)))
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const begun = once(site.app, 'stream')
  void fetch(`${site.url}/stream`, { headers: { cookie: mine }, signal: leaving.signal }).catch(() => undefined)
  const [signal] = (await begun) as [AbortSignal]
  return { site, old, mine, signal, hangUp: () => leaving.abort() }
}

/** Lets the interval pass, and gives a look the time that it takes. @returns how often the old store was asked. */
async function look({ old }: Stream): Promise<number> {
  const before = old.asked
  mock.timers.tick(LOOK)
  await turns(50)
  return old.asked - before
}

for (const isRenewed of [false, true])
  test.serial(
    `session.signal aborts after a logout at an old process, after a new id as well: ${isRenewed}`,
    async (t) => {
      const stream = await streaming(t, 'k1')
      const { site, old, signal } = stream
      const mine = isRenewed ? ours(await site.browser().send('/again', stream.mine)) : stream.mine
      t.is(await look(stream), 1)
      t.false(signal.aborted)
      old.isDown = true
      t.is(await look(stream), 1)
      t.false(signal.aborted, 'an outage of the old store ends nothing')
      old.isDown = false

      old.records.delete('k1')
      await look(stream)

      t.true(signal.aborted, 'without a further request')
      t.regex((await site.browser().send('/', mine)).body, /^nobody/)
    },
  )

for (const name of ['k1', 'visitor'])
  test.serial(`who signs in, which ends the old session, stays signed in beside an open stream: ${name}`, async (t) => {
    const stream = await streaming(t, name)
    const { site, old, mine } = stream
    const eve = ours(await site.browser().send('/other', `${mine}; ${signed(name)}`))
    t.false(old.records.has(name))

    await look(stream)

    t.regex((await site.browser().send('/', eve)).body, /^eve/)
  })

test.serial('the old session is not looked at before somebody waits for the end, nor after the response', async (t) => {
  const stream = await streaming(t, 'k1')
  const { site, mine, hangUp } = stream
  await site.browser().send('/', mine)
  t.is(await look(stream), 1, 'a response that is over is not watched')

  const over = once(site.app, 'streamed')
  hangUp()
  await over
  t.is(await look(stream), 0)
})
