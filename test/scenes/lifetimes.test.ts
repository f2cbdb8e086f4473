// How long a session lives: the server decides, whatever the browser keeps; and when its cookie is sent again.
import { Barrier } from '../support/faults.ts'
import {
  claim,
  DAY,
  HOUR,
  maxAgeOf,
  MINUTE,
  pairOf,
  type Reply,
  SECOND,
  staysActive,
  type Handler,
  type Stage,
  type Visitor,
} from '../support/scene.ts'

claim('a session ends two hours after its last use', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))

  clock.advance(2 * HOUR - 1)
  t.is(await visitor.origin(), 'resumed')
  clock.advance(2 * HOUR)
  t.is(await visitor.origin(), 'expired')
})

claim(
  'a session ends when its idle timeout is over, to the millisecond',
  { idleTimeout: '1m' },
  async (t, { site, clock }) => {
    const [first, second] = [await site.visitor(), await site.visitor()]
    await first.does(({ data }) => (data.a = 1))
    await second.does(({ data }) => (data.a = 1))

    clock.advance(MINUTE - 1)
    t.is(await first.origin(), 'resumed')
    clock.advance(1)
    t.is(await second.origin(), 'expired')
  },
)

claim('activity moves the idle limit and not the absolute one', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))

  t.is(await staysActive(visitor, clock, HOUR, 23), 'resumed')
  clock.advance(HOUR - 1)
  t.is(await visitor.origin(), 'resumed')
  clock.advance(1)
  t.is(await visitor.origin(), 'expired')
})

claim('changes move the idle limit and not the absolute one', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.count = 0))

  for (let turn = 1; turn < 24; turn++) {
    clock.advance(HOUR)
    await visitor.does(({ data }) => (data.count = turn))
  }
  t.deepEqual(await visitor.sees(), { count: 23 })
  clock.advance(HOUR)
  t.is(await visitor.origin(), 'expired')
})

claim('signIn restarts both limits', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  await staysActive(visitor, clock, HOUR, 20)

  await visitor.does((session) => session.signIn('ada'))

  t.is(await staysActive(visitor, clock, HOUR, 23), 'resumed')
  clock.advance(HOUR)
  t.is(await visitor.origin(), 'expired')
})

claim('regenerate does not extend the absolute limit', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  await staysActive(visitor, clock, HOUR, 20)

  await visitor.does((session) => session.regenerate())

  t.is(await staysActive(visitor, clock, HOUR, 3), 'resumed')
  clock.advance(HOUR)
  t.is(await visitor.origin(), 'expired')
})

claim(
  'an absolute timeout shorter than the idle one ends the session',
  { idleTimeout: '2h', absoluteTimeout: '1h' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))

    clock.advance(HOUR - 1)
    t.is(await visitor.origin(), 'resumed')
    clock.advance(1)
    t.is(await visitor.origin(), 'expired')
  },
)

claim(
  'an idle timeout shorter than maxAge ends the session though its cookie lives on',
  { idleTimeout: '30m', maxAge: '1d' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))

    t.is(await staysActive(visitor, clock, 29 * MINUTE, 5), 'resumed')
    clock.advance(30 * MINUTE)
    t.is(await visitor.origin(), 'expired')
  },
)

claim(
  'without an absolute timeout an active session goes on',
  { absoluteTimeout: false },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))

    t.is(await staysActive(visitor, clock, HOUR, 50), 'resumed')
    clock.advance(2 * HOUR)
    t.is(await visitor.origin(), 'expired')
  },
)

claim('without maxAge the cookie lives while the browser runs', async (t, { visitor }) => {
  const { sid } = await visitor.does(({ data }) => (data.a = 1))

  t.is(maxAgeOf(sid[0]), undefined)
  t.notRegex(sid[0] ?? '', /expires/i)
})

claim(
  'with maxAge the cookie says so, and the session ends then also in a browser that ignores it',
  { maxAge: '1d' },
  async (t, { visitor, clock }) => {
    const { sid } = await visitor.does(({ data }) => (data.a = 1))
    const stubborn = await visitor.snapshot()

    t.is(maxAgeOf(sid[0]), DAY / SECOND)
    clock.advance(DAY - 1)
    t.is(await stubborn.origin(), 'resumed')
    clock.advance(1)
    t.is(await stubborn.origin(), 'expired')
  },
)

claim(
  'without rolling neither a use nor a change sends the cookie again or makes the session longer',
  { maxAge: '1d' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.count = 0))

    for (let turn = 1; turn < 24; turn++) {
      clock.advance(HOUR)
      const { sid } = await visitor.does(({ data }) => (turn % 2 === 0 ? data.count : (data.count = turn)))
      t.deepEqual(sid, [])
    }
    clock.advance(HOUR)
    t.is(await visitor.origin(), 'expired')
  },
)

claim('a re-issued cookie carries what is left of the lifetime', { maxAge: '1d' }, async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(6 * HOUR)

  const { sid } = await visitor.does((session) => session.regenerate())

  t.is(maxAgeOf(sid[0]), (18 * HOUR) / SECOND)
})

claim('with maxAge a login begins the whole lifetime again', { maxAge: '1d' }, async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(18 * HOUR)

  const { sid } = await visitor.does((session) => session.signIn('ada'))

  t.is(maxAgeOf(sid[0]), DAY / SECOND)
  clock.advance(DAY - 1)
  t.is(await visitor.origin(), 'resumed')
})

claim(
  'a rolling cookie is renewed whole by each due touch, and by nothing before',
  { maxAge: '10h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))

    clock.advance(HOUR - 1)
    t.deepEqual((await visitor.does(({ data }) => data.a)).sid, [])
    t.deepEqual((await visitor.does(({ data }) => (data.b = 1))).sid, [])
    clock.advance(1)
    const { sid } = await visitor.does(({ data }) => data.a)
    t.is(maxAgeOf(sid[0]), (10 * HOUR) / SECOND)
    t.is(pairOf(sid[0]), await visitor.cookie())
  },
)

claim(
  'a change that comes when a touch is due renews a rolling cookie',
  { maxAge: '10h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(HOUR)

    const { sid } = await visitor.does(({ data }) => (data.a = 2))

    t.is(maxAgeOf(sid[0]), (10 * HOUR) / SECOND)
  },
)

claim(
  'a request that fails is a use: it moves the expiry, renews a rolling cookie, and stores nothing else',
  { maxAge: '10h', rolling: true },
  async (t, { visitor, clock, store }) => {
    const fails = (): Promise<Reply<unknown>> =>
      visitor.does(({ data }) => {
        data.a = 2
        throw new Error('of the handler')
      })
    await visitor.does(({ data }) => (data.a = 1))
    const stubborn = await visitor.snapshot()
    clock.advance(6 * HOUR)
    store.counted()

    const reply = await fails()

    t.deepEqual([reply.status, reply.sid.length, maxAgeOf(reply.sid[0])], [500, 1, (10 * HOUR) / SECOND])
    t.deepEqual(store.counted(), { read: 1, touch: 1 })
    t.is((await fails()).sid.length, 0)
    clock.advance(6 * HOUR)
    t.deepEqual((await stubborn.does(({ data }) => ({ ...data }))).result, { a: 1 })
  },
)

claim(
  'a request whose commit is refused is a use: it moves the expiry, renews a rolling cookie, and stores nothing else',
  { maxAge: '10h', rolling: true },
  async (t, { visitor, clock, store }) => {
    const refused: Readonly<Record<string, Handler<unknown>>> = {
      'at its end': ({ data }) => {
        data.a = new Date() as never
      },
      'for an answer': ({ data }) => {
        data.a = new Date() as never
        throw Object.assign(new Error('of the handler'), { status: 404 })
      },
    }
    for (const [when, handler] of Object.entries(refused)) {
      await visitor.does(({ data }) => (data.a = 1))
      const stubborn = await visitor.snapshot()
      clock.advance(6 * HOUR)
      store.counted()

      const reply = await visitor.does(handler)

      t.deepEqual([reply.status, reply.code], [500, 'ERR_SESSION_VALUE'], when)
      t.deepEqual([reply.sid.length, maxAgeOf(reply.sid[0])], [1, (10 * HOUR) / SECOND], when)
      t.deepEqual(store.counted(), { read: 1, touch: 1 }, when)
      clock.advance(6 * HOUR)
      t.deepEqual((await stubborn.does(({ data }) => ({ ...data }))).result, { a: 1 }, when)
    }
  },
)

claim(
  'a touch that fails after a failed request leaves the error of the handler',
  async (t, { visitor, clock, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(HOUR)
    store.next('touch', { kind: 'fail' })

    const reply = await visitor.does(() => {
      throw Object.assign(new Error('of the handler'), { status: 502, code: 'OWN' })
    })

    t.deepEqual([reply.status, reply.code, reply.sid], [502, 'OWN', []])
  },
)

claim('a request that fails because the store failed does not ask it again', async (t, { visitor, clock, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(HOUR)
  store.counted()

  const reply = await visitor.does(async (session) => {
    session.data.a = 2
    store.next('replace', { kind: 'fail' })
    await session.save()
  })

  t.deepEqual([reply.status, store.counted()], [503, { read: 1, replace: 1 }])
})

claim(
  'use carries a rolling session on, and it ends maxAge after the last',
  { maxAge: '10h', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const stubborn = await visitor.snapshot()

    t.is(await staysActive(stubborn, clock, 9 * HOUR, 10), 'resumed')
    clock.advance(10 * HOUR)
    t.is(await stubborn.origin(), 'expired')
  },
)

claim(
  'the cookie of a rolling session never ends before the session does',
  { maxAge: '10h', rolling: true },
  async (t, { visitor, clock }) => {
    let { sid } = await visitor.does(({ data }) => (data.count = 0))
    let cookieEnd = clock.now + (maxAgeOf(sid[0]) ?? 0) * SECOND
    for (let turn = 1; turn < 12; turn++) {
      clock.advance(25 * MINUTE)
      const reply = await visitor.does((session) => {
        if (turn % 2 === 0) session.data.count = turn
      })
      sid = reply.sid
      if (sid[0] !== undefined) cookieEnd = clock.now + (maxAgeOf(sid[0]) ?? 0) * SECOND
      const { result } = await visitor.does(({ expiresAt }) => expiresAt)
      t.true((result ?? Infinity) <= cookieEnd)
    }
  },
)

claim(
  'a renewed cookie never goes past the absolute end',
  { maxAge: '7d', rolling: true, absoluteTimeout: '10d' },
  async (t, { visitor, clock }) => {
    const first = await visitor.does(({ data }) => (data.a = 1))
    clock.advance(5 * DAY)
    const renewed = await visitor.does(({ data }) => data.a)
    clock.advance(4 * DAY)
    const last = await visitor.does(({ data }) => data.a)

    t.deepEqual(
      [first, renewed, last].map(({ sid }) => (maxAgeOf(sid[0]) ?? 0) * SECOND),
      [7 * DAY, 5 * DAY, DAY],
    )
    clock.advance(DAY)
    t.is(await visitor.origin(), 'expired')
  },
)

claim(
  "a session's own maxAge makes cookie, idle and absolute lifetime that long from now",
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(HOUR)

    const { sid } = await visitor.does((session) => {
      session.maxAge = '30d'
      return session.expiresAt
    })

    t.is(maxAgeOf(sid[0]), (30 * DAY) / SECOND)
    clock.advance(20 * DAY)
    t.is(await visitor.origin(), 'resumed')
    clock.advance(10 * DAY - 1)
    t.is(await visitor.origin(), 'resumed')
    clock.advance(1)
    t.is(await visitor.origin(), 'expired')
  },
)

claim(
  "an explicit absolute timeout caps a session's own maxAge",
  { absoluteTimeout: '3d' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(HOUR)

    const { sid } = await visitor.does((session) => void (session.maxAge = '30d'))

    t.is(maxAgeOf(sid[0]), (71 * HOUR) / SECOND)
    clock.advance(71 * HOUR)
    t.is(await visitor.origin(), 'expired')
  },
)

claim("a session's own maxAge set back to 0 goes back to the options", async (t, { visitor, clock }) => {
  await visitor.does((session) => void (session.maxAge = '30d'))
  clock.advance(HOUR)

  const { sid } = await visitor.does((session) => void (session.maxAge = 0))

  t.deepEqual([sid.length, maxAgeOf(sid[0])], [1, undefined])
  clock.advance(2 * HOUR)
  t.is(await visitor.origin(), 'expired')
})

claim(
  "a session's own maxAge that is taken back in the same request is as if it had not been set",
  { idleTimeout: '20h' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(10 * HOUR)
    await visitor.origin()

    const { sid, result } = await visitor.does((session) => {
      session.maxAge = '1d'
      session.maxAge = 0
      return session.expiresAt
    })

    t.deepEqual([sid, result], [[], clock.now + 14 * HOUR])
    clock.advance(14 * HOUR)
    t.is(await visitor.origin(), 'expired')
  },
)

claim('a maxAge of 0 while another one is being stored goes back to the options', async (t, { visitor, clock }) => {
  await visitor.does(async (session) => {
    session.maxAge = '30d'
    const saved = session.save()
    session.maxAge = 0
    await saved
  })

  t.is((await visitor.does((session) => session.maxAge)).result, 0)
  clock.advance(2 * HOUR)
  t.is(await visitor.origin(), 'expired')
})

claim(
  'a rolling session with its own maxAge is renewed by that',
  { maxAge: '1d', rolling: true },
  async (t, { visitor, clock }) => {
    await visitor.does((session) => void (session.maxAge = '10d'))
    clock.advance(2 * DAY)

    const { sid } = await visitor.does(({ data }) => data.a)

    t.is(maxAgeOf(sid[0]), (10 * DAY) / SECOND)
  },
)

claim('a touch is due after a tenth of the idle timeout, and no sooner', async (t, { visitor, clock, store }) => {
  await visitor.does(({ data }) => (data.a = 1))

  clock.advance(12 * MINUTE - 1)
  await visitor.does(({ data }) => data.a)
  t.is(store.calls.touch, 0)
  clock.advance(1)
  await visitor.does(({ data }) => data.a)
  t.is(store.calls.touch, 1)
  t.is((await visitor.does(({ lastSeenAt }) => lastSeenAt)).result, clock.now)
  t.is(store.calls.touch, 1)
})

claim(
  'a touch is due after an hour however long the idle timeout is',
  { idleTimeout: '7d', absoluteTimeout: false },
  async (t, { visitor, clock, store }) => {
    await visitor.does(({ data }) => (data.a = 1))

    clock.advance(HOUR - 1)
    await visitor.does(({ data }) => data.a)
    t.is(store.calls.touch, 0)
    clock.advance(1)
    await visitor.does(({ data }) => data.a)
    t.is(store.calls.touch, 1)
  },
)

claim(
  'a clock that steps back ends nothing, touches nothing and shortens nothing',
  async (t, { visitor, clock, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const expiresAt = (await visitor.does((session) => session.expiresAt)).result
    clock.advance(-3 * HOUR)

    t.is(await visitor.origin(), 'resumed')
    t.is((await visitor.does(({ data }) => (data.b = 2))).status, 200)
    t.is((await visitor.does((session) => session.expiresAt)).result, expiresAt)
    t.is(store.calls.touch, 0)
    clock.advance(3 * HOUR)
    t.deepEqual(await visitor.sees(), { a: 1, b: 2 })
  },
)

claim(
  'a clock that steps back while a session gets a new id does no harm',
  { maxAge: '1d' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(-HOUR)

    const { status } = await visitor.does((session) => session.regenerate())
    clock.advance(HOUR)

    t.is(status, 200)
    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim(
  'a clock that leaps forward and back again leaves a session that nobody asked for meanwhile',
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    clock.advance(30 * DAY)
    clock.advance(-30 * DAY)

    t.deepEqual(await visitor.sees(), { a: 1 })
  },
)

claim('a request finds ended what a limit that was shortened has ended', async (t, { scene, visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const cookie = await visitor.cookie()
  clock.advance(5 * MINUTE)

  for (const options of [{ idleTimeout: '5m' }, { absoluteTimeout: '5m' }] as const) {
    const site = await scene.mount(options)
    t.is(await (await site.visitor(cookie)).origin(), 'expired')
  }
  t.deepEqual(await visitor.sees(), { a: 1 })
})

/** A session at a process of a shorter limit, half a minute before that ends it. */
async function nearItsEnd({ scene, visitor, clock }: Stage): Promise<Visitor> {
  await visitor.does(async (session) => {
    await session.signIn('ada')
    session.data.a = 1
  })
  clock.advance(HOUR - MINUTE / 2)
  return (await scene.mount({ idleTimeout: '1h' })).visitor(await visitor.cookie())
}

const changes: Record<string, Handler<unknown>> = {
  'a change': ({ data }) => (data.b = 1),
  'save()': async (session) => {
    session.data.b = 1
    await session.save()
  },
  'update()': (session) => session.update((data) => void (data.b = 1)),
  'regenerate()': (session) => session.regenerate(),
  'a message': (session) => {
    session.flash('note', 'late')
  },
  maxAge: (session) => {
    session.maxAge = '1d'
  },
}

claim('what a shortened limit ends while a request runs is changed by nothing', async (t, stage) => {
  const { clock, scene } = stage
  for (const [what, change] of Object.entries(changes)) {
    const late = await nearItsEnd(stage)
    const stored = await scene.record(await late.cookie())
    const { status, code, sid } = await late.does((session, ctx) => {
      clock.advance(MINUTE)
      return change(session, ctx)
    })

    t.deepEqual([status, code, sid], [409, 'ERR_SESSION_GONE', []], what)
    t.deepEqual(await scene.record(await late.cookie()), stored)
  }
  t.is(scene.heard('gone').length, Object.keys(changes).length)
})

claim('a use does not bring back what a shortened limit ended while the request ran', async (t, stage) => {
  const { clock, store } = stage
  const late = await nearItsEnd(stage)

  t.is((await late.does(() => clock.advance(MINUTE))).status, 200)

  t.is(store.calls.touch, 0)
  t.is(await late.origin(), 'expired')
})

claim('parallel changes do not bring it back together', async (t, stage) => {
  const { clock, scene } = stage
  const late = await nearItsEnd(stage)
  const requests = await Promise.all((['a', 'b', 'c'] as const).map((key) => late.loads(({ data }) => (data[key] = 2))))
  clock.advance(MINUTE)
  const replies = await Promise.all(requests.map((request) => request.ends()))

  t.deepEqual(
    replies.map(({ code }) => code),
    ['ERR_SESSION_GONE', 'ERR_SESSION_GONE', 'ERR_SESSION_GONE'],
  )
  t.is(scene.heard('gone').length, 3)
})

claim('a sign-in starts empty then, and a logout ends it', async (t, stage) => {
  const { clock } = stage
  const one = await nearItsEnd(stage)
  await one.does(async (session) => {
    clock.advance(MINUTE)
    await session.signIn('eve')
  })
  t.deepEqual(await one.sees(), {})
  const other = await nearItsEnd(stage)
  const { sid } = await other.does(async (session) => {
    clock.advance(MINUTE)
    await session.destroy()
  })

  t.is(maxAgeOf(sid[0]), 0)
  t.is(await stage.visitor.origin(), 'expired')
})

claim('a request whose session another one used in time may change it', async (t, stage) => {
  const late = await nearItsEnd(stage)
  const request = await late.loads(({ data }) => (data.b = 1))
  await (await stage.scene.mount({ idleTimeout: '1h' })).sender(await late.cookie()).sees()
  stage.clock.advance(MINUTE)

  t.is((await request.ends()).status, 200)
  t.deepEqual(await late.sees(), { a: 1, b: 1 })
})

claim('the limits are the same whether the data is changed or read', async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(HOUR)
  await visitor.does(({ data }) => (data.a = 2))

  t.is((await visitor.does(({ expiresAt }) => expiresAt)).result, clock.now + 2 * HOUR)
})

claim(
  'a request that takes longer than the idle timeout keeps its session by a change that it stores in between',
  { idleTimeout: '10m' },
  async (t, { visitor, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const { status } = await visitor.does(async (session) => {
      for (let step = 0; step < 4; step++) {
        clock.advance(6 * MINUTE)
        if (step % 2 === 0) await session.update((data) => void (data.b = step))
        else {
          session.data.b = step
          await session.save()
        }
      }
      session.data.c = 1
    })

    t.is(status, 200)
    t.deepEqual(await visitor.sees(), { a: 1, b: 3, c: 1 })

    const { code } = await visitor.does(({ data }) => {
      clock.advance(11 * MINUTE)
      data.c = 2
    })
    t.is(code, 'ERR_SESSION_GONE')
  },
)

for (const isStored of [false, true]) {
  claim(
    `a maxAge of 0 while the function of an update runs that will store another one goes back to the options (stored: ${isStored})`,
    async (t, { visitor }) => {
      if (isStored) await visitor.does(({ data }) => (data.a = 1))

      await visitor.does(async (session) => {
        const running = new Barrier()
        session.maxAge = '30d'
        const updated = session.update(async (data) => {
          await running.pass()
          data.b = 2
        })
        await running.arrived
        session.maxAge = 0
        running.open()
        await updated
      })

      t.deepEqual((await visitor.does(({ data, maxAge }) => [data.b, maxAge])).result, [2, 0])
    },
  )
}
