// Interleavings that the model test found, played over HTTP.
import { claim } from '../support/scene.ts'

claim(
  'a rolling cookie that update() renewed does not overwrite the one of a regenerate that came between',
  { maxAge: '1h', rolling: true },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const slow = await visitor.starts(async (session, wait) => {
      await session.update((data) => (data.count = 1))
      await wait()
    })
    await visitor.does((session) => session.regenerate())

    t.deepEqual((await slow.ends()).sid, [])
    t.deepEqual(await visitor.sees(), { a: 1, count: 1 })
  },
)

claim(
  'a cookie that save() signed anew does not overwrite the one of a sign-in that came between',
  { maxAge: '1h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(10 * 60_000)

    const slow = await visitor.starts(async (session, wait) => {
      session.data.b = 2
      await session.save()
      await wait()
    })
    await visitor.does((session) => session.signIn('ada'))

    t.deepEqual((await slow.ends()).sid, [])
    t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
  },
)

claim(
  'a request that is refused as gone sends no cookie for the session that it regenerated before',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const logout = await visitor.loads((session) => session.destroy())
    const slow = await visitor.starts(async (session, wait) => {
      await session.regenerate()
      await wait()
      session.data.b = 2
    })
    await logout.ends()

    const { code, sid } = await slow.ends()
    t.is(code, 'ERR_SESSION_GONE')
    t.deepEqual(sid, [])
  },
)

for (const onConflict of ['merge', 'throw'] as const) {
  claim(
    `${onConflict}: what another request put into a list that this one held across a save is not lost without a word`,
    { onConflict },
    async (t, { visitor, scene }) => {
      await visitor.does(({ data }) => (data.cart = ['pen']))

      const slow = await visitor.starts(async (session, wait) => {
        const { cart } = session.data
        await wait()
        session.data.a = 1
        await session.save()
        cart?.push('ink')
      })
      await visitor.does(({ data }) => data.cart?.push('book'))

      const { status } = await slow.ends()
      const told =
        onConflict === 'throw' ? status === 409 : scene.heard('conflict').some(({ keys }) => keys?.includes('cart'))
      t.true(told || (await visitor.sees())?.cart?.includes('book') === true)
    },
  )

  claim(
    `${onConflict}: a change after an update whose function threw is not written over that of another request without a word`,
    { onConflict },
    async (t, { visitor, scene }) => {
      await visitor.does(({ data }) => (data.b = 1))

      const slow = await visitor.starts(async (session, wait) => {
        const { data } = session
        await wait()
        await t.throwsAsync(
          session.update(() => Promise.reject(new Error('no'))),
          { message: 'no' },
        )
        data.b = (data.b ?? 0) + 1
      })
      await visitor.does(({ data }) => (data.b = 5))

      const { status } = await slow.ends()
      const told =
        onConflict === 'throw' ? status === 409 : scene.heard('conflict').some(({ keys }) => keys?.includes('b'))
      t.true(told || (await visitor.sees())?.b === 6)
    },
  )
}

claim(
  'a sign-in that starts empty since its session got a new id meanwhile tells no conflict: it took the place of nothing',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const login = await visitor.starts(async (session, wait) => {
      session.data.a = 2
      await wait()
      await session.signIn('ada')
    })
    await visitor.does(({ data }) => (data.a = 3))
    const stopped = scene.store.pause('read')
    const reply = login.ends()
    await stopped.arrived
    scene.store.heal()
    const replaced = scene.store.pause('replace')
    stopped.open()
    await replaced.arrived
    scene.store.heal()
    await visitor.does((session) => session.regenerate())
    replaced.open()

    t.is((await reply).status, 200)
    t.deepEqual(scene.heard('conflict'), [])
  },
)

claim(
  'a request that learns after its handler that its session has ended sends no cookie for it',
  { maxAge: '1h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const logout = await visitor.loads((session) => session.destroy())
    const slow = await visitor.starts(async (session, wait) => {
      await session.regenerate()
      await wait()
    })
    await logout.ends()
    clock.advance(10 * 60_000)

    t.deepEqual((await slow.ends()).sid, [])
  },
)
