// session.update(fn): a change that is computed from the newest data, and applied exactly once.
import { Barrier } from '../support/faults.ts'
import type { SessionManager } from '../../src/index.ts'
import { claim, type Contents, type Stage } from '../support/scene.ts'

const increment = (data: { count?: number }): number => (data.count = (data.count ?? 0) + 1)

claim('fifty parallel increments give exactly fifty', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))

  const replies = await Promise.all(
    Array.from({ length: 50 }, () => visitor.does((session) => session.update(increment))),
  )

  t.deepEqual(
    replies.map(({ status }) => status).filter((status) => status !== 200),
    [],
  )
  t.deepEqual(await visitor.sees(), { count: 50 })
  t.deepEqual(
    replies.map(({ result }) => result ?? 0).sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, at) => at + 1),
  )
})

claim('parallel increments in one request give their sum', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))

  const reply = await visitor.does((session) => Promise.all(Array.from({ length: 5 }, () => session.update(increment))))

  t.is(reply.status, 200)
  t.deepEqual(await visitor.sees(), { count: 5 })
})

claim(
  "fn sees the newest data with this request's pending changes, and all is stored together",
  async (t, { visitor }) => {
    await visitor.does(({ data }) => Object.assign(data, { a: 1, b: 1 }))

    const slow = await visitor.starts(async (session, wait) => {
      session.data.b = 2
      session.flash('note', 'hello')
      await wait()
      const seen: object[] = []
      await session.update((data) => {
        seen.push({ ...data })
        data.count = (data.a ?? 0) + (data.b ?? 0)
      })
      return seen.at(-1)
    })
    await visitor.does(({ data }) => (data.a = 10))

    t.deepEqual((await slow.ends()).result, { a: 10, b: 2 })
    t.deepEqual(await visitor.sees(), { a: 10, b: 2, count: 12 })
    t.deepEqual((await visitor.does((session) => session.flash('note'))).result, ['hello'])
  },
)

claim('fn runs again when another request came between, and only its last run counts', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.cart = ['pen']))
  const running = new Barrier()
  let runs = 0

  const slow = visitor.does((session) =>
    session.update(async (data) => {
      runs++
      await running.pass()
      data.cart?.push('ink')
    }),
  )
  await running.arrived
  await visitor.does(({ data }) => data.cart?.push('nib'))
  running.open()

  t.is((await slow).status, 200)
  t.is(runs, 2)
  t.deepEqual(await visitor.sees(), { cart: ['pen', 'nib', 'ink'] })
})

claim('when fn throws, nothing of it is stored', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.count = 1))
  store.counted()

  const reply = await visitor.does((session) =>
    session.update((data) => {
      increment(data)
      throw new Error('no more')
    }),
  )

  t.is(reply.status, 500)
  t.is(store.counted().replace, undefined)
  t.deepEqual(await visitor.sees(), { count: 1 })
})

claim(
  'when fn throws and the handler catches it, what was pending before is committed and the rest is not',
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.count = 1))

    const reply = await visitor.does(async (session) => {
      session.data.a = 1
      await t.throwsAsync(
        session.update((data) => {
          increment(data)
          throw new Error('no more')
        }),
      )
    })

    t.is(reply.status, 200)
    t.deepEqual(await visitor.sees(), { a: 1, count: 1 })
  },
)

claim("update() resolves to fn's result, which is not taken for data", async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 1))

  const reply = await visitor.does((session) =>
    session.update((data) => {
      increment(data)
      return { a: 5 }
    }),
  )

  t.deepEqual(reply.result, { a: 5 })
  t.deepEqual(await visitor.sees(), { count: 2 })
})

const inside: Readonly<Record<string, (session: SessionManager<Contents>, stage: Stage) => unknown>> = {
  'session.save()': (session) => session.save(),
  'session.reload()': (session) => session.reload(),
  'session.regenerate()': (session) => session.regenerate(),
  'session.signIn()': (session) => session.signIn('ada'),
  'session.destroy()': (session) => session.destroy(),
  'session.clear()': (session) => session.clear(),
  'session.flash()': (session) => session.flash('note', 'hello'),
  'session.maxAge =': (session) => (session.maxAge = '1h'),
  'sessions.destroy()': ({ publicId }, { site }) => site.middleware.destroy(publicId),
  'sessions.destroyAll()': (_session, { site }) => site.middleware.destroyAll('bob'),
  'sessions.destroyEverything()': (_session, { site }) => site.middleware.destroyEverything(),
}

for (const [what, verb] of Object.entries(inside)) {
  claim(`${what} inside fn is ERR_SESSION_IN_UPDATE, and the session stays as it was`, async (t, stage) => {
    const { visitor } = stage
    await visitor.does(async (session) => {
      session.data.count = 1
      await session.signIn('bob', { keep: true })
    })

    let message = ''
    const reply = await visitor.does((session) =>
      session.update(async (data) => {
        increment(data)
        try {
          await verb(session, stage)
        } catch (error) {
          ;({ message } = error as Error)
          throw error
        }
      }),
    )

    t.deepEqual([reply.status, reply.code], [500, 'ERR_SESSION_IN_UPDATE'])
    t.true(message.startsWith(`${what} was used inside the function of update()`), message)
    t.deepEqual(await visitor.sees(), { count: 1 })
    t.is((await visitor.does(({ owner }) => owner)).result, 'bob')
  })
}

claim('what update() stored is there for others while the request still runs', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 1))

  const slow = await visitor.starts(async (session, wait) => {
    await session.update(increment)
    await wait()
  })
  const between = await visitor.sees()
  await slow.ends()

  t.deepEqual(between, { count: 2 })
})

claim('an update stands when the handler throws afterwards', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 1))

  const reply = await visitor.does(async (session) => {
    await session.update(increment)
    session.data.a = 1
    throw new Error('afterwards')
  })

  t.is(reply.status, 500)
  t.deepEqual(await visitor.sees(), { count: 2 })
})

claim(
  'an update of a new session stores it, and its cookie survives a 500 thrown afterwards',
  async (t, { visitor }) => {
    const reply = await visitor.does(async (session) => {
      await session.update(increment)
      throw new Error('afterwards')
    })

    t.deepEqual([reply.status, reply.sid.length], [500, 1])
    t.deepEqual(await visitor.sees(), { count: 1 })
  },
)

claim('update() works after the commit', async (t, { visitor }) => {
  await visitor.does(({ data }) => (data.count = 1))
  const answered = new Barrier()
  let background: Promise<number> | undefined

  await visitor.does((session) => {
    background = answered.pass().then(() => session.update(increment))
  })
  answered.open()

  t.is(await background, 2)
  t.deepEqual(await visitor.sees(), { count: 2 })
})

claim('an update of a session that was destroyed elsewhere is refused as gone', async (t, { visitor, scene }) => {
  await visitor.does(({ data }) => (data.count = 1))
  const running = new Barrier()

  const slow = visitor.does((session) =>
    session.update(async (data) => {
      await running.pass()
      return increment(data)
    }),
  )
  await running.arrived
  await visitor.does((session) => session.destroy())
  running.open()

  const { status, code, sid } = await slow
  t.deepEqual([status, code, sid], [409, 'ERR_SESSION_GONE', []])
  t.deepEqual(await scene.live(), [])
})

claim(
  "with onConflict 'throw' an update that is overtaken runs again, and what was pending is refused where both changed it",
  { onConflict: 'throw' },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.count = 1))
    const [counting, writing] = [new Barrier(), new Barrier()]

    const counter = visitor.does((session) =>
      session.update(async (data) => {
        await counting.pass()
        return increment(data)
      }),
    )
    const writer = visitor.does(async (session) => {
      session.data.count = 7
      await writing.pass()
      await session.update((data) => (data.a = 1))
    })
    await Promise.all([counting.arrived, writing.arrived])
    await visitor.does((session) => session.update(increment))
    counting.open()
    writing.open()

    t.is((await counter).result, 3)
    t.is((await writer).code, 'ERR_SESSION_CONFLICT')
    t.deepEqual(await visitor.sees(), { count: 3 })
  },
)

claim('an update stores nothing of a save() that has failed before it', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.c = 0))
  const first = store.pause('replace')

  const { status } = await visitor.does(async (session) => {
    session.data.a = 1
    const saved = session.save()
    await first.arrived
    const updated = session.update((data) => (data.c = 3))
    session.data.b = 2
    store.next('replace', { kind: 'fail' })
    const failed = t.throwsAsync(session.save(), { code: 'ERR_SESSION_STORE' })
    first.open()
    await Promise.all([saved, failed, updated])
  })

  t.is(status, 200)
  t.deepEqual(await visitor.sees(), { a: 1, c: 3 })
})
