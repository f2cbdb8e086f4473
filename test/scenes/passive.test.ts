// options.passive: a request that is no activity of its user.
import { Barrier } from '../support/faults.ts'
import { claim, HOUR, MINUTE, type Options, type Stage } from '../support/scene.ts'

const options: Options = { passive: (ctx) => ctx.get('x-poll') === '1', idleTimeout: '1h' }
const poll = { headers: { 'x-poll': '1' } }

claim('a poll each minute does not keep an idle session alive, to the millisecond', options, async (t, stage) => {
  const { visitor, clock, store } = stage
  await visitor.does(({ data }) => (data.a = 1))
  store.counted()
  for (let minute = 1; minute < 60; minute++) {
    clock.advance(MINUTE)
    t.is((await visitor.does(({ origin }) => origin, poll)).result, 'resumed')
  }
  t.deepEqual(store.counted(), { read: 59 })
  clock.advance(MINUTE - 1)
  t.is((await visitor.does(({ origin }) => origin, poll)).result, 'resumed')
  clock.advance(1)

  t.is((await visitor.does(({ origin }) => origin, poll)).result, 'expired')
})

claim('what a poll changes is stored, and moves neither lastSeenAt nor the expiry', options, async (t, stage) => {
  const { visitor, clock } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const instants = async () =>
    (await visitor.does(({ lastSeenAt, expiresAt }) => ({ lastSeenAt, expiresAt }), poll)).result
  const before = await instants()
  clock.advance(30 * MINUTE)

  await visitor.does(({ data }) => (data.b = 2), poll)
  await visitor.does((session) => session.update((data) => void (data.c = 3)), poll)

  t.deepEqual(await instants(), before)
  t.deepEqual((await visitor.does(({ data }) => ({ ...data }), poll)).result, { a: 1, b: 2, c: 3 })
})

claim('a poll renews no rolling cookie', { ...options, maxAge: '1h', rolling: true }, async (t, { visitor, clock }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(30 * MINUTE)

  t.deepEqual((await visitor.does(({ data }) => (data.b = 2), poll)).sid, [])
  t.deepEqual((await visitor.does(({ data }) => data.a, poll)).sid, [])
  t.is((await visitor.does(({ data }) => data.a)).sid.length, 1)
})

claim('a poll that signs in, sets maxAge or destroys counts as ever', options, async (t, { visitor, clock, scene }) => {
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(30 * MINUTE)
  await visitor.does((session) => session.signIn('ada'), poll)
  t.is((await visitor.does(({ expiresAt }) => expiresAt, poll)).result, clock.now + HOUR)
  clock.advance(30 * MINUTE)
  await visitor.does((session) => (session.maxAge = '2h'), poll)
  t.is((await visitor.does(({ expiresAt }) => expiresAt, poll)).result, clock.now + 2 * HOUR)
  await visitor.does((session) => session.destroy(), poll)
  t.deepEqual(await scene.live(), [])
})

claim(
  'a poll that signs in over another owner begins the lifetimes anew, also where that one has just signed in',
  { ...options, owner: ({ profile }) => profile?.name },
  async (t, { visitor, clock }) => {
    await visitor.does((session) => {
      session.data.a = 1
      session.maxAge = '10m'
    })

    await visitor.does(async (session) => {
      session.data.profile = { name: 'bob' }
      await session.save()
      session.data.profile = { name: 'ada' }
    }, poll)

    t.is((await visitor.does(({ expiresAt }) => expiresAt, poll)).result, clock.now + HOUR)
  },
)

claim(
  'what a slow poll changes takes no use back that came meanwhile',
  options,
  async (t, { visitor, site, clock }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const publicId = await visitor.publicId()
    for (const change of ['commit', 'update', 'outside'] as const) {
      clock.advance(30 * MINUTE)
      const slow = new Barrier()
      const waiting =
        change === 'outside'
          ? site.middleware.update(publicId, async (data) => {
              await slow.pass()
              Object.assign(data, { [change]: 1 })
            })
          : visitor.does(async (session) => {
              if (change === 'update') await slow.pass()
              if (change === 'update') await session.update((data) => void Object.assign(data, { [change]: 1 }))
              else Object.assign(session.data, { [change]: 1 })
              if (change === 'commit') await slow.pass()
            }, poll)
      await slow.arrived
      await visitor.does(({ data }) => data.a)
      slow.open()
      await waiting

      t.like(await site.middleware.get(publicId), { lastSeenAt: clock.now, expiresAt: clock.now + HOUR }, change)
    }
    t.like((await site.middleware.get(publicId))?.data, { a: 1, commit: 1, update: 1, outside: 1 })
  },
)

claim('a use counts however often polls and updates come between in another process', options, async (t, stage) => {
  const { visitor, site, scene, clock, store } = stage
  await visitor.does(({ data }) => (data.count = 0))
  const publicId = await visitor.publicId()
  const elsewhere = await scene.mount()
  const tab = elsewhere.sender(await visitor.cookie())
  const increment = (data: { count?: number }): number => (data.count = (data.count ?? 0) + 1)
  for (let hour = 0; hour < 2; hour++) {
    clock.advance(30 * MINUTE)
    const touches = [store.pause('touch'), store.pause('touch')]

    const used = visitor.does(({ origin }) => origin)
    await touches[0]?.arrived
    await tab.does(({ data }) => increment(data), poll)
    touches[0]?.open()
    await Promise.race([touches[1]?.arrived, used])
    await elsewhere.middleware.update(publicId, increment)
    touches[1]?.open()

    t.is((await used).result, 'resumed')
    const { lastSeenAt, expiresAt, data } = (await site.middleware.get(publicId)) ?? {}
    if (!t.deepEqual([lastSeenAt, expiresAt, data?.count], [clock.now, clock.now + HOUR, 2 * hour + 2])) return
  }
})

/** Changes of the visitor's session in another process, by a poll or from outside, that have read it and wait to be stored. */
async function slowElsewhere({ visitor, scene }: Stage) {
  const publicId = await visitor.publicId()
  const elsewhere = await scene.mount()
  const tab = elsewhere.sender(await visitor.cookie())
  return {
    publicId,
    changesElsewhere: async (change: 'commit' | 'update' | 'outside', value: number) => {
      const slow = new Barrier()
      const assign = async (data: object): Promise<void> => {
        Object.assign(data, { [change]: value })
        await slow.pass()
      }
      const waiting =
        change === 'outside'
          ? elsewhere.middleware.update(publicId, assign)
          : tab.does((session) => (change === 'update' ? session.update(assign) : assign(session.data)), poll)
      await slow.arrived
      return {
        async goOn(): Promise<void> {
          slow.open()
          await waiting
        },
      }
    },
  }
}

claim(
  'a slow poll or update in another process that outlasts the end it has read ends nothing that was used meanwhile',
  { ...options, idleTimeout: '2h' },
  async (t, stage) => {
    const { visitor, clock } = stage
    await visitor.does(({ data }) => (data.a = 1))
    const { changesElsewhere } = await slowElsewhere(stage)
    // The second time it reads a moment before the end.
    for (const [change, before, after] of [
      ['commit', 115 * MINUTE, 10 * MINUTE],
      ['update', 115 * MINUTE, 10 * MINUTE],
      ['outside', 115 * MINUTE, 10 * MINUTE],
      ['commit', 120 * MINUTE - 500, 900],
      ['update', 120 * MINUTE - 500, 900],
      ['outside', 120 * MINUTE - 500, 900],
    ] as const) {
      clock.advance(20 * MINUTE)
      await visitor.does(({ data }) => data.a)
      clock.advance(before)
      const slow = await changesElsewhere(change, after)
      await visitor.does(({ data }) => data.a)
      clock.advance(after)
      await slow.goOn()
    }

    t.deepEqual(await visitor.sees(), { a: 1, commit: 900, update: 900, outside: 900 })
  },
)

claim('what a slow poll or update in another process changes takes no use back', options, async (t, stage) => {
  const { visitor, site, clock, store } = stage
  await visitor.does(({ data }) => (data.a = 1))
  const { publicId, changesElsewhere } = await slowElsewhere(stage)
  for (const change of ['commit', 'update', 'outside'] as const) {
    const slow = await changesElsewhere(change, 1)
    clock.advance(30 * MINUTE)
    await visitor.does(({ data }) => data.a)
    store.counted()
    await slow.goOn()

    t.deepEqual(store.counted(), { read: 1, replace: 1 }, change)
    t.like(await site.middleware.get(publicId), { lastSeenAt: clock.now, expiresAt: clock.now + HOUR }, change)
  }
  t.deepEqual(await visitor.sees(), { a: 1, commit: 1, update: 1, outside: 1 })
})

claim('what a poll changes takes no use back that the store has yet to acknowledge', options, async (t, stage) => {
  const { visitor, site, clock, store } = stage
  await visitor.does(({ data }) => (data.a = 1))
  clock.advance(30 * MINUTE)
  const slow = new Barrier()
  const polled = visitor.does(async ({ data }) => {
    await slow.pass()
    data.b = 2
  }, poll)
  await slow.arrived
  const touch = store.pause('touch', 'after')

  const used = visitor.does(({ data }) => data.a)
  await touch.arrived
  slow.open()
  await polled
  touch.open()
  await used

  const publicId = await visitor.publicId()
  t.like(await site.middleware.get(publicId), { lastSeenAt: clock.now, expiresAt: clock.now + HOUR })
})

claim(
  'a session lives on whose every request updates it from outside',
  options,
  async (t, { visitor, site, clock }) => {
    await visitor.does(({ data }) => (data.count = 0))
    const publicId = await visitor.publicId()
    for (let turn = 1; turn < 4; turn++) {
      clock.advance(30 * MINUTE)
      const { result } = await visitor.does(({ origin }) =>
        site.middleware.update(publicId, (data) => {
          data.count = turn
          return origin
        }),
      )
      t.is(result, 'resumed')
    }
    t.deepEqual(await visitor.sees(), { count: 3 })
  },
)
