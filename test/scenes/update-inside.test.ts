// update inside update, and what a function of update may not do to others: join, queue, never hold for ever.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SessionMiddleware } from '../../src/index.ts'
import { Barrier } from '../support/faults.ts'
import { claim, type Contents } from '../support/scene.ts'

const increment = (data: { count?: number }): number => (data.count = (data.count ?? 0) + 1)

claim('update inside update joins: the same data, stored together', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.count = 0))
  store.counted()

  const reply = await visitor.does((session) =>
    session.update(async (data) => {
      increment(data)
      const inner = await session.update((joined) => {
        t.is(joined.count, 1)
        return increment(joined)
      })
      t.deepEqual([data.count, session.data.count], [2, 2])
      return inner
    }),
  )

  t.deepEqual([reply.status, reply.result], [200, 2])
  t.deepEqual(store.counted(), { read: 1, replace: 1 })
  t.deepEqual(await visitor.sees(), { count: 2 })
})

claim('session.data inside fn is the data of fn, to read and to write', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 1))

  const reply = await visitor.does(async (session) => {
    const { data: taken } = session
    await session.update((data) => {
      session.data.a = 5
      taken.b = 6
      data.count = 2
      t.deepEqual({ ...data }, { count: 2, a: 5, b: 6 })
      t.deepEqual({ ...session.data }, { count: 2, a: 5, b: 6 })
    })
  })

  t.is(reply.status, 200)
  t.deepEqual(await visitor.sees(), { count: 2, a: 5, b: 6 })
})

claim('sessions.update() and updateAll() inside the update of a session join it', async (t, { visitor, site }) => {
  await visitor.does(async (session) => {
    session.data.count = 0
    await session.signIn('ada')
  })

  const reply = await visitor.does((session) =>
    session.update(async (data) => {
      increment(data)
      await site.middleware.update(session.publicId, increment)
      await site.middleware.updateAll('ada', increment)
    }),
  )

  t.is(reply.status, 200)
  t.deepEqual(await visitor.sees(), { count: 3 })
})

claim(
  'sessions.update() inside the update of a session joins it for its own owner alone',
  async (t, { visitor, site }) => {
    const { middleware } = site
    await visitor.does((session) => session.signIn('ada'))
    const publicId = await visitor.publicId()
    const joins = async (): Promise<void> => {
      await middleware.update(publicId, increment, { owner: 'ada' })
      await t.throwsAsync(middleware.update(publicId, increment, { owner: 'eve' }), { code: 'ERR_SESSION_GONE' })
    }

    t.is((await visitor.does((session) => session.update(joins))).status, 200)
    await middleware.update(publicId, joins, { owner: 'ada' })

    t.deepEqual(await visitor.sees(), { count: 2 })
  },
)

claim('an inner update that throws takes nothing back where it is caught', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))

  const reply = await visitor.does((session) =>
    session.update(async (data) => {
      data.a = 1
      await t.throwsAsync(
        session.update((inner) => {
          inner.b = 2
          throw new Error('not this')
        }),
        { message: 'not this' },
      )
    }),
  )

  t.is(reply.status, 200)
  t.deepEqual(await visitor.sees(), { count: 0, a: 1, b: 2 })
})

claim('another session may be used inside fn, in both directions at once', async (t, { site }) => {
  const [first, second] = [await site.visitor(), await site.visitor()]
  await Promise.all([first, second].map((visitor) => visitor.does(({ data }) => (data.count = 0))))
  const [one, other] = [await first.publicId(), await second.publicId()]
  const { middleware } = site

  const replies = await Promise.all([
    first.does((session) =>
      session.update(async (data) => {
        increment(data)
        await middleware.update(other, (theirs) => void (theirs.a = 1))
      }),
    ),
    second.does((session) =>
      session.update(async (data) => {
        increment(data)
        await middleware.update(one, (theirs) => void (theirs.b = 1))
      }),
    ),
  ])

  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 200],
  )
  t.deepEqual(
    [await first.sees(), await second.sees()],
    [
      { count: 1, b: 1 },
      { count: 1, a: 1 },
    ],
  )
})

claim('a function that never resolves holds no other request', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))
  const stuck = new Barrier()

  const late = visitor.does((session) =>
    session.update(async (data) => {
      increment(data)
      await stuck.pass()
    }),
  )
  await stuck.arrived
  // Each waits for 50 ms at the most, which test/unit/queues.test.ts counts.
  const replies = await Promise.all(
    Array.from({ length: 4 }, () => visitor.does((session) => session.update(increment))),
  )
  stuck.open()

  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  t.is((await late).status, 200)
  t.deepEqual(await visitor.sees(), { count: 5 })
})

// Far more writes than there are while one request is served.
const MOST = 20_000

for (const [what, work] of Object.entries({
  'only reads': (data: { count?: number }) => data.count,
  throws: () => {
    throw Object.assign(new Error('mine'), { status: 418, expose: true })
  },
})) {
  claim(`an update that ${what} ends while another request writes again and again`, async (t, { visitor, site }) => {
    await visitor.does(({ data }) => (data.count = 0))
    const publicId = await visitor.publicId()
    let written = 0
    let goesOn = true
    const writing = (async () => {
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set when the update has ended
      for (; goesOn && written < MOST; written++) {
        await site.middleware.update(publicId, increment)
        // A store that answers at once would leave the request no turn.
        await nextTurn()
      }
    })()

    const reply = await visitor.does((session) => session.update(work))
    goesOn = false
    await writing

    t.is(reply.status, what === 'throws' ? 418 : 200)
    t.true(written > 0 && written < MOST, `${written} writes`)
  })
}

claim('what a failed request had pending is not stored by a later update of it', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))
  let later: Promise<unknown> | undefined
  const failed = new Barrier()

  const reply = await visitor.does((session) => {
    session.data.a = 1
    later = failed.pass().then(() => session.update(increment))
    throw new Error('no')
  })
  failed.open()
  await later

  t.is(reply.status, 500)
  t.deepEqual(await visitor.sees(), { count: 1 })
})

claim('after a commit that was refused a later update works', { maxBytes: 100 }, async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))
  let later: Promise<unknown> | undefined
  const refused = new Barrier()

  const reply = await visitor.does((session) => {
    session.data.profile = { name: 'x'.repeat(200) }
    later = refused.pass().then(() => session.update(increment))
  })
  refused.open()
  await later

  t.is(reply.code, 'ERR_SESSION_TOO_LARGE')
  t.deepEqual(await visitor.sees(), { count: 1 })
})

claim('emptying a session that is known to be gone is refused no more', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const tab = await visitor.snapshot()

  const reply = await tab.does(async (session, ctx) => {
    session.data.a = 2
    await visitor.does((other) => other.destroy())
    await t.throwsAsync(session.save(), { code: 'ERR_SESSION_GONE' })
    session.clear()
    ctx.redirect('/')
  })

  t.deepEqual([reply.status, reply.sid], [302, []])
})

for (const [verb, end] of Object.entries<(sessions: SessionMiddleware<Contents>, publicId: string) => Promise<unknown>>(
  {
    'destroy()': (sessions, publicId) => sessions.destroy(publicId),
    'destroy() of what list() shows': async (sessions) => {
      const [newest] = await sessions.list('ada')
      return sessions.destroy(newest?.publicId ?? '')
    },
    'destroyAll()': (sessions) => sessions.destroyAll('ada'),
  },
))
  claim(
    `${verb} inside an update does not end its session under the id that another request gave it meanwhile`,
    async (t, { visitor, site }) => {
      await visitor.does((session) => session.signIn('ada'))
      const slow = await visitor.starts(async (session, wait) => {
        let refusal: unknown
        const updating = session.update(async () => {
          if (refusal !== undefined) return
          await wait()
          refusal = await end(site.middleware, session.publicId).catch((error: unknown) => error)
        })
        await updating.catch(() => undefined) // it changed nothing, and its session is gone under that id
        return refusal
      })
      await visitor.does((session) => session.regenerate())

      t.like((await slow.ends()).result, { code: 'ERR_SESSION_IN_UPDATE' })
      t.is(await visitor.origin(), 'resumed')
    },
  )
