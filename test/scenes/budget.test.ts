// What a request costs the store: every call, counted.
import type { Verb } from '../support/faults.ts'
import { claim, HOUR, MINUTE, type Handler, type Options, type Stage } from '../support/scene.ts'

interface Priced {
  readonly options?: Options
  /** What comes before, uncounted. */
  readonly before?: (stage: Stage) => Promise<unknown>
  readonly work: Handler<unknown>
  readonly costs: Partial<Record<Verb, number>>
}

const stored = ({ visitor }: Stage): Promise<unknown> =>
  visitor.does((session) => {
    session.data.a = 1
    session.flash('note', 'hello')
  })

const staleStored = async (stage: Stage): Promise<void> => {
  await stored(stage)
  stage.clock.advance(30 * MINUTE)
}

const prices: Record<string, Priced> = {
  'a visitor without a cookie who looks': { work: ({ data }) => ({ ...data }), costs: {} },
  'a visitor without a cookie whose data is cleared': { work: (session) => session.clear(), costs: {} },
  'a new session': { work: ({ data }) => (data.a = 1), costs: { create: 1 } },
  'a new session that is not lazy': { options: { lazy: false }, work: () => undefined, costs: { create: 1 } },
  'a new session whose id is read': { work: ({ id }) => id, costs: { create: 1 } },
  'a new session that is saved': {
    work: (session) => {
      session.data.a = 1
      return session.save()
    },
    costs: { create: 1 },
  },
  'a new session that is saved and changed again': {
    work: async (session) => {
      session.data.a = 1
      await session.save()
      session.data.a = 2
    },
    costs: { create: 1, replace: 1 },
  },
  'a new session by update()': { work: (session) => session.update((data) => (data.a = 1)), costs: { create: 1 } },
  'a visitor who signs in': { work: (session) => session.signIn('ada'), costs: { create: 1 } },
  'a visitor who signs in with data': {
    work: (session) => {
      session.data.a = 1
      return session.signIn('ada')
    },
    costs: { create: 1 },
  },
  'a new session that is destroyed': {
    work: (session) => {
      session.data.a = 1
      return session.destroy()
    },
    costs: {},
  },
  'a request that does not look': { before: stored, work: () => undefined, costs: { read: 1 } },
  'a request that looks': { before: stored, work: ({ data }) => ({ ...data }), costs: { read: 1 } },
  'a request that writes an equal value': { before: stored, work: ({ data }) => (data.a = 1), costs: { read: 1 } },
  'a look when a touch is due': { before: staleStored, work: ({ data }) => data.a, costs: { read: 1, touch: 1 } },
  'a request that does not look when a touch is due': {
    before: staleStored,
    work: () => undefined,
    costs: { read: 1, touch: 1 },
  },
  'a change': { before: stored, work: ({ data }) => (data.a = 2), costs: { read: 1, replace: 1 } },
  'a change when a touch is due': {
    before: staleStored,
    work: ({ data }) => (data.a = 2),
    costs: { read: 1, replace: 1 },
  },
  'a change that is saved, and nothing after it': {
    before: stored,
    work: (session) => {
      session.data.a = 2
      return session.save()
    },
    costs: { read: 1, replace: 1 },
  },
  'save() without a change': { before: stored, work: (session) => session.save(), costs: { read: 1 } },
  'an own maxAge': { before: stored, work: (session) => void (session.maxAge = '7d'), costs: { read: 1, replace: 1 } },
  'a message that is put': {
    before: stored,
    work: (session) => session.flash('note', 'again'),
    costs: { read: 1, replace: 1 },
  },
  'messages that are taken': {
    before: stored,
    work: (session) => session.flash('note'),
    costs: { read: 1, replace: 1 },
  },
  'messages that are not there': { before: stored, work: (session) => session.flash('other'), costs: { read: 1 } },
  'an update': {
    before: stored,
    work: (session) => session.update((data) => (data.a = 2)),
    costs: { read: 1, replace: 1 },
  },
  'a reload': { before: stored, work: (session) => session.reload(), costs: { read: 2 } },
  'a regenerate': {
    before: stored,
    work: (session) => session.regenerate(),
    costs: { read: 1, create: 1, replace: 1 },
  },
  'a regenerate with a change before it': {
    before: stored,
    work: (session) => {
      session.data.a = 2
      return session.regenerate()
    },
    costs: { read: 1, create: 1, replace: 1 },
  },
  'a regenerate that keeps nothing': {
    before: stored,
    work: (session) => session.regenerate({ keep: false }),
    costs: { read: 1, create: 1, replace: 1 },
  },
  'a sign-in': { before: stored, work: (session) => session.signIn('ada'), costs: { read: 1, create: 1, replace: 1 } },
  'a destroy': { before: stored, work: (session) => session.destroy(), costs: { read: 1, replace: 1 } },
  'a destroy with a change before it': {
    before: stored,
    work: (session) => {
      session.data.a = 2
      return session.destroy()
    },
    costs: { read: 1, replace: 1 },
  },
  'an expired session': {
    before: async (stage) => {
      await stored(stage)
      stage.clock.advance(3 * HOUR)
    },
    work: ({ data }) => data.a,
    costs: { read: 1 },
  },
  'an expired session that begins anew': {
    before: async (stage) => {
      await stored(stage)
      stage.clock.advance(3 * HOUR)
    },
    work: ({ data }) => (data.a = 1),
    costs: { read: 1, create: 1 },
  },
  'a rolling session before its touch is due': {
    options: { maxAge: '1d', rolling: true },
    before: stored,
    work: ({ data }) => data.a,
    costs: { read: 1 },
  },
  'a rolling session that is renewed': {
    options: { maxAge: '1d', rolling: true },
    before: async (stage) => {
      await stored(stage)
      stage.clock.advance(3 * HOUR)
    },
    work: ({ data }) => data.a,
    costs: { read: 1, touch: 1 },
  },
  'a handler that throws': {
    before: stored,
    work: ({ data }) => {
      data.a = 2
      throw new Error('no')
    },
    costs: { read: 1 },
  },
}

for (const [what, { options = {}, before, work, costs }] of Object.entries(prices)) {
  const sum = Object.entries(costs)
    .map(([verb, count]) => `${count} ${verb}`)
    .join(', ')
  claim(`${what} costs ${sum === '' ? 'nothing' : sum}`, options, async (t, stage) => {
    await before?.(stage)
    stage.store.counted()

    await stage.visitor.does(work)

    t.deepEqual(stage.store.counted(), costs)
  })
}

const rejected: Record<string, (cookie: string) => string> = {
  'a forged signature': (cookie) => `${cookie.slice(0, -4)}AAAA`,
  'a changed id': (cookie) => cookie.replace('sid=', 'sid=A'),
  'an id without a signature': (cookie) => cookie.split('.')[0] ?? '',
  'a signature of another name': (cookie) => cookie.replace('sid=', 'SID='),
  'a quoted cookie': (cookie) => cookie.replace(/=(.*)/, '="$1"'),
  'a very long cookie': () => `sid=${'a'.repeat(8000)}`,
}

for (const [what, change] of Object.entries(rejected)) {
  claim(`${what} costs nothing, and its id is never adopted`, async (t, { visitor, site, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    const cookie = change(await visitor.cookie())
    store.counted()

    const forger = site.sender(cookie)
    const looked = await forger.does(({ data }) => ({ ...data }))
    const asked = store.counted()
    const { sid } = await forger.does(({ data }) => (data.b = 2))

    t.deepEqual([looked.result, looked.sid, asked], [{}, [], {}])
    t.deepEqual(store.counted(), { create: 1 })
    t.false(cookie.includes((sid[0] ?? 'sid=none.').split('.')[0] ?? ''))
  })
}

claim('a late request costs one read', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const late = await visitor.snapshot()
  await visitor.does((session) => session.regenerate())
  store.counted()

  await late.does(({ data }) => data.a)
  t.deepEqual(store.counted(), { read: 1 })
  await late.does(({ data }) => (data.a = 2))
  t.deepEqual(store.counted(), { read: 1 })
})

claim('a merge costs one read and one replace more', async (t, { visitor, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const stop = store.pause('replace')
  const slow = visitor.does(({ data }) => (data.b = 2))
  await stop.arrived
  await visitor.does(({ data }) => (data.c = 3))
  store.counted()

  stop.open()
  await slow

  t.deepEqual(store.counted(), { read: 1, replace: 1 })
})

claim('of several cookies the store is asked up to the first that lives', async (t, { visitor, site, store }) => {
  await visitor.does(({ data }) => (data.a = 1))
  const dead = await visitor.cookie()
  await visitor.does((session) => session.destroy())
  await visitor.does(({ data }) => (data.b = 2))
  const other = await site.visitor()
  await other.does(({ data }) => (data.c = 3))
  const header = `${dead}; ${await visitor.cookie()}; ${await other.cookie()}`
  store.counted()

  const { result } = await site.sender(header).does(({ data }) => ({ ...data }))

  t.deepEqual(result, { b: 2 })
  t.deepEqual(store.counted(), { read: 2 })
})

claim(
  'ending a session from elsewhere costs one read and one replace',
  async (t, { visitor, site, store }) => {
    await visitor.does(({ data }) => (data.a = 1))
    store.counted()

    await site.middleware.destroy(await visitor.publicId())

    t.deepEqual(store.counted(), { read: 1, replace: 1 })
  },
)
