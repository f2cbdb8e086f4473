// A session goes on under a new id, while others use it, renew it or end it.
import type { Verb } from '../support/faults.ts'
import { claim, pairOf, publicIdIn, SECOND, type Reply } from '../support/scene.ts'

const codes = (...replies: Reply<unknown>[]): unknown[] => replies.map(({ status, code }) => code ?? status)

claim(
  'regenerate gives a new id and public id, keeps everything else, and the old id is dead',
  async (t, { visitor, clock }) => {
    const look = await visitor.does(async (session) => {
      session.data.a = 1
      await session.signIn('ada')
      session.maxAge = '7d'
    })
    const old = await visitor.snapshot()
    const state = async () =>
      (
        await visitor.does(({ data, owner, createdAt, authenticatedAt, maxAge }) => ({
          ...data,
          owner,
          createdAt,
          authenticatedAt,
          maxAge,
        }))
      ).result
    const before = await state()
    clock.advance(SECOND)

    const reply = await visitor.does((session) => session.regenerate())

    t.deepEqual(codes(look, reply), [200, 200])
    t.not(pairOf(reply.sid[0]), await old.cookie())
    t.deepEqual(await state(), before)
    t.like(before, { a: 1, owner: 'ada', maxAge: 604_800_000 })
    t.is(await old.origin(), 'expired')
  },
)

claim('regenerate stores what was pending with it, and what comes later at the commit', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))

  await visitor.does(async (session) => {
    session.data.b = 2
    await session.regenerate()
    session.data.c = 3
  })

  t.deepEqual(await visitor.sees(), { a: 1, b: 2, c: 3 })
})

claim('two regenerates in one request send one cookie, and the last id alone lives', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const reply = await visitor.does(async (session) => {
    await session.regenerate()
    await session.regenerate()
  })

  t.is(reply.sid.length, 1)
  t.deepEqual(
    (await scene.live()).map(({ key }) => key),
    [await visitor.publicId()],
  )
})

claim('changes that others committed before a regenerate are kept', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))

  const slow = await visitor.starts(async (session, wait) => {
    session.data.b = 2
    await wait()
    await session.regenerate()
  })
  await visitor.does(({ data }) => Object.assign(data, { a: 9, c: 3 }))

  t.deepEqual(codes(await slow.ends()), [200])
  t.deepEqual(await visitor.sees(), { a: 9, b: 2, c: 3 })
})

claim(
  'a change that is committed between the two writes of a regenerate is kept',
  async (t, { visitor, store, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const tombstone = store.pause('replace')

    const slow = visitor.does((session) => session.regenerate())
    await tombstone.arrived
    const writer = await visitor.does((session) => {
      session.data.b = 2
      session.flash('note', 'hello')
      session.maxAge = '7d'
    })
    tombstone.open()

    t.deepEqual(codes(await slow, writer), [200, 200])
    t.deepEqual(
      (await visitor.does((session) => ({ ...session.data, maxAge: session.maxAge, note: session.flash('note') })))
        .result,
      { a: 1, b: 2, maxAge: 604_800_000, note: ['hello'] },
    )
    t.is((await scene.live()).length, 1)
  },
)

claim(
  'a request that was under way when another regenerated is refused its change, and sends no cookie',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const slow = await visitor.starts(async ({ data }, wait) => {
      await wait()
      data.a = 2
    })
    await visitor.does((session) => session.regenerate())

    const reply = await slow.ends()
    t.deepEqual([...codes(reply), reply.sid], ['ERR_SESSION_GONE', []])
    t.is(reply.status, 409)
    t.deepEqual(await visitor.sees(), { a: 1 })
    t.is((await scene.live()).length, 1)
  },
)

claim(
  'a request that was under way when another regenerated reads what it had loaded, and sends no cookie',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const slow = await visitor.starts(async ({ data }, wait) => {
      await wait()
      return data.a
    })
    await visitor.does((session) => session.regenerate())

    const { status, result, sid } = await slow.ends()
    t.deepEqual([status, result, sid], [200, 1, []])
  },
)

claim(
  "with onConflict 'throw' a regenerate over a change of the same key is refused, and the old session alone lives on",
  { onConflict: 'throw' },
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does(async (session) => {
      session.data.a = 2
      await visitor.does(({ data }) => (data.a = 3))
      await session.regenerate()
    })

    t.deepEqual([reply.status, reply.code, reply.sid], [409, 'ERR_SESSION_CONFLICT', []])
    t.deepEqual(await visitor.sees(), { a: 3 })
    t.is((await scene.live()).length, 1)
  },
)

claim(
  'a session that gets a new id and is destroyed in one request has its cookie cleared, and nothing lives',
  async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does(async (session) => {
      await session.regenerate()
      await session.destroy()
    })

    t.deepEqual(reply.sid.map(pairOf), ['sid='])
    t.deepEqual(await scene.live(), [])
  },
)

// Where the first of two regenerates stands when the second begins and ends.
const places: readonly (readonly [Verb, 'before' | 'after'])[] = [
  ['create', 'before'],
  ['create', 'after'],
  ['replace', 'before'],
  ['replace', 'after'],
]

for (const [verb, when] of places) {
  claim(
    `of two regenerates, one stopped ${when} its ${verb}, one wins, the other gets 409 and no cookie, and there is no third session`,
    async (t, { visitor, store, scene }) => {
      await visitor.does(({ data }) => (data.a = 1))
      const tab = await visitor.snapshot()
      const stop = store.pause(verb, when)

      const first = visitor.does((session) => session.regenerate())
      await stop.arrived
      const second = await tab.does((session) => session.regenerate())
      stop.open()

      const replies = [await first, second]
      const [winner, loser] = replies[0]?.status === 200 ? replies : replies.reverse()
      t.deepEqual([winner?.status, loser?.status], [200, 409])
      // Once its tombstone stands, the first has won; whoever comes then is late.
      t.is(winner === second, !(verb === 'replace' && when === 'after'))
      t.is(loser?.code, 'ERR_SESSION_GONE')
      t.deepEqual([winner?.sid.length, loser?.sid.length], [1, 0])
      t.deepEqual(
        (await scene.live()).map(({ key }) => key),
        [publicIdIn(pairOf(winner?.sid[0]))],
      )
    },
  )

  claim(
    `a session that is destroyed while a regenerate stands ${when} its ${verb} has ended for good`,
    async (t, { visitor, store, scene }) => {
      await visitor.does(({ data }) => (data.a = 1))
      const tab = await visitor.snapshot()
      const logout = await tab.loads((session) => session.destroy())
      const stop = store.pause(verb, when)

      const renewal = visitor.does((session) => session.regenerate())
      await stop.arrived
      const ended = await logout.ends()
      stop.open()

      const isDone = verb === 'replace' && when === 'after'
      t.deepEqual(codes(await renewal, ended), [isDone ? 200 : 'ERR_SESSION_GONE', 200])
      t.is((await renewal).sid.length, isDone ? 1 : 0)
      t.is(pairOf(ended.sid[0]), 'sid=')
      t.deepEqual(await scene.live(), [])
    },
  )
}

for (const [verb, when] of [
  ['replace', 'before'],
  ['replace', 'after'],
] as const) {
  claim(
    `a session that is regenerated while its destroy stands ${when} its ${verb} has ended for good`,
    async (t, { visitor, store, scene }) => {
      await visitor.does(({ data }) => (data.a = 1))
      const tab = await visitor.snapshot()
      const renewal = await tab.loads((session) => session.regenerate())
      const stop = store.pause(verb, when)

      const logout = visitor.does((session) => session.destroy())
      await stop.arrived
      const renewed = await renewal.ends()
      stop.open()

      const isFirst = when === 'before'
      t.deepEqual(codes(renewed, await logout), [isFirst ? 200 : 'ERR_SESSION_GONE', 200])
      t.is(renewed.sid.length, isFirst ? 1 : 0)
      t.is(pairOf((await logout).sid[0]), 'sid=')
      t.deepEqual(await scene.live(), [])
    },
  )
}

claim(
  'a crash between the two writes of a regenerate leaves the old session working under its cookie',
  async (t, { visitor, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    store.next('replace', { kind: 'fail' })

    const reply = await visitor.does((session) => session.regenerate())

    t.deepEqual([reply.status, reply.code, reply.sid], [503, 'ERR_SESSION_STORE', []])
    t.deepEqual(await visitor.sees(), { a: 1 })
    t.deepEqual(codes(await visitor.does((session) => session.regenerate())), [200])
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim(
  'a store that stops answering between the two writes of a regenerate leaves the old session working',
  async (t, { visitor, store, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const tab = await (await scene.mount({ storeTimeout: 300 })).visitor(await visitor.cookie())
    store.next('replace', { kind: 'hang' })

    let reply = await tab.does((session) => session.regenerate())
    // On a busy machine a healthy call before it may miss the short deadline.
    for (let tries = 0; tries < 20 && store.isFaultDue; tries++)
      reply = await tab.does((session) => session.regenerate())

    t.deepEqual([reply.status, reply.code, reply.sid], [503, 'ERR_SESSION_STORE', []])
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim('a new session that cannot be made leaves the old one working', async (t, { visitor, store, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  store.next('create', { kind: 'fail' })

  const reply = await visitor.does((session) => session.regenerate())

  t.deepEqual([reply.status, reply.sid], [503, []])
  t.deepEqual(await visitor.sees(), { a: 1 })
  t.is((await scene.live()).length, 1)
})

claim(
  'the cookie of a regenerate survives a 500 thrown afterwards, and the response is not cached',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does(async (session) => {
      await session.regenerate()
      session.data.a = 2
      throw new Error('afterwards')
    })

    t.deepEqual([reply.status, reply.sid.length], [500, 1])
    t.is(reply.headers.get('cache-control'), 'no-store')
    t.is(reply.headers.get('vary'), 'Cookie')
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim('the cookie of a sign-in survives a 500 thrown afterwards', async (t, { visitor }) => {
  const reply = await visitor.does(async (session) => {
    await session.signIn('ada')
    throw new Error('afterwards')
  })

  t.deepEqual([reply.status, reply.sid.length], [500, 1])
  t.is((await visitor.does(({ owner }) => owner)).result, 'ada')
})

claim('a regenerate of a session that is not stored yet makes one session', async (t, { visitor, scene }) => {
  const reply = await visitor.does(async (session) => {
    session.data.a = 1
    await session.regenerate()
  })

  t.is(reply.sid.length, 1)
  t.deepEqual(await visitor.sees(), { a: 1 })
  t.is((await scene.live()).length, 1)
})

claim(
  'regenerate with keep: false is empty, without owner, and a fresh start in the same response',
  async (t, { visitor, clock }) => {
    await visitor.does(async (session) => {
      session.data.a = 1
      await session.signIn('ada')
    })
    clock.advance(SECOND)

    await visitor.does(async (session) => {
      await session.regenerate({ keep: false })
      session.data.b = 2
    })

    const { result } = await visitor.does(({ data, owner, createdAt, authenticatedAt, maxAge }) => ({
      ...data,
      owner,
      createdAt,
      authenticatedAt,
      maxAge,
    }))
    t.deepEqual(result, { b: 2, owner: undefined, createdAt: clock.now, authenticatedAt: undefined, maxAge: 0 })
  },
)

claim(
  'regenerate with a list keeps those keys, owner, createdAt, authenticatedAt and maxAge',
  async (t, { visitor, clock }) => {
    await visitor.does(async (session) => {
      await session.signIn('ada')
      session.maxAge = '7d'
      Object.assign(session.data, { a: 1, b: 2, c: 3 })
    })
    const began = clock.now
    clock.advance(SECOND)

    await visitor.does((session) => session.regenerate({ keep: ['a', 'c', 'count'] }))

    const { result } = await visitor.does(({ data, owner, createdAt, authenticatedAt, maxAge }) => ({
      ...data,
      owner,
      createdAt,
      authenticatedAt,
      maxAge,
    }))
    t.deepEqual(result, { a: 1, c: 3, owner: 'ada', createdAt: began, authenticatedAt: began, maxAge: 604_800_000 })
  },
)
