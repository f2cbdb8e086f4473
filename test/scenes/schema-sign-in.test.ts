// A sign-in drops data that does not satisfy the schema. All else is as with any other sign-in.
import { claim, MINUTE, type Contents, type Options } from '../support/scene.ts'

const options: Options = {
  schema: {
    '~standard': {
      validate: (value) =>
        typeof (value as Contents).a === 'string' ? { issues: [{ message: 'a' }] } : { value: value as Contents },
    },
  },
}

claim(
  'a sign-in that drops data against the schema keeps createdAt, flash messages and the lifetime of the same owner, and ends no signal',
  async (t, { visitor, scene, clock }) => {
    await visitor.does(async (session) => {
      // Data of before the schema.
      Object.assign(session.data, { a: 'one' })
      session.flash('stored', 1)
      session.maxAge = '30d'
      await session.signIn('ada')
    })
    const { createdAt } = (await scene.record(await visitor.cookie())) ?? {}
    clock.advance(MINUTE)
    const checked = await (await scene.mount(options)).visitor(await visitor.cookie())
    const tab = await checked.snapshot()
    const watching = await tab.starts(async (session, wait) => {
      const { signal } = session
      await wait()
      return signal.aborted
    })

    const reply = await checked.does(async (session) => {
      t.throws(() => session.data.a, { code: 'ERR_SESSION_SCHEMA' })
      session.flash('put', 2)
      await session.signIn('ada')
      return { ...session.data }
    })

    t.deepEqual([reply.status, reply.result], [200, {}])
    t.false((await watching.ends()).result)
    const after = await checked.does((session) => [
      session.owner,
      session.createdAt,
      session.maxAge,
      session.flash('stored'),
      session.flash('put'),
    ])
    t.deepEqual(after.result, ['ada', createdAt, 30 * 24 * 60 * MINUTE, [1], [2]])
  },
)
