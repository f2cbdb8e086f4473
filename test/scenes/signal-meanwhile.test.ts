// The signal that a request reads for the first time while its own session begins anew.
import { claim, type Handler } from '../support/scene.ts'

const begins: Readonly<Record<string, Handler<Promise<void>>>> = {
  'a fresh start': (session) => session.regenerate({ keep: false }),
  'a sign-in over another owner': (session) => session.signIn('bob'),
}
for (const [what, begin] of Object.entries(begins))
  claim(`the signal that a request reads during ${what} of its own does not abort`, async (t, stage) => {
    const { visitor, scene, site } = stage
    await visitor.does((session) => session.signIn('ada'))

    const { result } = await visitor.does(async (session, ctx) => {
      const stop = scene.store.pause('replace')
      const begun = begin(session, ctx)
      await stop.arrived
      const { signal } = session
      stop.open()
      await begun
      const before = signal.aborted
      await site.middleware.destroy(session.publicId)
      return [before, signal.aborted, session.signal === signal]
    })

    t.deepEqual(result, [false, true, true])
  })

claim(
  'a signal that is read while a sign-in follows an end is not that of the session that begins',
  async (t, stage) => {
    const { visitor, scene, site } = stage
    await visitor.does((session) => session.signIn('ada'))

    const { result } = await visitor.does(async (session) => {
      await site.middleware.destroy(session.publicId)
      // The first new id is that of an attempt to go on with the session.
      scene.store.pause('create').open()
      const begins = scene.store.pause('create')
      const begun = session.signIn('bob')
      await begins.arrived
      const before = session.signal.aborted
      begins.open()
      await begun
      return [before, session.signal.aborted]
    })

    t.deepEqual(result, [true, false])
  },
)
