// Under a new id, a change that is not kept is stored nowhere: it is in conflict with nothing.
import { claim, type Contents } from '../support/scene.ts'
import type { SessionManager } from '../../src/index.ts'

const anew: Readonly<Record<string, (session: SessionManager<Contents>) => Promise<void>>> = {
  'a fresh start': (session) => session.regenerate({ keep: false }),
  'a sign-in that keeps nothing': (session) => session.signIn('eve', { keep: false }),
  'a sign-in over another owner': (session) => session.signIn('eve'),
  'a sign-in that keeps another key': (session) => session.signIn('ada', { keep: ['b'] }),
  'a new id that keeps another key': (session) => session.regenerate({ keep: ['b'] }),
}

for (const onConflict of ['throw', 'merge'] as const)
  for (const [what, begin] of Object.entries(anew))
    claim(
      `with onConflict '${onConflict}', ${what} meets no conflict of a change that it drops`,
      { onConflict },
      async (t, { visitor, scene }) => {
        await visitor.does((session) => session.signIn('ada'))
        await visitor.does(({ data }) => (data.a = 1))

        const { status, code } = await visitor.does(async (session) => {
          session.data.a = 2
          await visitor.does(({ data }) => (data.a = 3))
          await begin(session)
        })

        t.deepEqual([status, code], [200, undefined])
        t.deepEqual(scene.heard('conflict'), [])
        t.deepEqual(await visitor.sees(), {})
        t.is((await scene.live()).length, 1)
      },
    )
