// The signal of a request whose sign-in by data follows that of a parallel request.
import { claim } from '../support/scene.ts'

claim(
  'the next look at the signal is at the session of another owner that the request has joined',
  { owner: (data) => data.profile?.name },
  async (t, { visitor, site }) => {
    await visitor.does(({ data }) => void (data.profile = { name: 'ada' }))
    const slow = await (
      await visitor.snapshot()
    ).starts(async (session, wait) => {
      const { signal } = session
      await wait()
      session.data.profile = { name: 'bob' }
      await session.save()
      const next = session.signal
      const before = next.aborted
      await site.middleware.destroy(session.publicId)
      return [session.owner, signal.aborted, before, next.aborted]
    })
    await visitor.does(({ data }) => void (data.profile = { name: 'bob' }))

    t.deepEqual((await slow.ends()).result, ['bob', true, false, true])
  },
)
