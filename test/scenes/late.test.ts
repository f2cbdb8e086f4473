// Requests with an id that was replaced a moment ago, and a logout that was under way when it was.
import { claim, pairOf, SECOND, type Stage, type Visitor } from '../support/scene.ts'

/** A browser whose session has just got a new id, and its late twin, which still sends the old one. */
async function renewed({ visitor, clock }: Stage, age = 0): Promise<Visitor> {
  await visitor.does(({ data }) => (data.a = 1))
  const late = await visitor.snapshot()
  await visitor.does((session) => session.regenerate())
  clock.advance(age)
  return late
}

claim('a late request reads as expired and empty, and sends no cookie', async (t, stage) => {
  const late = await renewed(stage, 9 * SECOND)

  const { status, result, sid } = await late.does(({ data, origin, isNew, owner }) => ({
    ...data,
    origin,
    isNew,
    owner,
  }))

  t.deepEqual([status, sid], [200, []])
  t.deepEqual(result, { origin: 'expired', isNew: true, owner: undefined })
})

const changes = {
  'a change': ({ data }) => void (data.b = 2),
  'a message': (session) => session.flash('note', 'hello'),
  'an own lifetime': (session) => void (session.maxAge = '1h'),
  'save()': (session) => session.save(),
  'update()': (session) => session.update((data) => void (data.b = 2)),
  'regenerate()': (session) => session.regenerate(),
  'regenerate({ keep: false })': (session) => session.regenerate({ keep: false }),
  'reload()': (session) => session.reload(),
} satisfies Record<string, Parameters<Visitor['does']>[0]>

for (const [what, change] of Object.entries(changes)) {
  claim(`${what} in a late request is refused as gone, without a cookie or a record`, async (t, stage) => {
    const late = await renewed(stage, 9 * SECOND)

    const reply = await late.does(change)

    t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
    t.is((await stage.scene.live()).length, 1)
    t.deepEqual(await stage.visitor.sees(), { a: 1 })
  })
}

claim('destroy() in a late request ends nothing and clears nothing', async (t, stage) => {
  const late = await renewed(stage, 9 * SECOND)

  const reply = await late.does((session) => session.destroy())

  t.deepEqual([reply.status, reply.sid], [200, []])
  t.deepEqual(await stage.visitor.sees(), { a: 1 })
})

claim('reading the id in a late request keeps nothing', async (t, stage) => {
  const late = await renewed(stage, 9 * SECOND)

  const reply = await late.does(({ id }) => id.length)

  t.deepEqual([reply.status, reply.sid], [200, []])
  t.is((await stage.scene.live()).length, 1)
})

claim('a late request keeps nothing when sessions are not lazy', { lazy: false }, async (t, stage) => {
  const late = await renewed(stage, 9 * SECOND)

  const reply = await late.does(({ data }) => ({ ...data }))

  t.deepEqual([reply.status, reply.sid], [200, []])
  t.is((await stage.scene.live()).length, 1)
})

claim('signIn in a late request begins anew, and what follows is stored', async (t, stage) => {
  const late = await renewed(stage, 9 * SECOND)

  const reply = await late.does(async (session) => {
    await session.signIn('ada')
    session.data.b = 2
  })

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  const fresh = await stage.site.visitor(pairOf(reply.sid[0]))
  t.deepEqual((await fresh.does(({ data, owner }) => ({ ...data, owner }))).result, { b: 2, owner: 'ada' })
  t.deepEqual(await stage.visitor.sees(), { a: 1 })
})

claim('a request with an id that signIn replaced a moment ago is late, too', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const late = await visitor.snapshot()
  await visitor.does((session) => session.signIn('ada'))

  const reply = await late.does(({ data }) => (data.b = 2))

  t.deepEqual([reply.code, reply.sid], ['ERR_SESSION_GONE', []])
})

claim('a live session that is presented behind a replaced one is taken, and can be changed', async (t, stage) => {
  const late = await renewed(stage, 9 * SECOND)
  const both = stage.site.sender(`${await late.cookie()}; ${await stage.visitor.cookie()}`)

  const reply = await both.does(({ data }) => (data.b = 2))

  t.is(reply.status, 200)
  t.deepEqual(await stage.visitor.sees(), { a: 1, b: 2 })
})

for (const age of [11, 59, 61, 3600]) {
  claim(`a request that presents a replaced id ${age} seconds later may begin a new session`, async (t, stage) => {
    const old = await renewed(stage, age * SECOND)

    const looked = await old.does(({ origin }) => origin)
    const changed = await old.does(({ data }) => (data.b = 2))

    t.deepEqual([looked.result, looked.sid], ['expired', []])
    t.deepEqual([changed.status, changed.sid.length], [200, 1])
    t.not(pairOf(changed.sid[0]), await old.cookie())
    t.deepEqual(await (await stage.site.visitor(pairOf(changed.sid[0]))).sees(), { b: 2 })
    t.deepEqual(await stage.visitor.sees(), { a: 1 })
  })
}

claim(
  'a logout that was under way when another request regenerated ends the successor and clears the cookie',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const logout = await visitor.loads((session) => session.destroy())
    await visitor.does((session) => session.regenerate())
    const successor = await visitor.snapshot()

    const { status, sid } = await logout.ends()
    t.is(status, 200)
    t.regex(sid[0] ?? '', /^sid=; Max-Age=0;/)
    t.deepEqual(await scene.live(), [])
    t.is(await successor.origin(), 'expired')
  },
)

claim(
  'a logout that was under way while two requests regenerated one after the other ends the last successor',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const logout = await visitor.loads((session) => session.destroy())
    await visitor.does((session) => session.regenerate())
    await visitor.does((session) => session.signIn('ada'))

    t.is(pairOf((await logout.ends()).sid[0]), 'sid=')
    t.deepEqual(await scene.live(), [])
  },
)

claim('a logout that was under way finds a successor that has been changed since', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const logout = await visitor.loads((session) => session.destroy())
  await visitor.does((session) => session.regenerate())
  await visitor.does(({ data }) => (data.b = 2))

  t.is((await logout.ends()).status, 200)
  t.deepEqual(await scene.live(), [])
})

claim('a logout that took 59 seconds still finds the successor', async (t, { visitor, scene, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const logout = await visitor.loads((session) => session.destroy())
  await visitor.does((session) => session.regenerate())
  clock.advance(59 * SECOND)

  t.is((await logout.ends()).status, 200)
  t.deepEqual(await scene.live(), [])
})

claim(
  'a logout from elsewhere by public id ends a session that has just got another id',
  async (t, { visitor, site, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const publicId = await visitor.publicId()
    const stop = scene.store.pause('replace')

    const logout = site.middleware.destroy(publicId)
    await stop.arrived
    await visitor.does((session) => session.regenerate())
    stop.open()

    t.true(await logout)
    t.deepEqual(await scene.live(), [])
  },
)

claim('a caught refusal of regenerate under a replaced id is over', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const tab = await visitor.snapshot()
  await visitor.does((session) => session.regenerate())

  const reply = await tab.does(async (session) => {
    session.data.a = 2
    await t.throwsAsync(session.regenerate(), { code: 'ERR_SESSION_GONE' })
  })

  t.deepEqual([reply.status, reply.sid], [200, []])
  t.deepEqual(await visitor.sees(), { a: 1 })
})
