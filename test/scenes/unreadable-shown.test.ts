// What is shown from outside of a session whose data cannot be read: what is known of it, and no longer than it lives.
import { claim, HOUR, MINUTE, type Options } from '../support/scene.ts'

const other: Options = {
  // Another codec than JSON, as that of another app, or of an app before it dropped the option.
  codec: { stringify: (data) => `own:${JSON.stringify(data)}`, parse: (text) => JSON.parse(text.slice(4)) as object },
}

claim('a session of another codec is shown with its sign-in', other, async (t, { visitor, scene, clock }) => {
  await visitor.does((session) => session.signIn('ada'))
  const { middleware } = await scene.mount({ codec: JSON })

  const [shown] = await middleware.list('ada')

  t.like(shown, { owner: 'ada', authenticatedAt: clock.now, expiresAt: clock.now + 2 * HOUR, data: undefined })
  t.deepEqual(await middleware.get(await visitor.publicId()), shown)
})

claim('a limit that is shortened holds for what cannot be read', other, async (t, { visitor, scene, clock }) => {
  await visitor.does((session) => session.signIn('ada'))
  const publicId = await visitor.publicId()
  const { middleware } = await scene.mount({ codec: JSON, idleTimeout: '5m' })
  clock.advance(4 * MINUTE)
  t.is((await middleware.get(publicId))?.expiresAt, clock.now + MINUTE)
  clock.advance(MINUTE)

  t.is(await middleware.get(publicId), undefined)
  t.deepEqual(await middleware.list('ada'), [])
  for await (const info of middleware.scan()) t.fail(`shown: ${info.publicId}`)
  t.true(await middleware.destroy(publicId))
})
