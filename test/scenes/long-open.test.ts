// Requests that stay open longer than the tombstone that a new id leaves: WebSockets, server-sent events, streams.
import { claim, HOUR } from '../support/scene.ts'

claim('a logout from a request that is open for hours ends the session under its new id', async (t, stage) => {
  const { visitor, clock, scene } = stage
  await visitor.does((session) => session.signIn('ada'))
  const old = await visitor.publicId()
  const logout = await visitor.starts(async (session, wait) => {
    t.false(session.signal.aborted)
    await wait()
    await session.destroy()
  })
  await visitor.does((session) => session.regenerate())
  const successor = await visitor.snapshot()
  clock.advance(HOUR)
  // A sweep, or the server, has deleted the tombstone.
  await scene.store.delete(old)

  t.is((await logout.ends()).status, 200)

  t.is(await successor.origin(), 'expired')
  t.deepEqual(await scene.live(), [])
})
