// Two requests change one session at the same time: what survives.
import { claim, MINUTE, type Handler, type Reply, type Scene, type Visitor } from '../support/scene.ts'

/** `slow` loads the session and does its work; `fast` begins and ends before `slow` commits. */
async function overtake<A, B>(
  visitor: Visitor,
  slow: Handler<A>,
  fast: Handler<B>,
): Promise<{ slow: Reply<A>; fast: Reply<B> }> {
  const late = await visitor.starts(async (session, wait, ctx) => {
    const result = await slow(session, ctx)
    await wait()
    return result
  })
  const early = await visitor.does(fast)
  return { slow: await late.ends(), fast: early }
}

/** The keys of each conflict that an event told. */
const conflicts = (scene: Scene) => scene.heard('conflict').map(({ keys }) => keys)

claim('parallel requests that change different keys both survive', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.c = 3))

  const { slow, fast } = await overtake(
    visitor,
    ({ data }) => (data.a = 1),
    ({ data }) => (data.b = 2),
  )

  t.deepEqual([slow.status, fast.status], [200, 200])
  t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3 })
})

claim('twenty parallel requests, each with a key of its own, all survive', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 0))

  const requests = Array.from({ length: 20 }, (_, at) =>
    visitor.loads(({ data }) => void Object.assign(data, { [`key${at}`]: at })),
  )
  const loaded = await Promise.all(requests)
  await Promise.all(loaded.map((request) => request.ends()))

  t.is(Object.keys((await visitor.sees()) ?? {}).length, 21)
})

claim('a request that is overtaken twice loses nothing', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.c = 3))
  const first = store.pause('replace')

  const slow = visitor.does(({ data }) => (data.a = 1))
  await first.arrived
  await visitor.does(({ data }) => (data.b = 2))
  const second = store.pause('replace')
  first.open()
  await second.arrived
  await visitor.does(({ data }) => (data.count = 4))
  second.open()

  t.is((await slow).status, 200)
  t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3, count: 4 })
})

claim('parallel changes inside two nested objects both survive', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { profile: { name: 'Ada' }, cart: ['pen'] }))

  await overtake(
    visitor,
    ({ data }) => Object.assign(data.profile ?? {}, { city: 'London' }),
    ({ data }) => data.cart?.push('ink'),
  )

  t.deepEqual(await visitor.sees(), { profile: { name: 'Ada', city: 'London' }, cart: ['pen', 'ink'] })
})

claim(
  'of parallel changes inside one nested object the later commit wins whole, and an event says so',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.profile = { name: 'Ada' }))

    await overtake(
      visitor,
      ({ data }) => Object.assign(data.profile ?? {}, { city: 'London' }),
      ({ data }) => Object.assign(data.profile ?? {}, { name: 'Eve' }),
    )

    t.deepEqual(await visitor.sees(), { profile: { name: 'Ada', city: 'London' } })
    t.deepEqual(conflicts(scene), [['profile']])
  },
)

claim(
  'of two changes of one key the later commit wins, and an event names the session and the key',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 0))

    const { slow } = await overtake(
      visitor,
      ({ data }) => Object.assign(data, { a: 1, c: 1 }),
      ({ data }) => Object.assign(data, { a: 2, b: 2 }),
    )

    t.is(slow.status, 200)
    t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 1 })
    const publicId = await visitor.publicId()
    t.deepEqual(scene.heard('conflict'), [{ name: 'conflict', publicId, keys: ['a'] }])
  },
)

claim('changes of different keys are no conflict', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.c = 0))

  await overtake(
    visitor,
    ({ data }) => (data.a = 1),
    ({ data }) => (data.b = 2),
  )

  t.deepEqual(scene.heard('conflict'), [])
})

claim(
  "with onConflict 'throw' the later of two changes of one key is refused with 409, and nothing of it is stored",
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 0))

    const { slow, fast } = await overtake(
      visitor,
      ({ data }) => Object.assign(data, { a: 1, c: 1 }),
      ({ data }) => (data.a = 2),
    )

    t.deepEqual([slow.status, slow.code, fast.status], [409, 'ERR_SESSION_CONFLICT', 200])
    t.deepEqual(slow.sid, [])
    t.deepEqual(await visitor.sees(), { a: 2 })
  },
)

claim(
  "with onConflict 'throw' changes of different keys still merge",
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.c = 0))

    const { slow, fast } = await overtake(
      visitor,
      ({ data }) => (data.a = 1),
      ({ data }) => (data.b = 2),
    )

    t.deepEqual([slow.status, fast.status], [200, 200])
    t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 0 })
  },
)

claim(
  "with onConflict 'throw' two requests that count to the same number are a conflict",
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.count = 4))

    const { slow } = await overtake(
      visitor,
      ({ data }) => (data.count = (data.count ?? 0) + 1),
      ({ data }) => (data.count = (data.count ?? 0) + 1),
    )

    t.is(slow.code, 'ERR_SESSION_CONFLICT')
  },
)

claim(
  "with onConflict 'throw' a request that only looked is never refused",
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.cart = ['pen']))

    const { slow } = await overtake(
      visitor,
      ({ data }) => data.cart?.length,
      ({ data }) => data.cart?.push('ink'),
    )

    t.is(slow.status, 200)
    t.deepEqual(await visitor.sees(), { cart: ['pen', 'ink'] })
  },
)

claim('two merged requests that count to the same number are an event', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.count = 4))

  await overtake(
    visitor,
    ({ data }) => (data.count = (data.count ?? 0) + 1),
    ({ data }) => (data.count = (data.count ?? 0) + 1),
  )

  t.deepEqual(await visitor.sees(), { count: 5 })
  t.deepEqual(conflicts(scene), [['count']])
})

claim('a deletion merges with a change of another key', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

  await overtake(
    visitor,
    ({ data }) => delete data.a,
    ({ data }) => (data.b = 2),
  )

  t.deepEqual(await visitor.sees(), { b: 2 })
})

claim('a key that another request deleted does not come back with a change of another key', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

  await overtake(
    visitor,
    ({ data }) => (data.b = 2),
    ({ data }) => delete data.a,
  )

  t.deepEqual(await visitor.sees(), { b: 2 })
})

claim(
  'a deletion that is committed after a change of the same key wins, with an event',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    await overtake(
      visitor,
      ({ data }) => delete data.a,
      ({ data }) => (data.a = 2),
    )

    t.deepEqual(await visitor.sees(), {})
    t.deepEqual(conflicts(scene), [['a']])
  },
)

claim(
  'a change that is committed after a deletion of the same key wins, with an event',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    await overtake(
      visitor,
      ({ data }) => (data.a = 2),
      ({ data }) => delete data.a,
    )

    t.deepEqual(await visitor.sees(), { a: 2 })
    t.deepEqual(conflicts(scene), [['a']])
  },
)

claim('clear() empties what it saw and leaves a key that a parallel request adds', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

  await overtake(
    visitor,
    (session) => session.clear(),
    ({ data }) => (data.c = 3),
  )

  t.deepEqual(await visitor.sees(), { c: 3 })
})

claim(
  'clear() against a parallel change of a key that it saw: the later commit wins, with an event',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

    await overtake(
      visitor,
      (session) => session.clear(),
      ({ data }) => (data.a = 2),
    )

    t.deepEqual(await visitor.sees(), {})
    t.deepEqual(conflicts(scene), [['a']])
  },
)

claim('a change that is committed after a parallel clear() brings back its own key alone', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

  await overtake(
    visitor,
    ({ data }) => (data.a = 2),
    (session) => session.clear(),
  )

  t.deepEqual(await visitor.sees(), { a: 2 })
})

claim('all data replaced at once leaves a key that a parallel request adds', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

  await overtake(
    visitor,
    (session) => (session.data = { a: 5 }),
    ({ data }) => (data.c = 3),
  )

  t.deepEqual(await visitor.sees(), { a: 5, c: 3 })
})

claim('a touch never carries data back', async (t, { visitor, clock, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(30 * MINUTE)
  const touch = store.pause('touch')

  const reader = visitor.does(({ data }) => data.a)
  await touch.arrived
  await visitor.does(({ data }) => Object.assign(data, { a: 2, b: 2 }))
  touch.open()

  t.is((await reader).status, 200)
  t.deepEqual(await visitor.sees(), { a: 2, b: 2 })
})

claim('a touch that comes first does not stop a change that was under way', async (t, { visitor, clock, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(30 * MINUTE)
  const replace = store.pause('replace')

  const writer = visitor.does(({ data }) => (data.b = 2))
  await replace.arrived
  await visitor.does(({ data }) => data.a)
  replace.open()

  t.is((await writer).status, 200)
  t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
})

claim(
  'what save() stored is there for others while the request still runs, and later changes follow',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.c = 3))

    const slow = await visitor.starts(async (session, wait) => {
      session.data.a = 1
      await session.save()
      await wait()
      session.data.b = 2
    })
    const between = await visitor.sees()
    await slow.ends()

    t.deepEqual(between, { a: 1, c: 3 })
    t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3 })
  },
)

claim('changes between a save() and the commit merge with those of others', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.count = 1))

  await overtake(
    visitor,
    async (session) => {
      session.data.a = 1
      await session.save()
      session.data.b = 2
    },
    ({ data }) => Object.assign(data, { a: 5, c: 3 }),
  )

  t.deepEqual(await visitor.sees(), { a: 5, b: 2, c: 3, count: 1 })
  t.deepEqual(scene.heard('conflict'), [])
})

claim(
  'a change that is made while save() waits for the store is committed at the end',
  async (t, { visitor, store }) => {
    await visitor.does(({ data }) => (data.c = 3))
    const replace = store.pause('replace')

    const slow = visitor.does(async (session) => {
      session.data.a = 1
      const saving = session.save()
      await replace.arrived
      session.data.b = 2
      replace.open()
      await saving
    })

    t.is((await slow).status, 200)
    t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3 })
  },
)

claim('a save() that nobody waits for and the commit both store what is theirs', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.c = 3))

  const reply = await visitor.does((session) => {
    session.data.a = 1
    void session.save()
    session.data.b = 2
  })

  t.is(reply.status, 200)
  t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3 })
})

claim('an own lifetime and a parallel change of data both survive, whichever comes first', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))

  await overtake(
    visitor,
    (session) => void (session.maxAge = '7d'),
    ({ data }) => (data.a = 2),
  )
  await overtake(
    visitor,
    ({ data }) => (data.b = 2),
    (session) => void (session.maxAge = '9d'),
  )

  t.deepEqual((await visitor.does(({ data, maxAge }) => ({ ...data, maxAge }))).result, {
    a: 2,
    b: 2,
    maxAge: 777_600_000,
  })
})

claim('reload() takes what others stored and drops what was pending', async (t, { visitor }) => {
  await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

  const slow = await visitor.starts(async (session, wait) => {
    session.data.a = 9
    await wait()
    await session.reload()
    return { ...session.data }
  })
  await visitor.does(({ data }) => (data.b = 2))

  t.deepEqual((await slow.ends()).result, { a: 1, b: 2 })
  t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
})

claim('parallel first requests begin a session each, and both cookies work', async (t, { scene, site }) => {
  const [one, two] = [await site.visitor(), await site.visitor()]

  const [first, second] = await Promise.all([
    one.does(({ data }) => (data.a = 1)),
    two.does(({ data }) => (data.b = 2)),
  ])

  t.not(first.sid[0], second.sid[0])
  t.deepEqual([await one.sees(), await two.sees()], [{ a: 1 }, { b: 2 }])
  t.is((await scene.live()).length, 2)
})

claim(
  'of the parallel first requests of one browser the cookie that came last counts, and its session is whole',
  async (t, { scene, visitor }) => {
    const { slow, fast } = await overtake(
      visitor,
      ({ data }) => (data.a = 1),
      ({ data }) => (data.b = 2),
    )

    t.deepEqual([slow.sid.length, fast.sid.length], [1, 1])
    t.deepEqual(await visitor.sees(), { a: 1 })
    t.is((await scene.live()).length, 2)
  },
)

claim(
  "with onConflict 'throw' what is written while a save() is refused conflicts as well",
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const slow = await visitor.starts(async (session, wait) => {
      session.data.a = 2
      await wait()
      const refused = t.throwsAsync(session.save(), { code: 'ERR_SESSION_CONFLICT' })
      // Before anybody knows that another request has changed it.
      session.data.a = 3
      await refused
    })
    await visitor.does(({ data }) => (data.a = 9))

    const { status, code } = await slow.ends()
    t.deepEqual([status, code], [409, 'ERR_SESSION_CONFLICT'])
    t.deepEqual(await visitor.sees(), { a: 9 })
  },
)

claim('an object that is changed while a save() fails is told as a conflict', async (t, { visitor, store, scene }) => {
  await visitor.does(({ data }) => (data.cart = ['pen']))
  const elsewhere = (await scene.mount()).sender(await visitor.cookie())

  const second = await visitor.starts(async (session, wait) => {
    session.data.cart?.push('cap')
    await wait()
    const read = store.pause('read', 'after')
    const failed = t.throwsAsync(session.save(), { code: 'ERR_SESSION_STORE' })
    // The first write is refused as stale; the other request's cart is read; the second write fails.
    await read.arrived
    session.data.cart?.push('box')
    store.next('replace', { kind: 'fail' })
    read.open()
    await failed
  })
  await elsewhere.does(({ data }) => (data.cart = ['theirs']))
  scene.events.length = 0

  await second.ends()

  t.true(scene.heard('conflict').some(({ keys }) => keys?.includes('cart')))
})
