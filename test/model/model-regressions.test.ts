// Interleavings that the model test found, played over HTTP.
import { Barrier } from '../support/faults.ts'
import { claim, type Contents } from '../support/scene.ts'
import type { SessionManager } from '../../src/index.ts'

type Session = SessionManager<Contents>

claim(
  'a rolling cookie that update() renewed does not overwrite the one of a regenerate that came between',
  { maxAge: '1h', rolling: true },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const updated = new Barrier()

    const slow = visitor.does(async (session: Session) => {
      await session.update((data) => (data.count = 1))
      await updated.pass()
    })
    await updated.arrived
    await visitor.does((session) => session.regenerate())
    updated.open()

    t.deepEqual((await slow).sid, [])
    t.deepEqual(await visitor.sees(), { a: 1, count: 1 })
  },
)

claim(
  'a cookie that save() signed anew does not overwrite the one of a sign-in that came between',
  { maxAge: '1h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(10 * 60_000)
    const saved = new Barrier()

    const slow = visitor.does(async (session: Session) => {
      session.data.b = 2
      await session.save()
      await saved.pass()
    })
    await saved.arrived
    await visitor.does((session) => session.signIn('ada'))
    saved.open()

    t.deepEqual((await slow).sid, [])
    t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
  },
)

claim(
  'a request that is refused as gone sends no cookie for the session that it regenerated before',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const [loaded, regenerated] = [new Barrier(), new Barrier()]

    const logout = visitor.does(async (session: Session) => {
      await loaded.pass()
      await session.destroy()
    })
    await loaded.arrived
    const slow = visitor.does(async (session: Session) => {
      await session.regenerate()
      await regenerated.pass()
      session.data.b = 2
    })
    await regenerated.arrived
    loaded.open()
    await logout
    regenerated.open()

    const { code, sid } = await slow
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
      const looked = new Barrier()

      const slow = visitor.does(async (session: Session) => {
        const { cart } = session.data
        await looked.pass()
        session.data.a = 1
        await session.save()
        cart?.push('ink')
      })
      await looked.arrived
      await visitor.does(({ data }) => data.cart?.push('book'))
      looked.open()

      const { status } = await slow
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
      const looked = new Barrier()

      const slow = visitor.does(async (session: Session) => {
        const { data } = session
        await looked.pass()
        await t.throwsAsync(
          session.update(() => Promise.reject(new Error('no'))),
          { message: 'no' },
        )
        data.b = (data.b ?? 0) + 1
      })
      await looked.arrived
      await visitor.does(({ data }) => (data.b = 5))
      looked.open()

      const { status } = await slow
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
    const loaded = new Barrier()

    const login = visitor.does(async (session: Session) => {
      session.data.a = 2
      await loaded.pass()
      await session.signIn('ada')
    })
    await loaded.arrived
    await visitor.does(({ data }) => (data.a = 3))
    const stopped = scene.store.pause('read')
    loaded.open()
    await stopped.arrived
    scene.store.heal()
    const replaced = scene.store.pause('replace')
    stopped.open()
    await replaced.arrived
    scene.store.heal()
    await visitor.does((session) => session.regenerate())
    replaced.open()

    t.is((await login).status, 200)
    t.deepEqual(scene.heard('conflict'), [])
  },
)

claim(
  'a request that learns after its handler that its session has ended sends no cookie for it',
  { maxAge: '1h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const [loaded, regenerated] = [new Barrier(), new Barrier()]

    const logout = visitor.does(async (session: Session) => {
      await loaded.pass()
      await session.destroy()
    })
    await loaded.arrived
    const slow = visitor.does(async (session: Session) => {
      await session.regenerate()
      await regenerated.pass()
    })
    await regenerated.arrived
    loaded.open()
    await logout
    clock.advance(10 * 60_000)
    regenerated.open()

    t.deepEqual((await slow).sid, [])
  },
)
