// Signing in: once, twice at the same time, over somebody else, and from a session that is no more.
import {
  claim,
  DAY,
  pairOf,
  SECOND,
  type Contents,
  type Handler,
  type Options,
  type Visitor,
} from '../support/scene.ts'

const account = async (visitor: Visitor) => (await visitor.does(({ data, owner }) => ({ ...data, owner }))).result

claim('signIn gives the session a new id, an owner and a time of authentication', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const before = await visitor.snapshot()
  clock.advance(SECOND)

  const reply = await visitor.does((session) => session.signIn('ada'))

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.not(await visitor.publicId(), await before.publicId())
  t.deepEqual(
    (await visitor.does(({ data, owner, authenticatedAt }) => ({ ...data, owner, authenticatedAt }))).result,
    { a: 1, owner: 'ada', authenticatedAt: clock.now },
  )
  t.is(await before.origin(), 'expired')
})

claim(
  'of a double-clicked login neither is refused, the second starts empty, both cookies work and the old id is dead',
  async (t, { site, visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const before = await visitor.snapshot()
    const second = await before.loads((session) => session.signIn('ada'))
    const first = await before.does((session) => session.signIn('ada'))

    const reply = await second.ends()
    t.deepEqual([first.status, reply.status], [200, 200])
    t.deepEqual(await account(await site.visitor(pairOf(first.sid[0]))), { a: 1, owner: 'ada' })
    t.deepEqual(await account(await site.visitor(pairOf(reply.sid[0]))), { owner: 'ada' })
    t.is(await before.origin(), 'expired')
    t.is((await scene.live()).length, 2)
  },
)

for (const [verb, when] of [
  ['create', 'before'],
  ['create', 'after'],
  ['replace', 'before'],
  ['replace', 'after'],
] as const) {
  claim(
    `of two logins, one stopped ${when} its ${verb}, neither is refused, exactly one inherits, and the old id is dead`,
    async (t, { site, visitor, store, scene }) => {
      await visitor.does(({ data }) => (data.a = 1))
      const before = await visitor.snapshot()
      const stop = store.pause(verb, when)

      const first = before.does((session) => session.signIn('ada'))
      await stop.arrived
      const second = await before.does((session) => session.signIn('ada'))
      stop.open()

      t.deepEqual([(await first).status, second.status], [200, 200])
      const accounts = await Promise.all(
        [await first, second].map(async ({ sid }) => account(await site.visitor(pairOf(sid[0])))),
      )
      const isDone = verb === 'replace' && when === 'after'
      t.deepEqual(isDone ? accounts : accounts.reverse(), [{ a: 1, owner: 'ada' }, { owner: 'ada' }])
      t.is(await before.origin(), 'expired')
      t.is((await scene.live()).length, 2)
    },
  )
}

claim(
  'a second click that arrives when the first login is done signs in anew and empty',
  async (t, { site, visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const before = await visitor.snapshot()

    const first = await before.does((session) => session.signIn('ada'))
    const second = await before.does((session) => session.signIn('ada'))

    t.deepEqual([first.status, second.status, second.sid.length], [200, 200, 1])
    t.deepEqual(await account(await site.visitor(pairOf(first.sid[0]))), { a: 1, owner: 'ada' })
    t.deepEqual(await account(await site.visitor(pairOf(second.sid[0]))), { owner: 'ada' })
  },
)

claim('parallel logins of one session to two accounts never mix their data', async (t, { site, visitor, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const before = await visitor.snapshot()
  const stop = store.pause('replace')

  const eve = before.does(async (session) => {
    session.data.b = 2
    await session.signIn('eve')
  })
  await stop.arrived
  const ada = await before.does((session) => session.signIn('ada'))
  stop.open()

  t.deepEqual([(await eve).status, ada.status], [200, 200])
  t.deepEqual(await account(await site.visitor(pairOf(ada.sid[0]))), { a: 1, owner: 'ada' })
  t.deepEqual(await account(await site.visitor(pairOf((await eve).sid[0]))), { owner: 'eve' })
})

claim('signing in over another owner keeps nothing', async (t, { visitor, clock }) => {
  await visitor.does(async (session) => {
    await session.signIn('ada')
    session.maxAge = '7d'
    session.data.a = 1
    session.flash('note', 'for ada')
  })
  clock.advance(SECOND)

  await visitor.does((session) => session.signIn('eve'))

  const { result } = await visitor.does((session) => ({
    ...session.data,
    owner: session.owner,
    maxAge: session.maxAge,
    createdAt: session.createdAt,
    note: session.flash('note'),
  }))
  t.deepEqual(result, { owner: 'eve', maxAge: 0, createdAt: clock.now, note: [] })
})

claim('signing in over another owner keeps the keys that are listed alone', async (t, { visitor, clock }) => {
  await visitor.does(async (session) => {
    await session.signIn('ada')
    session.maxAge = '7d'
    Object.assign(session.data, { a: 1, b: 2 })
    session.flash('note', 'for ada')
  })

  clock.advance(SECOND)

  await visitor.does((session) => session.signIn('eve', { keep: ['b'] }))

  t.deepEqual(await account(visitor), { b: 2, owner: 'eve' })
  const { result } = await visitor.does(({ maxAge, createdAt }) => [maxAge, createdAt])
  t.deepEqual(result, [0, clock.now])
  t.deepEqual((await visitor.does((session) => session.flash('note'))).result, [])
  await visitor.does((session) => {
    session.maxAge = '1d'
    return session.signIn('bob', { keep: ['b'] })
  })
  t.is((await visitor.does(({ maxAge }) => maxAge)).result, DAY)
})

claim('signing in again as the same owner keeps everything', async (t, { visitor }) => {
  await visitor.does(async (session) => {
    await session.signIn('ada')
    session.data.a = 1
  })

  await visitor.does((session) => session.signIn('ada'))

  t.deepEqual(await account(visitor), { a: 1, owner: 'ada' })
})

claim('signIn keeps what is listed alone where an update begins before it resolves', async (t, { visitor }) => {
  for (const isStored of [false, true]) {
    await visitor.does((session) => session.destroy())
    if (isStored) await visitor.does(({ data }) => (data.b = 2))
    await visitor.does(async (session) => {
      session.data.a = 1
      const signingIn = session.signIn('ada', { keep: ['b'] })
      await session.update((data) => (data.c = 3))
      await signingIn
    })

    t.deepEqual(await visitor.sees(), isStored ? { b: 2, c: 3 } : { c: 3 })
  }
})

claim('signIn keeps what is listed, or nothing', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 2 }))

  await visitor.does((session) => session.signIn('ada', { keep: ['a'] }))
  const listed = await account(visitor)
  await visitor.does((session) => session.signIn('ada', { keep: false }))

  t.deepEqual(listed, { a: 1, owner: 'ada' })
  t.deepEqual(await account(visitor), { owner: 'ada' })
})

claim('a login in a session that was destroyed meanwhile starts empty', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const before = await visitor.snapshot()
  const login = await visitor.starts(async (session, wait) => {
    session.data.b = 2
    await wait()
    await session.signIn('ada')
    session.data.c = 3
  })
  await before.does((session) => session.destroy())

  const { status, sid } = await login.ends()
  t.deepEqual([status, sid.length], [200, 1])
  t.deepEqual(await account(visitor), { c: 3, owner: 'ada' })
  t.is((await scene.live()).length, 1)
  t.deepEqual(scene.heard('gone'), [])
})

claim(
  'a login in a session that expired while the request ran starts empty',
  { idleTimeout: '1m' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does(async (session) => {
      clock.advance(61 * SECOND)
      await session.signIn('ada')
    })

    t.is(reply.status, 200)
    t.deepEqual(await account(visitor), { owner: 'ada' })
  },
)

claim('a change that was committed between the load and the login is kept', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const login = await visitor.loads((session) => session.signIn('ada'))
  await visitor.does(({ data }) => (data.b = 2))

  t.is((await login.ends()).status, 200)
  t.deepEqual(await account(visitor), { a: 1, b: 2, owner: 'ada' })
})

claim('somebody else who signed in meanwhile leaves nothing to a login that was under way', async (t, { visitor }) => {
  await visitor.does(async (session) => {
    session.data.a = 1
    await session.signIn('ada')
  })

  const login = await visitor.loads(async (session) => {
    await session.signIn('ada')
    return { ...session.data }
  })
  await visitor.does(async (session) => {
    await session.signIn('eve')
    session.data.b = 2
  })

  const { status, result } = await login.ends()
  t.is(status, 200)
  t.deepEqual(result, {})
  t.deepEqual(await account(visitor), { owner: 'ada' })
})

const asAda: Handler<void> = async (session) => {
  Object.assign(session.data, { a: 1, cart: ['of ada'] })
  await session.signIn('ada')
}

claim('an object of another owner that is written to while a sign-in is under way stays behind', async (t, stage) => {
  const { visitor, scene } = stage
  await visitor.does(asAda)

  await visitor.does(async (session) => {
    const signingIn = session.signIn('eve')
    session.data.cart?.push('pen')
    await signingIn
  })

  const { result } = await visitor.does(({ data, owner }) => ({ ...data, owner }))
  t.deepEqual(result, { owner: 'eve' })
  t.deepEqual(scene.heard('conflict'), [])
})

claim('so it does where the session goes on without an owner', async (t, { visitor }) => {
  await visitor.does(asAda)

  await visitor.does(async (session) => {
    const leaving = session.regenerate({ keep: false })
    session.data.cart?.push('pen')
    await leaving
  })

  t.deepEqual((await visitor.does(({ data, owner }) => ({ ...data, owner }))).result, { owner: undefined })
})

claim(
  'what is assigned while a sign-in over another owner is under way is kept, whatever it was before',
  async (t, stage) => {
    const { visitor, scene } = stage
    await visitor.does(asAda)

    await visitor.does(async (session) => {
      const signingIn = session.signIn('eve')
      // Equal to ada's value: no change of her session, but one of eve's.
      session.data.a = 1
      session.data.b = 2
      await signingIn
    })

    t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
    t.deepEqual(scene.heard('conflict'), [])
  },
)

for (const [what, write] of Object.entries({
  'a key': ({ data }) => (data.a = 2),
  'all of data': (session) => (session.data = { a: 2 }),
} satisfies Record<string, Handler<unknown>>)) {
  claim(
    `with onConflict 'throw' ${what} written while a sign-in over another owner is under way conflicts with nobody`,
    { onConflict: 'throw' },
    async (t, { visitor }) => {
      await visitor.does(asAda)

      const { status } = await visitor.does(async (session) => {
        const signingIn = session.signIn('eve', { keep: false })
        write(session)
        await signingIn
      })

      t.is(status, 200)
      t.deepEqual(await visitor.sees(), { a: 2 })
    },
  )
}

const schema: Options['schema'] = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value: unknown) =>
      typeof (value as Contents).a === 'number'
        ? { value: value as Contents }
        : { issues: [{ message: 'a is missing' }] },
  },
} as Options['schema']

claim(
  'the empty data of the session that a sign-in begins after an end is checked at the commit',
  { schema } as Options,
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const slow = await visitor.loads((session) => session.signIn('ada'))
    await visitor.does((session) => session.destroy())
    const { code } = await slow.ends()
    t.is(code, 'ERR_SESSION_SCHEMA')
  },
)
