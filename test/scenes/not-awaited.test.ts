// Methods of the session that nobody awaits: what happens meanwhile.
import { claim, pairOf, publicIdIn } from '../support/scene.ts'

claim('a visitor whose fresh start nobody awaited keeps the cookie that left meanwhile', async (t, { visitor }) => {
  const { sid } = await visitor.does(async (session, ctx) => {
    session.data.a = 1
    const started = session.regenerate({ keep: false })
    session.data.b = 2
    ctx.respond = false
    ctx.res.write('x')
    await started
    await session.save()
    ctx.res.end()
  })
  t.is(sid.length, 1)
  t.deepEqual(await visitor.sees(), { b: 2 })
})

for (const verb of ['create', 'read'] as const)
  claim(
    `so does one that came with the cookie of an ended session, where the headers leave during a ${verb}`,
    async (t, { visitor, site, scene, store }) => {
      await visitor.does(({ data }) => (data.c = 1))
      const again = await site.visitor(await visitor.cookie())
      await visitor.does((session) => session.destroy())
      const { sid } = await again.does(async (session, ctx) => {
        session.data.a = 1
        const stop = store.pause(verb)
        const started = session.regenerate({ keep: false })
        session.data.b = 2
        await stop.arrived
        ctx.respond = false
        ctx.res.write('x')
        stop.open()
        await started
        store.heal()
        await session.save()
        ctx.res.end()
      })
      t.is(sid.length, 1)
      t.deepEqual(
        (await scene.live()).map(({ key }) => key),
        [publicIdIn(pairOf(sid[0]))],
      )
      t.deepEqual(await again.sees(), { b: 2 })
    },
  )

claim(
  'a visitor who is made and ended in one request gets no cookie, though nobody awaited destroy()',
  async (t, { visitor }) => {
    const { sid } = await visitor.does((session, ctx) => {
      session.data.a = 1
      const ended = session.destroy()
      ctx.respond = false
      ctx.res.end('x')
      return ended
    })
    t.deepEqual(sid, [])
  },
)

claim('after a destroy() that nobody awaited a visitor writes nothing', async (t, { visitor }) => {
  await visitor.does((session) => {
    const ended = session.destroy()
    t.throws(() => (session.data.a = 1), { code: 'ERR_SESSION_DESTROYED' })
    return ended
  })
})

claim('an object of the app that is assigned to another key meanwhile is kept', async (t, { visitor }) => {
  await visitor.does((session) => session.signIn('ada'))
  await visitor.does(async (session) => {
    const mine = ['pen']
    Object.assign(session.data, { draft: mine })
    const signingIn = session.signIn('eve')
    session.data.cart = mine
    await signingIn
  })
  t.deepEqual(await visitor.sees(), { cart: ['pen'] })
})
