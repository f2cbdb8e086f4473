// A stream signs its user out as its page goes away, hours after the session got a new id in another request.
import { once } from 'node:events'
import { Barrier } from '../support/faults.ts'
import { claim, HOUR } from '../support/scene.ts'

claim('a logout as a connection closes ends the session under its new id', async (t, stage) => {
  const { visitor, clock, scene } = stage
  await visitor.does((session) => session.signIn('ada'))
  const old = await visitor.publicId()
  const [page, open, over] = [new AbortController(), new Barrier(), new Barrier()]
  const stream = visitor.does(
    async (session, { req }) => {
      t.false(session.signal.aborted)
      const closed = once(req.socket, 'close')
      await open.pass()
      await closed
      await session.destroy()
      over.open()
    },
    { signal: page.signal },
  )
  await open.arrived
  await visitor.does((session) => session.regenerate())
  const successor = await visitor.snapshot()
  clock.advance(HOUR)
  // A sweep, or the server, has deleted the tombstone.
  await scene.store.delete(old)

  open.open()
  page.abort()
  await t.throwsAsync(stream, { any: true, name: 'AbortError' })
  await over.pass()

  t.is(await successor.origin(), 'expired')
  t.deepEqual(await scene.live(), [])
})
