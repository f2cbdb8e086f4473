// maxPerOwner and device: how many sessions an owner has, and where each of them was signed in to.
import test from 'ava'
import { MemoryStore, session } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS } from '../support/app.ts'
import { mounted } from '../support/mounted.ts'
import { claim, SECOND, type Contents, type Options, type Scene, type Site, type Visitor } from '../support/scene.ts'

async function signedIn(site: Site, scene: Scene, owner: string): Promise<Visitor> {
  const visitor = await site.visitor()
  scene.clock.advance(SECOND)
  await visitor.does((session) => session.signIn(owner))
  return visitor
}
const ownerOf = async (visitor: Visitor) => (await visitor.does(({ owner }) => owner)).result

claim(
  'as another signs in, the session used longest ago ends',
  { maxPerOwner: 2 },
  async (t, { site, scene, clock }) => {
    const first = await signedIn(site, scene, 'ada')
    const second = await signedIn(site, scene, 'ada')
    clock.advance(20 * 60 * SECOND)
    await ownerOf(first)
    const stranger = await signedIn(site, scene, 'bob')
    const third = await signedIn(site, scene, 'ada')

    t.deepEqual(await Promise.all([first, second, third, stranger].map(ownerOf)), ['ada', undefined, 'ada', 'bob'])
    t.deepEqual(
      scene.heard('destroy').map(({ reason, owner }) => ({ reason, owner })),
      [{ reason: 'limit', owner: 'ada' }],
    )
    t.is((await site.middleware.list('ada')).length, 2)
  },
)

claim(
  'the limit of an owner leaves a session that another owner begins over one of theirs meanwhile',
  { maxPerOwner: 1 },
  async (t, { site, scene, store }) => {
    const shared = await signedIn(site, scene, 'ada')
    const other = await site.visitor()
    scene.clock.advance(SECOND)
    const held = store.pause('replace')
    const signingIn = other.does((session) => session.signIn('ada'))
    await held.arrived
    await shared.does((session) => session.signIn('bob'))
    held.open()
    await signingIn

    t.deepEqual(await Promise.all([shared, other].map(ownerOf)), ['bob', 'ada'])
  },
)

claim('signing in again in a session of that owner takes no other place', { maxPerOwner: 2 }, async (t, stage) => {
  const { site, scene } = stage
  const first = await signedIn(site, scene, 'ada')
  const second = await signedIn(site, scene, 'ada')

  for (let again = 0; again < 3; again++) await second.does((session) => session.signIn('ada'))
  await second.does((session) => session.regenerate())

  t.deepEqual(await Promise.all([first, second].map(ownerOf)), ['ada', 'ada'])
  t.deepEqual(scene.heard('destroy'), [])
})

claim(
  'of parallel sign-ins no more than the limit live once they have settled',
  { maxPerOwner: 5 },
  async (t, stage) => {
    const { site, scene } = stage
    const visitors = await Promise.all(Array.from({ length: 20 }, () => site.visitor()))

    const replies = await Promise.all(
      visitors.map((visitor) =>
        visitor.does(async (session) => {
          await session.signIn('ada')
          return session.owner
        }),
      ),
    )

    t.true(replies.every(({ status, result }) => status === 200 && result === 'ada'))
    const live = await site.middleware.list('ada')
    t.true(live.length <= 5, `${live.length} live`)
    t.true(live.length > 0)
    // Each that lives no more was ended, and told of once.
    t.deepEqual(
      scene.heard('destroy').map(({ reason }) => reason),
      new Array(20 - live.length).fill('limit'),
    )
    // One more finds the place that is its own.
    const last = await signedIn(site, scene, 'ada')
    t.is(await ownerOf(last), 'ada')
  },
)

claim(
  'nobody is ended by a sign-in of their own, at a limit of one',
  { maxPerOwner: 1 },
  async (t, { site, scene }) => {
    for (let turn = 0; turn < 4; turn++) {
      const visitor = await signedIn(site, scene, 'ada')
      t.is(await ownerOf(visitor), 'ada')
      t.is((await site.middleware.list('ada')).length, 1)
    }
  },
)

claim(
  'a sign-in by a clock that is behind the others ends them, and not itself',
  { maxPerOwner: 1 },
  async (t, { scene, site, clock }) => {
    const ahead = await scene.mount({ now: () => clock.now + 5 * SECOND })
    const first = await signedIn(ahead, scene, 'ada')
    const second = await signedIn(site, scene, 'ada')

    t.deepEqual([await ownerOf(first), await ownerOf(second)], [undefined, 'ada'])
  },
)

claim(
  'the limit holds for owners that the owner option finds',
  { maxPerOwner: 1, owner: ({ profile }) => profile?.name },
  async (t, { site, clock }) => {
    const [first, second] = [await site.visitor(), await site.visitor()]
    await first.does(({ data }) => (data.profile = { name: 'ada' }))
    clock.advance(SECOND)
    await second.does(({ data }) => (data.a = 1))
    await second.does(({ data }) => (data.profile = { name: 'ada' }))

    t.deepEqual([await ownerOf(first), await ownerOf(second)], [undefined, 'ada'])
  },
)

claim('a sign-in stands whatever becomes of the limit', { maxPerOwner: 1 }, async (t, { site, scene, store }) => {
  const first = await signedIn(site, scene, 'ada')
  store.break('listKeys', 'list')
  const second = await signedIn(site, scene, 'ada')
  store.heal()

  t.deepEqual([await ownerOf(first), await ownerOf(second)], ['ada', 'ada'])
  t.true(scene.heard('store-error').length > 0)
})

// ---- device

const agent = { headers: { 'user-agent': `Browser/${'x'.repeat(600)}` } }
const withDevice: Options = { device: true }

claim('device: true shows address and user agent, cut, to the manager and in lists', withDevice, async (t, stage) => {
  const { visitor, site } = stage
  await visitor.does(({ data }) => (data.a = 1))
  t.is((await visitor.does(({ device }) => device)).result, undefined)
  await visitor.does((session) => session.signIn('ada'), agent)

  const userAgent = agent.headers['user-agent'].slice(0, 512)
  const seen = (await visitor.does(({ device }) => device)).result
  t.is(seen?.['userAgent'], userAgent)
  t.regex(String(seen?.['address']), /127\.0\.0\.1$/)
  const [listed] = await site.middleware.list('ada')
  t.deepEqual(listed?.device, seen)
  t.deepEqual((await site.middleware.get(await visitor.publicId()))?.device, seen)
})

claim('a new id keeps the device, a change too', withDevice, async (t, { visitor }) => {
  await visitor.does((session) => session.signIn('ada'), agent)
  await visitor.does((session) => session.regenerate())
  await visitor.does(({ data }) => (data.a = 1))

  t.truthy((await visitor.does(({ device }) => device)).result)
})

claim(
  'the facts of a device are read-only, and no request sees what another one tried to write there',
  { device: () => ({ where: { city: 'Ulm' } }) },
  async (t, { visitor, site }) => {
    const write = (device: unknown): void =>
      void t.throws(() => ((device as { where: { city: string } }).where.city = 'Rom'), { instanceOf: TypeError })
    await visitor.does(async (session) => {
      await session.signIn('ada')
      write(session.device)
    })
    await visitor.does(({ device, data }) => {
      write(device)
      data.a = 1
    })
    write((await site.middleware.list('ada'))[0]?.device)

    t.deepEqual((await visitor.does(({ device }) => device)).result, { where: { city: 'Ulm' } })
  },
)

const throwing: Readonly<Record<string, readonly [Options['device'], string | undefined]>> = {
  throws: [
    () => {
      throw new Error('no facts')
    },
    undefined,
  ],
  'gives more than 1024 bytes': [() => ({ text: 'x'.repeat(1100) }), 'ERR_SESSION_TOO_LARGE'],
}

for (const [what, [device, code]] of Object.entries(throwing)) {
  claim(`nobody is signed in where the device function ${what}`, { device }, async (t, { visitor, scene }) => {
    await visitor.does(({ data }) => (data.a = 1))

    const reply = await visitor.does((session) => session.signIn('ada'))

    t.deepEqual([reply.status, reply.sid], [500, []])
    if (code !== undefined) t.is(reply.code, code)
    t.deepEqual(await visitor.sees(), { a: 1 })
    t.is((await scene.live()).length, 1)
    t.is(await ownerOf(visitor), undefined)
  })
}

claim(
  'an owner who goes away takes the device along',
  { device: () => ({ where: 'here' }), owner: ({ profile }) => profile?.name },
  async (t, { visitor }) => {
    await visitor.does(({ data }) => (data.profile = { name: 'ada' }))
    t.deepEqual((await visitor.does(({ device }) => device)).result, { where: 'here' })

    await visitor.does(({ data }) => {
      delete data.profile
      data.a = 1
    })

    t.is((await visitor.does(({ device }) => device)).result, undefined)
  },
)

claim('isFresh tells how long ago the owner signed in, to the millisecond', async (t, { visitor, clock }) => {
  t.false((await visitor.does((session) => session.isFresh('5m'))).result)
  await visitor.does((session) => session.signIn('ada'))
  t.true((await visitor.does((session) => session.isFresh(0))).result)
  clock.advance(5 * 60 * SECOND)
  t.false((await visitor.does((session) => session.isFresh(0))).result)
  t.true((await visitor.does((session) => session.isFresh('5m'))).result)
  clock.advance(1)
  t.false((await visitor.does((session) => session.isFresh('5m'))).result)
  // The clock was set back: nobody knows how long ago it was.
  clock.advance(-10 * 60 * SECOND)
  t.false((await visitor.does((session) => session.isFresh('5m'))).result)
})

test('what a limit ends behind the back of a sign-in ends no longer after close()', async (t) => {
  const inner = new MemoryStore()
  const filling = session({ keys: KEYS, store: inner, logger: {} })
  for (let count = 0; count < 600; count++) await sessionCookie(filling, {}, { owner: 'ada' })
  let isClosed = false
  let late = 0
  // Each call takes its time, as behind a network.
  const store = new Proxy(inner, {
    get:
      (target, verb) =>
      async (...args: unknown[]) => {
        if (verb === 'close') isClosed = true
        else if (isClosed) late++
        await new Promise((resolve) => setTimeout(resolve, 1))
        const method = Reflect.get(target, verb) as ((...given: unknown[]) => unknown) | undefined
        return method?.apply(target, args)
      },
  })
  const { browser, middleware } = await mounted(
    t,
    { store, maxPerOwner: 3, sweepInterval: false, logger: {} },
    { '/': (own) => own.signIn('ada') },
  )
  t.is((await browser().get('/')).status, 200)
  await middleware.close()
  await new Promise((resolve) => setTimeout(resolve, 300))

  t.is(late, 0)
  t.true(inner.list('ada', Date.now(), 1000, undefined).records.length > 3)
})

const signsIn = ({ data }: { data: Contents }): void => {
  data.profile = { name: 'ada' }
}

claim(
  'a new id that was never acknowledged takes no place of its owner',
  { maxPerOwner: 2 },
  async (t, { site, store, clock, visitor }) => {
    const other = await site.visitor()
    await other.does((session) => session.signIn('ada'))
    clock.advance(SECOND)
    await visitor.does(({ data }) => (data.a = 1))
    store.next('replace', { kind: 'fail' })

    t.is((await visitor.does((session) => session.signIn('ada'))).code, 'ERR_SESSION_STORE')
    t.is((await visitor.does((session) => session.signIn('ada'))).status, 200)

    t.deepEqual([await ownerOf(other), await ownerOf(visitor)], ['ada', 'ada'])
  },
)

claim(
  'the new id that loses to that of a parallel sign-in by data takes no place of its owner',
  { maxPerOwner: 2, owner: ({ profile }) => profile?.name },
  async (t, { scene, site, store, clock, visitor }) => {
    const other = await site.visitor()
    await other.does(signsIn)
    clock.advance(SECOND)
    await visitor.does(({ data }) => (data.a = 1))
    const elsewhere = await scene.mount()
    const slow = await elsewhere.sender(await visitor.cookie()).loads(signsIn)
    const held = store.pause('replace')
    const ending = slow.ends()
    await held.arrived
    t.is((await visitor.does(signsIn)).status, 200)
    held.open()
    t.is((await ending).status, 200)

    t.deepEqual([await ownerOf(other), await ownerOf(visitor)], ['ada', 'ada'])
  },
)

claim(
  'new ids that were never acknowledged, however many, let no session be over the limit',
  { maxPerOwner: 1 },
  async (t, { site, store, clock, visitor }) => {
    await visitor.does((session) => session.signIn('ada'))
    for (let times = 0; times < 3; times++) {
      store.next('replace', { kind: 'fail' })
      t.is((await visitor.does((session) => session.regenerate())).code, 'ERR_SESSION_STORE')
    }
    clock.advance(SECOND)
    const other = await site.visitor()
    await other.does((session) => session.signIn('ada'))

    t.deepEqual([await ownerOf(visitor), await ownerOf(other)], [undefined, 'ada'])
  },
)
