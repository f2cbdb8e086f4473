// The client leaves before its answer, and the process ends while requests run.
import { once } from 'node:events'
import { Barrier } from '../support/faults.ts'
import { claim, MINUTE, type Contents, type Handler, type Visitor } from '../support/scene.ts'

/** Sends a request whose client goes away before the handler has done its work. */
async function leaving(
  visitor: Visitor,
  work: Handler<unknown>,
  before: Handler<unknown> = () => undefined,
): Promise<void> {
  const client = new AbortController()
  const began = new Barrier()
  const reply = visitor.does(
    async (session, ctx) => {
      const left = once(ctx.res, 'close')
      await before(session, ctx)
      await began.pass()
      await left
      return work(session, ctx)
    },
    { signal: client.signal },
  )
  await began.arrived
  client.abort()
  await reply.then(
    () => {
      throw new Error('the client got an answer')
    },
    () => undefined, // it left
  )
  began.open()
}

/** The same for work that is refused. @returns the code of the error that it threw. */
async function refused(visitor: Visitor, work: Handler<unknown>, before?: Handler<unknown>): Promise<unknown> {
  let end: (code: unknown) => void = () => undefined
  const ended = new Promise<unknown>((resolve) => (end = resolve))
  const told: Handler<unknown> = async (session, ctx) => {
    try {
      await work(session, ctx)
      end(undefined)
    } catch (error) {
      end((error as { code?: unknown }).code)
    }
  }
  await leaving(visitor, told, before)
  return ended
}

/** Signs ada in by one of two ways. */
const signsIn = {
  'signIn()': (session: Parameters<Handler<unknown>>[0]) => session.signIn('ada'),
  'options.owner': async (session: Parameters<Handler<unknown>>[0]) => {
    session.data.profile = { name: 'ada' }
    await session.save()
  },
}

claim('a change whose client has left is committed', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const written = store.pause('replace', 'after')

  await leaving(visitor, ({ data }) => (data.a = 2))
  await written.arrived
  written.open()

  t.deepEqual(await visitor.sees(), { a: 2 })
})

claim('a logout whose client has left ends the session', async (t, { visitor, store, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const ended = store.pause('replace', 'after')

  await leaving(visitor, (session) => session.destroy())
  await ended.arrived
  ended.open()

  t.deepEqual(await scene.live(), [])
  t.is(await visitor.origin(), 'expired')
})

claim('a new session whose client has left is stored, and is nobody else’s', async (t, { visitor, store, scene }) => {
  const written = store.pause('create', 'after')

  await leaving(visitor, ({ data }) => (data.a = 1))
  await written.arrived
  written.open()

  t.is((await scene.live()).length, 1)
  t.is(await visitor.origin(), 'new')
})

for (const [way, work] of Object.entries<Handler<unknown>>({
  'regenerate()': (session) => session.regenerate(),
  'regenerate({ keep: [...] })': (session) => session.regenerate({ keep: ['a'] }),
  'signIn() of the same owner': (session) => session.signIn('ada'),
}))
  claim(`${way} is refused where the client has left: the id that it has stays good`, async (t, { visitor }) => {
    await visitor.does((session) => {
      session.data.a = 1
      return session.signIn('ada')
    })

    t.is(await refused(visitor, work), 'ERR_SESSION_HEADERS_SENT')
    const { result } = await visitor.does(({ origin, owner, data }) => [origin, owner, data.a])
    t.deepEqual(result, ['resumed', 'ada', 1])
  })

claim(
  'an owner whom data names where the client has left takes no session away',
  { owner: ({ profile }) => profile?.name },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const code = await refused(visitor, (session) => {
      session.data.profile = { name: 'ada' }
      return session.save()
    })

    t.is(code, 'ERR_SESSION_HEADERS_SENT')
    t.deepEqual((await visitor.does(({ origin, data }) => [origin, data.a])).result, ['resumed', 1])
  },
)

for (const [way, signIn] of Object.entries(signsIn)) {
  const options = {
    maxPerOwner: 1,
    ...(way === 'options.owner' && { owner: ({ profile }: Contents) => profile?.name }),
  }

  claim(
    `a sign-in of a visitor whose client has left is refused, and takes no place of another device: ${way}`,
    options,
    async (t, { visitor, site, scene }) => {
      const elsewhere = await site.visitor()
      await elsewhere.does(signIn)

      t.is(await refused(visitor, signIn), 'ERR_SESSION_HEADERS_SENT')

      t.is((await elsewhere.does(({ owner }) => owner)).result, 'ada')
      t.is((await scene.live()).length, 1)
    },
  )

  claim(
    `the same where the client leaves while the new session is written: ${way}`,
    options,
    async (t, { visitor, site, store, scene }) => {
      const elsewhere = await site.visitor()
      await elsewhere.does(signIn)
      const written = store.pause('create', 'after')
      let signingIn: Promise<void> | undefined

      const code = await refused(
        visitor,
        () => {
          written.open()
          return signingIn
        },
        async (session) => {
          signingIn = signIn(session)
          await written.arrived
        },
      )

      t.is(code, 'ERR_SESSION_HEADERS_SENT')
      t.is((await elsewhere.does(({ owner }) => owner)).result, 'ada')
      t.is((await scene.live()).length, 1)
    },
  )

  claim(
    `a sign-in over another owner whose client has left is refused, and both owners stay where they are: ${way}`,
    options,
    async (t, { visitor, site }) => {
      const elsewhere = await site.visitor()
      await elsewhere.does(signIn)
      if (way === 'signIn()') await visitor.does((session) => session.signIn('bob'))
      else await visitor.does(({ data }) => (data.profile = { name: 'bob' }))

      t.is(await refused(visitor, signIn), 'ERR_SESSION_HEADERS_SENT')

      t.is((await elsewhere.does(({ owner }) => owner)).result, 'ada')
      t.is((await visitor.does(({ owner }) => owner)).result, 'bob')
    },
  )
}

claim(
  'the same after a new id in the same request, whose cookie the client did not stay for',
  { maxPerOwner: 1, owner: ({ profile }) => profile?.name },
  async (t, { visitor, site }) => {
    const elsewhere = await site.visitor()
    await elsewhere.does(signsIn['options.owner'])
    await visitor.does(({ data }) => (data.a = 1))

    const code = await refused(visitor, signsIn['options.owner'], (session) => session.regenerate())

    t.is(code, 'ERR_SESSION_HEADERS_SENT')
    t.is((await elsewhere.does(({ owner }) => owner)).result, 'ada')
  },
)

for (const isSaved of [true, false])
  claim(
    `an object after null that names an owner, whose client has left, is a logout and no sign-in, saved: ${isSaved}`,
    { maxPerOwner: 1, koaSession: true, owner: ({ profile }) => profile?.name },
    async (t, { visitor, site, scene }) => {
      const elsewhere = await site.visitor()
      await elsewhere.does(signsIn['options.owner'])
      await visitor.does(({ data }) => (data.profile = { name: 'bob' }))

      const code = await new Promise((resolve) => {
        void leaving(visitor, async (session, ctx) => {
          ctx.app.once('error', (error: { code?: unknown }) => resolve(error.code))
          const { session: data } = ctx as unknown as { session: object | null }
          t.truthy(data)
          Object.assign(ctx, { session: null })
          Object.assign(ctx, { session: { profile: { name: 'ada' } } })
          if (isSaved) await session.save()
        })
      })

      t.is(code, 'ERR_SESSION_HEADERS_SENT')
      t.is((await elsewhere.does(({ owner }) => owner)).result, 'ada')
      t.is(await visitor.origin(), 'expired')
      t.is((await scene.live()).length, 1)
    },
  )

claim(
  'close() waits for a commit that is running, and its response is whole',
  async (t, { visitor, site, store, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const stop = store.pause('replace')
    let isClosed = false

    const writer = visitor.does(({ data }) => (data.a = 2))
    await stop.arrived
    const closing = site.middleware.close().then(() => {
      isClosed = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    const wasClosed = isClosed
    const closes = store.closes
    stop.open()
    const { status } = await writer
    await closing

    t.deepEqual([wasClosed, closes, status, store.closes], [false, 0, 200, 1])
    t.deepEqual(await (await (await scene.mount()).visitor(await visitor.cookie())).sees(), { a: 2 })
  },
)

claim('close() waits for all calls of a regenerate that is running', async (t, { visitor, site, store, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const stop = store.pause('create')
  const order: string[] = []

  const renewal = visitor.does(async (session) => {
    await session.regenerate()
    order.push('regenerated')
  })
  await stop.arrived
  const closing = site.middleware.close().then(() => order.push('closed'))
  stop.open()
  await Promise.all([closing, renewal])

  t.deepEqual(order, ['regenerated', 'closed'])
  t.deepEqual([(await renewal).status, (await renewal).sid.length], [200, 1])
  t.is((await scene.live()).length, 1)
})

claim(
  'after close() a request with a session is 503, keeps its cookie, and asks the store nothing',
  async (t, { visitor, site, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const cookie = await visitor.cookie()
    await site.middleware.close()
    store.counted()

    const { status, code, ran, setCookie } = await visitor.does(({ data }) => data.a)

    t.deepEqual([status, code, ran, setCookie], [503, 'ERR_SESSION_STORE', false, []])
    t.deepEqual(store.counted(), {})
    t.is(await visitor.cookie(), cookie)
  },
)

claim(
  'after close() no session begins: 503, no cookie, and the store is not asked',
  async (t, { visitor, site, store }) => {
    await site.middleware.close()

    const { status, code, setCookie } = await visitor.does(({ data }) => (data.a = 1))

    t.deepEqual([status, code, setCookie], [503, 'ERR_SESSION_STORE', []])
    t.deepEqual(store.counted(), {})
  },
)

claim(
  'a change that is committed after close() is refused with 503 and changes nothing',
  async (t, { visitor, site, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const writer = await visitor.starts(async ({ data }, wait) => {
      await wait()
      data.a = 2
    })
    await site.middleware.close()

    const { status, code, setCookie } = await writer.ends()
    t.deepEqual([status, code, setCookie], [503, 'ERR_SESSION_STORE', []])
    t.deepEqual(await (await (await scene.mount()).visitor(await visitor.cookie())).sees(), { a: 1 })
  },
)

claim('after close() a request that needs no session is served', async (t, { site }) => {
  await site.middleware.close()

  t.is((await (await site.visitor()).does(({ data }) => ({ ...data }))).status, 200)
})

claim(
  'a touch that is due after close() spoils no response that was under way',
  async (t, { visitor, site, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(30 * MINUTE)

    const reader = await visitor.starts(async ({ data }, wait) => {
      await wait()
      return data.a
    })
    await site.middleware.close()

    const { status, result } = await reader.ends()
    t.deepEqual([status, result], [200, 1])
  },
)

claim('a second close() does nothing', async (t, { site, store }) => {
  await site.middleware.close()
  await t.notThrowsAsync(site.middleware.close())

  t.is(store.closes, 1)
})

claim('the sessions of a closed app are there for the next process', async (t, { visitor, site, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  await site.middleware.close()

  const next = await (await scene.mount()).visitor(await visitor.cookie())

  t.deepEqual(await next.sees(), { a: 1 })
})
