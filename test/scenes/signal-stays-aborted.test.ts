// The signal of a session that has ended stays aborted, whatever the request learns of that session afterwards.
import { claim } from '../support/scene.ts'

claim('the signal of a session that ends while a save is answered stays aborted', async (t, stage) => {
  const { visitor, store, site } = stage
  await visitor.does(({ data }) => void (data.a = 1))

  const { result } = await visitor.does(async (session) => {
    const { signal } = session
    const stop = store.pause('replace', 'after')
    session.data.a = 2
    const saved = session.save()
    await stop.arrived
    await site.middleware.destroy(session.publicId)
    stop.open()
    await saved
    return [signal.aborted, session.signal.aborted, session.signal === signal]
  })

  t.deepEqual(result, [true, true, true])
})
