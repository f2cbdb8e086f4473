// options.owner: who signs in by data gets a new id, as by signIn, and nobody's data goes to anybody else.
import { Barrier } from '../support/faults.ts'
import type { SessionManager } from '../../src/index.ts'
import {
  claim,
  MINUTE,
  pairOf,
  type Contents,
  type Handler,
  type Options,
  type Reply,
  type Stage,
  type Visitor,
} from '../support/scene.ts'

const options: Options = { owner: ({ profile }) => profile?.name }
const signIn =
  (name: string) =>
  ({ data }: { data: Contents }): void => {
    data.profile = { name }
  }
const account = async (visitor: Visitor) => (await visitor.does(({ data, owner }) => ({ ...data, owner }))).result

claim('an owner that appears in data gives a new id, and the old one is dead', options, async (t, stage) => {
  const { visitor, clock, scene } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const planted = await visitor.snapshot()
  clock.advance(MINUTE)

  const reply = await visitor.does(signIn('ada'))

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.not(await visitor.publicId(), await planted.publicId())
  t.is(await planted.origin(), 'expired')
  t.deepEqual(await account(visitor), { a: 1, profile: { name: 'ada' }, owner: 'ada' })
  t.is((await visitor.does(({ authenticatedAt }) => authenticatedAt)).result, clock.now)
  t.is(scene.heard('regenerate').length, 1)
  t.is((await stage.site.middleware.list('ada')).length, 1)
})

claim('an owner in a new session needs no second id', options, async (t, { visitor, store }) => {
  const reply = await visitor.does(signIn('ada'))

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.deepEqual(store.counted(), { create: 1 })
  t.is((await visitor.does(({ owner }) => owner)).result, 'ada')
})

claim('a regenerate of the request counts: there is one new id', options, async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const reply = await visitor.does(async (session) => {
    await session.regenerate()
    session.data.profile = { name: 'ada' }
  })

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.is(scene.heard('regenerate').length, 1)
  t.deepEqual(await account(visitor), { a: 1, profile: { name: 'ada' }, owner: 'ada' })
})

claim('a regenerate reads the owner in the data that goes on, as a commit does', options, async (t, stage) => {
  const { visitor, clock, site } = stage
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(MINUTE)

  const reply = await visitor.does(async (session) => {
    session.data.profile = { name: 'ada' }
    await session.regenerate()
    return [session.owner, session.authenticatedAt]
  })
  t.deepEqual([reply.sid.length, reply.result], [1, ['ada', clock.now]])
  t.deepEqual(await account(visitor), { a: 1, profile: { name: 'ada' }, owner: 'ada' })
  t.is((await site.middleware.list('ada')).length, 1)

  await visitor.does(async (session) => {
    Object.assign(session.data, { profile: { name: 'bob' }, b: 2, cart: ['new'] })
    await session.regenerate({ keep: ['profile', 'a', 'b'] })
  })
  t.deepEqual(await account(visitor), { profile: { name: 'bob' }, b: 2, owner: 'bob' })
  t.deepEqual(await site.middleware.list('ada'), [])

  await visitor.does((session) => session.regenerate({ keep: ['b'] }))
  t.deepEqual(await account(visitor), { b: 2, owner: undefined })
  t.deepEqual(await site.middleware.list('bob'), [])
})

claim('over a different owner only what this request assigned is kept', options, async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada' }, a: 1, cart: ['secret'] }))

  const reply = await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'bob' }, b: 2 }))

  t.is(reply.status, 200)
  t.deepEqual(await account(visitor), { profile: { name: 'bob' }, b: 2, owner: 'bob' })
  t.is((await scene.live()).length, 1)
})

claim('what was only read, or carried over as it was, stays with the former owner', options, async (t, { visitor }) => {
  const bob = { profile: { name: 'bob' }, b: 8 }
  const ways: Readonly<Record<string, Handler<unknown>>> = {
    'a spread': (session) => (session.data = { ...session.data, ...bob }),
    'a copy written back': ({ data }) => Object.assign(data, Object.fromEntries(Object.entries(data)), bob),
    'a spread in update()': (session) => session.update((data) => void Object.assign(data, { ...data }, bob)),
    'a list that update() read': (session) => session.update((data) => data.cart && void Object.assign(data, bob)),
    'a copy of a list': ({ data }) => Object.assign(data, { cart: [...(data.cart ?? [])] }, bob),
  }
  for (const [way, work] of Object.entries(ways)) {
    await visitor.does((session) => session.destroy())
    await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada' }, a: 1, b: 7, cart: ['secret'] }))

    t.is((await visitor.does(work)).status, 200, way)
    t.deepEqual(await account(visitor), { ...bob, owner: 'bob' }, way)
  }
})

claim('after a save() over a different owner nothing of the former one is left in data', options, async (t, stage) => {
  const { visitor, scene } = stage
  await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada' }, a: 1, cart: ['secret'] }))

  const { status, result } = await visitor.does(async (session) => {
    const { cart } = session.data
    session.data.profile = { name: 'bob' }
    await session.save()
    t.throws(() => cart?.push('pen'), { instanceOf: TypeError })
    return { ...session.data }
  })

  t.deepEqual([status, result], [200, { profile: { name: 'bob' } }])
  t.deepEqual(await account(visitor), { profile: { name: 'bob' }, owner: 'bob' })
  t.deepEqual(scene.heard('conflict'), [])
})

claim('after a save() that signs in, objects of before stay attached', options, async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.cart = ['pen']))

  await visitor.does(async (session) => {
    const { cart } = session.data
    session.data.profile = { name: 'ada' }
    await session.save()
    cart?.push('ink')
  })

  t.deepEqual(await account(visitor), { profile: { name: 'ada' }, cart: ['pen', 'ink'], owner: 'ada' })
})

claim(
  'an owner that goes away keeps the id, and takes authenticatedAt along',
  options,
  async (t, { visitor, site }) => {
    await visitor.does(signIn('ada'))
    const before = await visitor.cookie()

    const reply = await visitor.does(({ data }) => {
      delete data.profile
      data.a = 1
    })

    t.deepEqual([reply.status, reply.sid], [200, []])
    t.is(await visitor.cookie(), before)
    t.deepEqual((await visitor.does(({ owner, authenticatedAt }) => [owner, authenticatedAt])).result, [
      undefined,
      undefined,
    ])
    t.deepEqual(await site.middleware.list('ada'), [])
  },
)

claim(
  'of parallel requests that set the same owner one makes the new id, and nothing is lost',
  options,
  async (t, stage) => {
    const { visitor, scene, site } = stage
    await visitor.does(({ data }) => (data.c = 3))
    const tab = await visitor.snapshot()
    const requests = [0, 1, 2].map((at) =>
      tab.starts(async ({ data }, wait) => {
        data.profile = { name: 'ada' }
        Object.assign(data, { [`key${at}`]: at })
        await wait()
      }),
    )
    const ready = await Promise.all(requests)
    const replies = await Promise.all(ready.map((request) => request.ends()))

    t.deepEqual(
      replies.map(({ status }) => status),
      [200, 200, 200],
    )
    const cookies = replies.flatMap(({ sid }) => sid)
    t.is(cookies.length, 1)
    t.is((await scene.live()).length, 1)
    const signedIn = await site.visitor(pairOf(cookies[0]))
    t.deepEqual(await account(signedIn), { c: 3, profile: { name: 'ada' }, key0: 0, key1: 1, key2: 2, owner: 'ada' })
  },
)

claim(
  'who stored a change in the session of a parallel sign-in sends no cookie, whatever comes later',
  options,
  async (t, { visitor, scene, site }) => {
    await visitor.does(({ data }) => (data.c = 3))
    const tab = await visitor.snapshot()
    const requests = [0, 1].map(() =>
      tab.loads(async (session) => {
        session.data.profile = { name: 'ada' }
        await session.save()
        session.maxAge = '30d'
      }),
    )
    const ready = await Promise.all(requests)
    const replies = await Promise.all(ready.map((request) => request.ends()))

    t.deepEqual(
      replies.map(({ status }) => status),
      [200, 200],
    )
    const cookies = replies.flatMap(({ sid }) => sid)
    t.is(cookies.length, 1)
    t.is((await scene.live()).length, 1)
    t.deepEqual(await account(await site.visitor(pairOf(cookies[0]))), { c: 3, profile: { name: 'ada' }, owner: 'ada' })
  },
)

/** Two ways to sign in, each by a key of its own: two requests that take one each conflict in nothing. */
const eitherKey: Options = { owner: ({ profile, cart }) => profile?.name ?? cart?.[0] }

/** One tab loads a session, another one signs ada in to it, and then the first does the rest of its work. */
async function follows({ visitor }: Stage, work: Handler<unknown>): Promise<Reply<unknown>> {
  await visitor.does(({ data }) => (data.c = 3))
  const follower = await (await visitor.snapshot()).loads(work)
  await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada' }, a: 1 }))
  return follower.ends()
}

/** Signs in by the other key, and stores that before the handler goes on. */
async function savesThere(session: SessionManager<Contents>): Promise<void> {
  session.data.cart = ['ada']
  session.flash('note', 'hello')
  await session.save()
}

claim(
  'a message that save() stored in the session of a parallel sign-in is shown once',
  eitherKey,
  async (t, stage) => {
    const shown = async () => (await stage.visitor.does((session) => session.flash('note'))).result
    const reply = await follows(stage, async (session) => {
      await savesThere(session)
      return shown()
    })

    t.is(reply.status, 200)
    t.deepEqual([reply.result, await shown()], [['hello'], []])
  },
)

for (const onConflict of ['merge', 'throw'] as const) {
  claim(
    `with onConflict '${onConflict}' a request does not conflict with what its save() stored in the session of a parallel sign-in`,
    { ...eitherKey, onConflict },
    async (t, stage) => {
      const { status } = await follows(stage, async (session) => {
        await savesThere(session)
        session.data.b = 2
      })

      t.is(status, 200)
      t.deepEqual(stage.scene.heard('conflict'), [])
      t.deepEqual(await stage.visitor.sees(), { a: 1, b: 2, c: 3, profile: { name: 'ada' }, cart: ['ada'] })
    },
  )
}

claim(
  'a request whose own sign-in fails stores nothing in the session of a parallel one',
  options,
  async (t, stage) => {
    const reply = await follows(stage, async (session) => {
      session.data.b = 2
      await session
        .update((data) => {
          if (data.profile !== undefined) throw new Error('somebody is signed in')
          data.profile = { name: 'ada' }
        })
        .catch(() => undefined)
      session.data.cart = ['pen']
    })

    t.deepEqual([reply.status, reply.code], [409, 'ERR_SESSION_GONE'])
    t.deepEqual(await stage.visitor.sees(), { a: 1, c: 3, profile: { name: 'ada' } })
  },
)

claim(
  'a regenerate after the session of a parallel sign-in ended before a change was stored there is refused as gone',
  options,
  async (t, stage) => {
    const { store, site } = stage
    const reply = await follows(stage, async (session) => {
      session.data.profile = { name: 'ada' }
      const refused = store.pause('replace')
      const saving = session.save()
      await refused.arrived
      const following = store.pause('replace')
      refused.open()
      await following.arrived
      await site.middleware.destroyAll('ada')
      following.open()
      await t.throwsAsync(saving, { code: 'ERR_SESSION_GONE' })
      await session.regenerate()
    })

    t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
  },
)

claim(
  'a regenerate after a change that was refused in the session of a parallel sign-in is refused as gone',
  { ...options, onConflict: 'throw' },
  async (t, stage) => {
    const reply = await follows(stage, async (session) => {
      session.data.profile = { name: 'ada' }
      await t.throwsAsync(async () => session.save(), { code: 'ERR_SESSION_CONFLICT' })
      await session.regenerate()
    })

    t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
  },
)

claim(
  'the merge event of a change in the session of a parallel sign-in names the keys of the others alone',
  options,
  async (t, stage) => {
    const { status } = await follows(stage, ({ data }) =>
      Object.assign(data, { profile: { name: 'ada' }, cart: ['pen'] }),
    )

    t.is(status, 200)
    t.deepEqual(
      stage.scene.heard('merge').map(({ publicId, keys }) => [publicId, [...(keys ?? [])].sort()]),
      [[await stage.visitor.publicId(), ['a', 'profile']]],
    )
  },
)

for (const onConflict of ['merge', 'throw'] as const) {
  claim(
    `with onConflict '${onConflict}' each of the parallel updates that sign the same owner in counts`,
    { ...options, onConflict },
    async (t, { visitor, scene, site }) => {
      await visitor.does(({ data }) => (data.count = 0))
      const tab = await visitor.snapshot()
      const counts = (session: SessionManager<Contents>): Promise<number> =>
        session.update((data) => {
          data.profile = { name: 'ada' }
          return (data.count = (data.count ?? 0) + 1)
        })
      const [first, second] = [await tab.loads(counts), await tab.loads(counts)]
      const replies = [await first.ends(), await second.ends()]

      t.deepEqual(
        replies.map(({ status, result, sid }) => [status, result, sid.length]),
        [
          [200, 1, 1],
          [200, 2, 0],
        ],
      )
      t.is((await scene.live()).length, 1)
      t.deepEqual(scene.heard('conflict'), [])
      const signedIn = await site.visitor(pairOf(replies[0]?.sid[0]))
      t.deepEqual(await account(signedIn), { count: 2, profile: { name: 'ada' }, owner: 'ada' })
    },
  )
}

claim('an update that signs nobody in does not reach the session of a parallel sign-in', options, async (t, stage) => {
  const { visitor } = stage
  const { status, code } = await follows(stage, (session) => session.update((data) => (data.b = 2)))

  t.deepEqual([status, code], [409, 'ERR_SESSION_GONE'])
  t.deepEqual(await visitor.sees(), { a: 1, c: 3, profile: { name: 'ada' } })
})

/** Ada is signed in and a request of hers is under way; another tab signs her out; then the request does the rest of its work. */
async function outlastsSignOut({ visitor }: Stage, work: Handler<unknown>): Promise<Reply<unknown>> {
  await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada', city: 'Rome' }, a: 1 }))
  const slow = await visitor.loads(work)
  await visitor.does(({ data }) => delete data.profile)
  return slow.ends()
}

const moves = ({ data }: SessionManager<Contents>): void => {
  data.profile = { ...data.profile, city: 'Bonn' }
}
const slowChanges: Readonly<Record<string, Handler<unknown>>> = {
  'a commit': moves,
  'save()': async (session) => {
    moves(session)
    await session.save()
  },
  'regenerate()': async (session) => {
    moves(session)
    await session.regenerate()
  },
  'an update() of something else': async (session) => {
    moves(session)
    await session.update((data) => (data.b = 2))
  },
  'an object that a save() left attached': async (session) => {
    const { profile } = session.data
    session.data.b = 2
    await session.save()
    if (profile !== undefined) profile.city = 'Bonn'
  },
}
for (const [name, work] of Object.entries(slowChanges)) {
  claim(`${name} of a slow request does not undo a sign-out by data`, options, async (t, stage) => {
    const reply = await outlastsSignOut(stage, work)

    t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_GONE', []])
    t.is(stage.scene.heard('gone').length, 1)
    const { owner, profile, a } = (await account(stage.visitor)) ?? {}
    t.deepEqual([owner, profile, a], [undefined, undefined, 1])
    t.deepEqual(await stage.site.middleware.list('ada'), [])
  })
}

const signsIn = (session: SessionManager<Contents>): Promise<unknown> =>
  session.update((data) => (data.profile = { name: 'ada' }))
const signIns: Readonly<Record<string, Handler<unknown>>> = {
  'an update(), whose function saw it': signsIn,
  'an update() with other changes pending': (session) => {
    session.data.a = 2
    return signsIn(session)
  },
  'a change after reload()': async (session) => {
    await session.reload()
    signIn('ada')(session)
  },
  'a change after regenerate({ keep: false })': async (session) => {
    await session.regenerate({ keep: false })
    signIn('ada')(session)
  },
}
for (const [name, work] of Object.entries(signIns)) {
  claim(`${name} signs in again after a parallel sign-out by data`, options, async (t, stage) => {
    const reply = await outlastsSignOut(stage, work)

    t.deepEqual([reply.status, reply.sid.length], [200, 1])
    t.is((await account(stage.visitor))?.owner, 'ada')
    t.is((await stage.site.middleware.list('ada')).length, 1)
  })
}

claim('a request that signed out itself may sign the same owner in again', options, async (t, { visitor }) => {
  await visitor.does(signIn('ada'))
  const { status, result } = await visitor.does(async (session) => {
    const { profile } = session.data
    delete session.data.profile
    await session.save()
    const { owner } = session
    session.data.profile = { ...profile, city: 'Bonn' }
    return owner ?? 'nobody'
  })

  t.deepEqual([status, result], [200, 'nobody'])
  t.deepEqual(await account(visitor), { profile: { name: 'ada', city: 'Bonn' }, owner: 'ada' })
})

claim('nor does a request that gave the session its id undo one', options, async (t, { visitor, site }) => {
  await visitor.does(signIn('ada'))
  const { status, code } = await visitor.does(async (session) => {
    await session.regenerate()
    const { profile } = session.data
    await site.middleware.update(session.publicId, (data) => delete data.profile)
    if (profile !== undefined) profile.city = 'Bonn'
  })

  t.deepEqual([status, code], [409, 'ERR_SESSION_GONE'])
  t.deepEqual(await site.middleware.list('ada'), [])
})

claim('a session of before the option gets its owner with the next change of it', async (t, { visitor, scene }) => {
  await visitor.does(signIn('ada'))
  const site = await scene.mount(options)
  const same = await site.visitor(await visitor.cookie())
  const slow = await same.loads(moves)
  await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada', city: 'Rome' }, a: 1 }))

  t.is((await slow.ends()).status, 200)
  t.deepEqual(await account(same), { a: 1, profile: { name: 'ada', city: 'Bonn' }, owner: 'ada' })
})

claim('where no cookie can be sent a change of the owner is refused and stores nothing', options, async (t, stage) => {
  const { visitor, site } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const publicId = await visitor.publicId()

  await t.throwsAsync(
    site.middleware.update(publicId, (data) => void (data.profile = { name: 'ada' })),
    { code: 'ERR_SESSION_HEADERS_SENT' },
  )
  const reply = await visitor.does(async ({ data }, ctx) => {
    ctx.respond = false
    ctx.res.writeHead(200).end('early')
    data.profile = { name: 'ada' }
    await Promise.resolve()
  })

  t.is(reply.status, 200)
  t.is(reply.code, 'ERR_SESSION_HEADERS_SENT')
  t.deepEqual(await account(visitor), { a: 1, owner: undefined })
})

claim('update() may set the owner: a new id, stored together', options, async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const planted = await visitor.snapshot()

  const reply = await visitor.does((session) => session.update((data) => void (data.profile = { name: 'ada' })))

  t.deepEqual([reply.status, reply.sid.length], [200, 1])
  t.deepEqual(await account(visitor), { a: 1, profile: { name: 'ada' }, owner: 'ada' })
  t.is(await planted.origin(), 'expired')
  t.is((await scene.live()).length, 1)
})

claim('signIn is unsupported where the option names the owner', options, async (t, { visitor }) => {
  t.is((await visitor.does((session) => session.signIn('ada'))).code, 'ERR_SESSION_UNSUPPORTED')
})

claim(
  'the owner function gets a copy: what it writes reaches nobody',
  {
    owner: (data) => {
      data.b = 9
      if (data.profile !== undefined) data.profile.city = 'changed'
      return data.profile?.name
    },
  },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'ada' }, a: 1 }))

    t.deepEqual(await visitor.sees(), { profile: { name: 'ada' }, a: 1 })
  },
)

for (const [what, signIn] of Object.entries({
  'save()': (session) => {
    session.data.profile = { name: 'eve' }
    return session.save()
  },
  'update()': (session) => session.update((data) => void (data.profile = { name: 'eve' })),
  'regenerate()': (session) => {
    session.data.profile = { name: 'eve' }
    return session.regenerate()
  },
} satisfies Record<string, Handler<void>>))
  claim(
    `an object of another owner that is written to while ${what} is under way stays behind`,
    { owner: ({ profile }) => profile?.name },
    async (t, { visitor }) => {
      await visitor.does(({ data }) => void Object.assign(data, { profile: { name: 'ada' }, cart: ['of ada'] }))

      await visitor.does(async (session) => {
        const signingIn = signIn(session)
        session.data.cart?.push('pen')
        await signingIn
      })

      const { result } = await visitor.does(({ data, owner }) => ({ ...data, owner }))
      t.deepEqual(result, { profile: { name: 'eve' }, owner: 'eve' })
    },
  )

claim(
  'over another owner, what is assigned while the function of update() runs is stored',
  { owner: ({ profile }) => profile?.name },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => void Object.assign(data, { profile: { name: 'ada' }, cart: ['of ada'] }))
    const running = new Barrier()

    const reply = await visitor.does(async (session) => {
      const signingIn = session.update(async (data) => {
        await running.pass()
        data.profile = { name: 'eve' }
      })
      await running.arrived
      Object.assign(session.data, { a: 7, b: 8 })
      running.open()
      await signingIn
      return session.data.a
    })

    t.is(reply.result, 7)
    const { result } = await visitor.does(({ data, owner }) => ({ ...data, owner }))
    t.deepEqual(result, { profile: { name: 'eve' }, a: 7, b: 8, owner: 'eve' })
  },
)

claim(
  'an object of another owner that is first read while update() stores stays behind',
  { owner: ({ profile }) => profile?.name },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => void Object.assign(data, { profile: { name: 'ada' }, cart: ['of ada'] }))

    await visitor.does(async (session) => {
      const signingIn = session.update((data) => void (data.profile = { name: 'eve' }))
      // The function has returned, and the store has not answered yet.
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      session.data.cart?.push('pen')
      await signingIn
    })

    const { result } = await visitor.does(({ data, owner }) => ({ ...data, owner }))
    t.deepEqual(result, { profile: { name: 'eve' }, owner: 'eve' })
  },
)

claim(
  'an update that follows another sign-in to a successor leaves objects of the former owner behind',
  { owner: ({ profile }) => profile?.name },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => void Object.assign(data, { profile: { name: 'ada' }, cart: ['of ada'] }))
    const first = new Barrier()
    const second = new Barrier()
    let tries = 0
    const other = await visitor.snapshot()

    const slow = other.does(async (session) => {
      const { cart } = session.data
      const signingIn = session.update(async (data) => {
        tries++
        await (tries === 1 ? first : second).pass()
        data.profile = { name: 'eve' }
      })
      await second.arrived
      cart?.push('pen')
      second.open()
      await signingIn
    })
    await first.arrived
    await visitor.does((session) => session.update((data) => void (data.profile = { name: 'eve' })))
    first.open()
    t.is((await slow).status, 200)
    t.is(tries, 2)

    const { result } = await visitor.does(({ data, owner }) => ({ ...data, owner }))
    t.deepEqual(result, { profile: { name: 'eve' }, owner: 'eve' })
  },
)

const warned: string[] = []

claim(
  'a login with "remember me" that is sent twice is worth no notice: the cookie of the other response has the lifetime',
  { owner: ({ profile }) => profile?.name, logger: { warn: (line) => void warned.push(line) } },
  async (t, { visitor }) => {
    warned.length = 0
    await visitor.does(({ data }) => void (data.a = 1))
    const again = await visitor.snapshot()
    const began = new Barrier()
    const login: Parameters<typeof visitor.does>[0] = async (session) => {
      session.data.profile = { name: 'ada' }
      await session.save()
      session.maxAge = '30d'
    }
    const slow = again.does(async (session, ctx) => {
      await began.pass()
      return login(session, ctx)
    })
    await began.arrived
    const first = await visitor.does(login)
    t.regex(String(first.setCookie), /Max-Age=2592000/)
    began.open()
    const second = await slow
    t.is(second.status, 200)
    t.deepEqual(second.setCookie, [])

    t.deepEqual(
      warned.filter((line) => line.includes('LATE_MAX_AGE')),
      [],
    )
  },
)
