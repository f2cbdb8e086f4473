// A logout in a process where the session reads as expired, and lives by the clock or the options of the others.
import { claim, HOUR, MINUTE, SECOND, type Handler, type Options } from '../support/scene.ts'

const ends: Record<string, Handler<void>> = {
  'destroy()': (session) => session.destroy(),
  // A logout that leaves a message.
  'regenerate({ keep: false })': (session) => session.regenerate({ keep: false }),
  'regenerate({ keep: false }) after save()': async (session) => {
    await session.save()
    await session.regenerate({ keep: false })
  },
  'destroy() after save()': async (session) => {
    await session.save()
    await session.destroy()
  },
}
for (const [what, end] of Object.entries(ends))
  claim(`${what} by a clock that is ahead ends a session that lives by the others`, async (t, stage) => {
    const { visitor, scene, clock } = stage
    await visitor.does((session) => session.signIn('ada'))
    const publicId = await visitor.publicId()
    const ahead = (await scene.mount({ now: () => clock.now + 5 * SECOND })).sender(await visitor.cookie())
    clock.advance(2 * HOUR - SECOND)

    t.is((await ahead.does(end)).status, 200)

    t.is(await visitor.origin(), 'expired')
    t.false((await scene.live()).some(({ key }) => key === publicId))
  })

const others: Record<string, Options> = {
  'a shorter idleTimeout': { idleTimeout: '5m' },
  'a shorter absoluteTimeout': { absoluteTimeout: '5m' },
  'encryption that takes no plain text': { encryptionKeys: ['an encryption key of some thirty characters'] },
}
for (const [what, options] of Object.entries(others))
  claim(`a logout in a process of ${what} ends the session in those that still serve it`, async (t, stage) => {
    const { visitor, scene, clock } = stage
    await visitor.does(async (session) => {
      session.data.a = 1
      await session.signIn('ada')
    })
    clock.advance(10 * MINUTE)
    const next = (await scene.mount(options)).sender(await visitor.cookie())

    const { status, result } = await next.does(async (session) => {
      const { origin } = session
      await session.destroy()
      return origin
    })

    t.deepEqual([status, result], [200, 'expired'])
    t.is(await visitor.origin(), 'expired')
    t.deepEqual(await scene.live(), [])
  })

// What must stay: a late request with a replaced id ends nothing (late.test.ts has it), one read more and no more.
claim(
  'a logout with the cookie of a session that has ended for all ends nothing, at one read more at most',
  async (t, stage) => {
    const { visitor, clock, store, scene } = stage
    await visitor.does((session) => session.signIn('ada'))
    clock.advance(3 * HOUR)
    store.counted()

    const { status, sid } = await visitor.does((session) => session.destroy())

    t.deepEqual([status, sid], [200, []])
    const { read = 0, ...rest } = store.counted()
    t.true(read <= 2)
    t.deepEqual(rest, {})
    t.deepEqual(scene.heard('destroy'), [])
  },
)

claim('a logout by destroy() that cannot look for the old session ends its own all the same', async (t, stage) => {
  const { visitor, scene, store } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const late = await visitor.snapshot()
  await visitor.does((session) => session.destroy())
  const { code } = await late.does(async (session) => {
    session.data.b = 2
    await session.save()
    store.next('read', { kind: 'fail' })
    await session.destroy()
  })
  t.deepEqual([code, await scene.live()], ['ERR_SESSION_STORE', []])
})
