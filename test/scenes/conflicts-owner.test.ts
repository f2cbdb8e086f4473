// Over another owner's session a sign-in keeps no data that it does not list: a change of that data is in conflict with nothing.
import { claim, type Options } from '../support/scene.ts'

const both: readonly Options[] = [{ onConflict: 'throw' }, { onConflict: 'merge' }]

for (const options of both)
  claim(
    `with onConflict '${String(options.onConflict)}', a sign-in over another owner meets no conflict`,
    options,
    async (t, { visitor, scene }) => {
      await visitor.does((session) => session.signIn('ada'))
      await visitor.does(({ data }) => (data.a = 1))

      const { status, code } = await visitor.does(async (session) => {
        session.data.a = 2
        await visitor.does(({ data }) => (data.a = 3))
        await session.signIn('eve')
      })

      t.deepEqual([status, code], [200, undefined])
      t.deepEqual(scene.heard('conflict'), [])
      t.deepEqual(await visitor.sees(), {})
    },
  )
