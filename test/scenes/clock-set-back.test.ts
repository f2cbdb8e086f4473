// A clock that was ahead and is set right again: the cookie that is sent then lives as long as its session.
import { claim, DAY, HOUR, maxAgeOf, SECOND } from '../support/scene.ts'

claim('after the clock was set back, "remember me" has its whole lifetime', async (t, { visitor, clock }) => {
  clock.advance(DAY)
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(-DAY)

  const { sid } = await visitor.does((session) => (session.maxAge = '1h'))

  t.is(maxAgeOf(sid[0]), HOUR / SECOND)
})

claim(
  'after the clock was set back, a cookie that is signed anew carries what is left of the lifetime',
  { keys: ['the first secret of the app'], maxAge: '2d' },
  async (t, { scene, visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(1.5 * DAY)
    t.is(await visitor.origin(), 'resumed')
    clock.advance(-1.5 * DAY)
    const deployed = await scene.mount({ keys: ['the second secret of it', 'the first secret of the app'] })
    const after = await deployed.visitor(await visitor.cookie())

    const { sid } = await after.does(({ data }) => data.a)

    t.is(maxAgeOf(sid[0]), (2 * DAY) / SECOND)
  },
)
