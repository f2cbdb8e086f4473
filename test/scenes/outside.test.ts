// Sessions from outside a request: get, update, updateAll, scan, the ends, and what names nobody.
import { encodeMetadata, newMetadata } from '../../src/record/record.ts'
import { Barrier } from '../support/faults.ts'
import {
  claim,
  HOUR,
  MINUTE,
  type Contents,
  type Options,
  type Site,
  type Stage,
  type Visitor,
} from '../support/scene.ts'

const increment = (data: Contents): number => (data.count = (data.count ?? 0) + 1)

async function signedIn(site: Site, owner: string, contents: Contents = {}): Promise<Visitor> {
  const visitor = await site.visitor()
  await visitor.does(async (session) => {
    Object.assign(session.data, contents)
    await session.signIn(owner)
  })
  return visitor
}

claim('get shows one session, and none to another owner', async (t, { site, clock, store }) => {
  const { middleware } = site
  const visitor = await signedIn(site, 'ada', { a: 1 })
  const publicId = await visitor.publicId()
  store.counted()

  const found = await middleware.get(publicId)

  t.deepEqual(store.counted(), { read: 1 })
  t.like(found, { publicId, owner: 'ada', createdAt: clock.now, lastSeenAt: clock.now, authenticatedAt: clock.now })
  t.deepEqual(found?.data, { a: 1 })
  t.deepEqual(await middleware.get(publicId, { owner: 'ada' }), found)
  t.is(await middleware.get(publicId, { owner: 'bob' }), undefined)
  await visitor.does((session) => session.regenerate())
  t.is(await middleware.get(publicId), undefined)
  await visitor.does((session) => session.destroy())
  t.is(await middleware.get(await visitor.publicId().catch(() => publicId)), undefined)
})

claim('update changes the stored data, moves no timeout, and resolves to what fn returned', async (t, stage) => {
  const { site, visitor, clock, scene } = stage
  await visitor.does(({ data }) => (data.count = 1))
  const before = await scene.record(await visitor.cookie())
  clock.advance(30 * MINUTE)

  t.is(await site.middleware.update(await visitor.publicId(), increment), 2)

  const after = await scene.record(await visitor.cookie())
  t.deepEqual([after?.lastSeenAt, after?.expiresAt], [before?.lastSeenAt, before?.expiresAt])
  t.deepEqual(await visitor.sees(), { count: 2 })
})

claim('updates from outside and requests at once: none is lost', async (t, { site, visitor }) => {
  await visitor.does(({ data }) => (data.count = 0))
  const publicId = await visitor.publicId()
  const { middleware } = site

  const work = Array.from({ length: 30 }, (_, at) =>
    at % 3 === 0
      ? middleware.update(publicId, increment)
      : at % 3 === 1
        ? visitor.does((session) => session.update(increment))
        : visitor.does(({ data }) => Object.assign(data, { [`key${at}`]: at })),
  )
  await Promise.all(work)

  const seen = await visitor.sees()
  t.is(seen?.count, 20)
  t.is(Object.keys(seen ?? {}).length, 11)
})

claim('update of no session, or another owner’s, is ERR_SESSION_GONE', async (t, { site }) => {
  const { middleware } = site
  const visitor = await signedIn(site, 'ada', { count: 1 })
  const publicId = await visitor.publicId()

  await t.throwsAsync(middleware.update(publicId, increment, { owner: 'bob' }), { code: 'ERR_SESSION_GONE' })
  await t.throwsAsync(middleware.update('x'.repeat(43), increment), { code: 'ERR_SESSION_GONE' })
  await visitor.does((session) => session.regenerate())
  await t.throwsAsync(middleware.update(publicId, increment), { code: 'ERR_SESSION_GONE' })
  t.deepEqual(await visitor.sees(), { count: 1 })
})

claim(
  'a session that ends while it is updated from outside does not come back',
  async (t, { site, visitor, scene }) => {
    await visitor.does(({ data }) => (data.count = 0))
    const computing = new Barrier()

    const updating = site.middleware.update(await visitor.publicId(), async (data) => {
      increment(data)
      await computing.pass()
    })
    await computing.arrived
    await visitor.does((session) => session.destroy())
    computing.open()

    await t.throwsAsync(updating, { code: 'ERR_SESSION_GONE' })
    t.deepEqual(await scene.live(), [])
  },
)

claim('updateAll updates each session of an owner, follows a new id, passes over what ended', async (t, { site }) => {
  const { middleware } = site
  const visitors = await Promise.all(Array.from({ length: 3 }, () => signedIn(site, 'ada', { count: 0 })))
  const stranger = await signedIn(site, 'bob', { count: 0 })
  const names = await Promise.all(visitors.map((visitor) => visitor.publicId()))
  const [first, second, third] = visitors as [Visitor, Visitor, Visitor]
  let isFirst = true

  const count = await middleware.updateAll('ada', async (data, publicId) => {
    increment(data)
    if (!isFirst) return
    isFirst = false
    const others = [first, second, third].filter((_visitor, at) => names[at] !== publicId)
    await others[0]?.does((session) => session.regenerate())
    await others[1]?.does((session) => session.destroy())
  })

  t.is(count, 2)
  const counts = await Promise.all(visitors.map(async (visitor) => (await visitor.sees())?.count))
  t.deepEqual(counts.filter((one) => one === 1).length, 2)
  t.deepEqual(await stranger.sees(), { count: 0 })
  t.is(await middleware.updateAll('nobody', increment), 0)
  await t.throwsAsync(
    middleware.updateAll('ada', () => {
      throw new Error('mine')
    }),
    { message: 'mine' },
  )
})

claim('updateAll follows a session that has got many new ids when its turn comes', async (t, { site }) => {
  const visitors = await Promise.all(Array.from({ length: 2 }, () => signedIn(site, 'ada', { count: 0 })))
  const names = await Promise.all(visitors.map((visitor) => visitor.publicId()))
  let isFirst = true

  const count = await site.middleware.updateAll('ada', async (data, publicId) => {
    increment(data)
    if (!isFirst) return
    isFirst = false
    const other = visitors.find((_visitor, at) => names[at] !== publicId)
    for (let ids = 0; ids < 20; ids++) await other?.does((session) => session.regenerate())
  })

  t.is(count, 2)
  for (const visitor of visitors) t.deepEqual(await visitor.sees(), { count: 1 })
})

claim('scan shows all live sessions once, anonymous ones too', async (t, { site, clock }) => {
  const { middleware } = site
  const expired = await site.visitor()
  await expired.does(({ data }) => (data.a = 0))
  clock.advance(3 * HOUR)
  const ended = await signedIn(site, 'ada')
  await ended.does((session) => session.destroy())
  const owned = await signedIn(site, 'ada', { a: 1 })
  const anonymous = await site.visitor()
  await anonymous.does(({ data }) => (data.a = 2))

  const seen = []
  for await (const info of middleware.scan()) seen.push(info)

  const wanted = [await owned.publicId(), await anonymous.publicId()].sort()
  t.deepEqual([...new Set(seen.map(({ publicId }) => publicId))].sort(), wanted)
  t.deepEqual(seen.map(({ owner }) => owner ?? '').sort(), ['', 'ada'])
})

claim('scan shows a session that has just got new ids once, under the last', async (t, { site }) => {
  const visitors = []
  for (let n = 0; n < 3; n++) {
    const visitor = await site.visitor()
    visitors.push(visitor)
    await visitor.does(({ data }) => (data.a = n))
    for (let times = 0; times < 2; times++) await visitor.does((session) => session.regenerate())
  }
  const seen: string[] = []
  for await (const { publicId } of site.middleware.scan()) seen.push(publicId)

  t.deepEqual(seen.sort(), (await Promise.all(visitors.map((visitor) => visitor.publicId()))).sort())
})

const named: Options = { owner: ({ profile }) => profile?.name }
const renamings: Record<string, (data: Contents) => void> = {
  appears: (data) => (data.profile = { name: 'ada' }),
  changes: (data) => (data.profile = { name: 'eve' }),
  'goes away': (data) => delete data.profile,
}
for (const [what, rename] of Object.entries(renamings)) {
  claim(`scan shows a session once that got a new id before its owner ${what}`, named, async (t, { site }) => {
    // Of so many, some come before the record that they have left.
    const visitors = await Promise.all(Array.from({ length: 12 }, () => site.visitor()))
    for (const visitor of visitors) {
      await visitor.does(({ data }) =>
        Object.assign(data, { a: 1 }, what !== 'appears' && { profile: { name: 'bob' } }),
      )
      await visitor.does(async (session) => {
        await session.regenerate()
        rename(session.data)
      })
    }
    const seen: string[] = []
    for await (const { publicId } of site.middleware.scan()) seen.push(publicId)

    t.deepEqual(seen.sort(), (await Promise.all(visitors.map((visitor) => visitor.publicId()))).sort())
  })
}

claim('scan and destroyEverything look once for a session that has got a hundred new ids', async (t, stage) => {
  const { site, store, visitor } = stage
  await visitor.does(async (session) => {
    session.data.count = 1
    await session.save()
    for (let times = 0; times < 100; times++) await session.regenerate()
  })
  store.counted()

  const seen: string[] = []
  for await (const { publicId } of site.middleware.scan()) seen.push(publicId)

  t.deepEqual(seen, [await visitor.publicId()])
  t.true((store.counted().read ?? 0) < 250)
  t.is(await site.middleware.destroyEverything(), 1)
  // Sixteen of its hundred tombstones are followed at a time.
  t.true((store.counted().read ?? 0) < 2000)
  t.is(await site.middleware.destroyEverything(), 0)
  t.true((store.counted().read ?? 0) < 2000)
})

claim('destroyEverything ends all, what cannot be read too, with the reason', async (t, { site, scene, visitor }) => {
  const { middleware } = site
  const owned = await signedIn(site, 'ada', { a: 1 })
  await visitor.does(({ data }) => (data.a = 2))
  await scene.tamper(await visitor.cookie(), { payload: '{"a"' })

  t.is(await middleware.destroyEverything(), 2)

  t.deepEqual(await scene.live(), [])
  t.is(await owned.origin(), 'expired')
  t.deepEqual(new Set(scene.heard('destroy').map(({ reason }) => reason)), new Set(['everything']))
  t.deepEqual(
    scene
      .heard('destroy')
      .map(({ owner }) => owner ?? '')
      .sort(),
    ['', 'ada'],
  )
})

claim('one session that fails does not stop the others: every one is tried, one error at the end', async (t, stage) => {
  const { site, store, scene } = stage
  for (let at = 0; at < 5; at++) await signedIn(site, 'ada')
  store.next('replace', { kind: 'fail' })

  await t.throwsAsync(site.middleware.destroyAll('ada'), { code: 'ERR_SESSION_STORE' })

  t.is((await scene.live()).length, 1)
})

const shapes: readonly string[] = [
  '',
  'short',
  `${'x'.repeat(42)}!`,
  'x'.repeat(44),
  '__proto__',
  'x'.repeat(5000),
  '\0'.repeat(43),
  ` ${'x'.repeat(42)}`,
]

claim('texts of another shape are nobody’s, and no store is asked', async (t, { site, store }) => {
  const { middleware } = site
  store.counted()
  for (const text of shapes) {
    t.false(await middleware.destroy(text))
    t.is(await middleware.get(text), undefined)
    await t.throwsAsync(middleware.update(text, increment), { code: 'ERR_SESSION_GONE' })
  }
  t.deepEqual(store.counted(), {})
  for (const odd of [undefined, null, 7, {}, ['x'.repeat(43)]]) {
    await t.throwsAsync(middleware.destroy(odd as never), { instanceOf: TypeError })
    await t.throwsAsync(middleware.get(odd as never), { instanceOf: TypeError })
    await t.throwsAsync(middleware.update(odd as never, increment), { instanceOf: TypeError })
  }
})

const oddOptions: readonly unknown[] = [
  { owner: undefined },
  { owner: null },
  { owner: 7 },
  { owner: '' },
  { owner: 'x'.repeat(256) },
  { Owner: 'ada' },
  { owner: 'ada', other: 1 },
  'ada',
  null,
  ['ada'],
  new Map([['owner', 'ada']]),
  Promise.resolve({ owner: 'ada' }),
]

claim('an owner that is none fails closed: a TypeError, and the session lives', async (t, { site, scene }) => {
  const { middleware } = site
  const visitor = await signedIn(site, 'ada', { count: 0 })
  const publicId = await visitor.publicId()
  for (const odd of oddOptions) {
    const given = odd as { owner: string }
    await t.throwsAsync(async () => middleware.destroy(publicId, given), { instanceOf: TypeError }, JSON.stringify(odd))
    await t.throwsAsync(async () => middleware.get(publicId, given), { instanceOf: TypeError })
    await t.throwsAsync(async () => middleware.update(publicId, increment, given), { instanceOf: TypeError })
  }
  for (const odd of [
    { except: undefined },
    { except: null },
    { except: 7 },
    { Except: publicId },
    'x',
    null,
    Promise.resolve({ except: publicId }),
  ]) {
    await t.throwsAsync(async () => middleware.destroyAll('ada', odd as never), { instanceOf: TypeError })
  }
  for (const odd of [undefined, null, 7, '', {}, 'x'.repeat(256)]) {
    await t.throwsAsync(async () => middleware.list(odd as never), { instanceOf: TypeError })
    await t.throwsAsync(async () => middleware.destroyAll(odd as never), { instanceOf: TypeError })
    await t.throwsAsync(async () => middleware.updateAll(odd as never, increment), { instanceOf: TypeError })
  }
  t.is((await scene.live()).length, 1)
  t.deepEqual(await visitor.sees(), { count: 0 })
})

const short: Options = { idleTimeout: '1h' }

claim('a limit that is shortened holds for stored sessions at once, and ends reach them', short, async (t, stage) => {
  const { visitor, scene, clock, site } = stage
  await visitor.does((session) => session.signIn('ada'))
  const publicId = await visitor.publicId()
  clock.advance(10 * MINUTE)
  const { middleware } = await scene.mount({ idleTimeout: '5m' })

  t.is(await middleware.get(publicId), undefined)
  t.deepEqual(await middleware.list('ada'), [])
  await t.throwsAsync(middleware.update(publicId, increment), { code: 'ERR_SESSION_GONE' })
  const scanned = []
  for await (const info of middleware.scan()) scanned.push(info)
  t.deepEqual(scanned, [])
  t.is((await site.middleware.list('ada')).length, 1)
  t.is(await middleware.destroyAll('ada'), 1)
  t.deepEqual(await scene.live(), [])
})

claim('destroyAll() by a clock that is ahead ends what has expired by it and lives by the others', async (t, stage) => {
  const { visitor, scene, clock } = stage
  await visitor.does((session) => session.signIn('ada'))
  const ahead = await scene.mount({ now: () => clock.now + 5000 })
  clock.advance(120 * MINUTE - 1000)

  await ahead.middleware.destroyAll('ada')

  t.is(await visitor.origin(), 'expired')
  t.deepEqual(await scene.live(), [])
})

claim('destroy() by a clock that is ahead ends what lives by the others', async (t, { visitor, scene, clock }) => {
  await visitor.does((session) => session.signIn('ada'))
  const publicId = await visitor.publicId()
  const ahead = await scene.mount({ now: () => clock.now + 5000 })
  clock.advance(120 * MINUTE - 1000)

  t.false(await ahead.middleware.destroy(publicId, { owner: 'eve' }))
  t.is(await visitor.origin(), 'resumed')
  await visitor.does(({ data }) => void (data.a = 1))
  clock.advance(120 * MINUTE - 1000)
  await ahead.middleware.destroy(publicId, { owner: 'ada' })

  t.is(await visitor.origin(), 'expired')
  t.deepEqual(await scene.live(), [])
})

claim(
  'an end by a clock that is ahead follows a new id to a session that lives by the others',
  { idleTimeout: '30s' },
  async (t, { visitor, scene, clock }) => {
    await visitor.does((session) => session.signIn('ada'))
    const old = await visitor.publicId()
    await visitor.does((session) => session.regenerate())
    const ahead = await scene.mount({ idleTimeout: '30s', now: () => clock.now + 5000 })
    clock.advance(27_000)

    await ahead.middleware.destroy(old)

    t.is(await visitor.origin(), 'expired')
    t.deepEqual(await scene.live(), [])
  },
)

// Between the two steps by which a session gets a new id, it stands under both.
claim('destroyAll() counts a session between two ids once, and spares it under either', async (t, stage) => {
  const { site, store, clock } = stage
  const [old, next] = ['o', 'n'].map((letter) => letter.repeat(43)) as [string, string]
  const at = clock.now
  const record = { version: 1, payload: '{}', owner: 'ada', createdAt: at, lastSeenAt: at, expiresAt: at + HOUR }
  const meta = encodeMetadata({ ...newMetadata(at), predecessor: old }, at)
  await store.create({ ...record, key: old, meta: undefined }, at)
  await store.create({ ...record, key: next, meta }, at)

  t.is(await site.middleware.destroyAll('ada', { except: old }), 0)
  t.is((await site.middleware.destroyAll('ada', { except: next })) <= 1, true)
  await store.delete(old)
  t.deepEqual(
    (await site.middleware.list('ada')).map(({ publicId }) => publicId),
    [next],
  )
  await store.create({ ...record, key: old, meta: undefined }, at)
  t.is(await site.middleware.destroyAll('ada'), 1)
  t.deepEqual(await site.middleware.list('ada'), [])
})

claim('a session that is getting a new id is shown once, under the old, and ended once', async (t, stage) => {
  const { site, store, visitor } = stage
  const { middleware } = site
  await visitor.does((session) => session.signIn('ada'))
  const publicId = await visitor.publicId()
  const held = store.pause('replace')
  const request = visitor.does((session) => session.regenerate())
  await held.arrived

  const listed = await middleware.list('ada')
  const scanned = []
  for await (const info of middleware.scan()) scanned.push(info)
  const count = await middleware.destroyAll('ada')
  held.open()

  t.deepEqual(
    listed.map((info) => info.publicId),
    [publicId],
  )
  t.deepEqual(
    scanned.map((info) => info.publicId),
    [publicId],
  )
  t.is(count, 1)
  t.is((await request).code, 'ERR_SESSION_GONE')
})

claim('list() leaves out a new id that lost against another one', async (t, stage) => {
  const { site, store, visitor } = stage
  await visitor.does((session) => session.signIn('ada'))
  const publicId = await visitor.publicId()
  const held = store.pause('replace')
  const loses = visitor.does((session) => session.regenerate())
  await held.arrived
  const listing = store.pause('list', 'after')
  const list = site.middleware.list('ada')
  await listing.arrived
  const wins = await visitor.does((session) => session.regenerate())
  t.is(wins.status, 200)
  listing.open()

  t.deepEqual(
    (await list).map((info) => info.publicId),
    [publicId],
  )
  held.open()
  await loses
})

claim(
  'updateAll() counts a session that is getting a new id once, and its change goes on under it',
  async (t, stage) => {
    const { site, store, visitor } = stage
    await visitor.does((session) => session.signIn('ada'))
    const held = store.pause('replace')
    const request = visitor.does((session) => session.regenerate())
    await held.arrived

    t.is(await site.middleware.updateAll('ada', increment), 1)
    held.open()

    t.is((await request).status, 200)
    t.deepEqual(await visitor.sees(), { count: 1 })
  },
)

claim('destroyAll() counts a session that got its new id after it was listed', async (t, stage) => {
  const { site, store, visitor } = stage
  const { middleware } = site
  await visitor.does((session) => session.signIn('ada'))
  const held = store.pause('replace')
  const request = visitor.does((session) => session.regenerate())
  await held.arrived
  const listing = store.pause('list', 'after')

  const count = middleware.destroyAll('ada')
  await listing.arrived
  held.open()
  t.is((await request).status, 200)
  listing.open()

  t.is(await count, 1)
  t.deepEqual(await middleware.list('ada'), [])
  t.is(await visitor.origin(), 'expired')
})

claim('events name the owner and the reason of an end', async (t, { site, scene }) => {
  const { middleware } = site
  const [out, elsewhere, all] = [await signedIn(site, 'ada'), await signedIn(site, 'ada'), await signedIn(site, 'ada')]
  await out.does((session) => session.destroy())
  await middleware.destroy(await elsewhere.publicId(), { owner: 'ada' })
  await middleware.destroyAll('ada')

  t.deepEqual(
    scene.heard('destroy').map(({ owner, reason }) => [owner, reason]),
    [
      ['ada', 'sign-out'],
      ['ada', 'elsewhere'],
      ['ada', 'elsewhere'],
    ],
  )
  t.is(await all.origin(), 'expired')
  t.notRegex(JSON.stringify(scene.events), /"(id|data|payload)"/)
})

/** Ann's session is about to be ended, for her alone; meanwhile these sign in over it, one after another. */
async function endedMeanwhile(
  { site, store, visitor }: Stage,
  end: (middleware: Site['middleware'], publicId: string) => Promise<unknown>,
  ...owners: readonly string[]
): Promise<{ answer: unknown; owner: string | undefined }> {
  await visitor.does((session) => session.signIn('ann'))
  const held = store.pause('replace')
  const ending = end(site.middleware, await visitor.publicId())
  await held.arrived
  for (const owner of owners) await visitor.does((session) => session.signIn(owner))
  held.open()
  const answer = await ending
  return { answer, owner: (await visitor.does(({ owner }) => owner)).result }
}

claim('destroy() with an owner leaves a session that another owner begins over it meanwhile', async (t, stage) => {
  const ended = await endedMeanwhile(stage, (sessions, id) => sessions.destroy(id, { owner: 'ann' }), 'bob')

  t.deepEqual(ended, { answer: false, owner: 'bob' })
})

claim('destroyAll() leaves a session that another owner begins over one of its owner meanwhile', async (t, stage) => {
  const ended = await endedMeanwhile(stage, (sessions) => sessions.destroyAll('ann'), 'bob')

  t.deepEqual(ended, { answer: 0, owner: 'bob' })
})

claim('destroy() with an owner ends a session that becomes the owner’s own again meanwhile', async (t, stage) => {
  const ended = await endedMeanwhile(stage, (sessions, id) => sessions.destroy(id, { owner: 'ann' }), 'bob', 'ann')

  t.deepEqual(ended, { answer: true, owner: undefined })
})

claim('destroy() without an owner ends what another owner begins over the session meanwhile', async (t, stage) => {
  const ended = await endedMeanwhile(stage, (sessions, id) => sessions.destroy(id), 'bob')

  t.deepEqual(ended, { answer: true, owner: undefined })
})
