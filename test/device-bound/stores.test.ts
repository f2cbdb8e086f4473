// The binding lies in the record: it goes through every store, encrypted or not, and from one process to another.
import type { ExecutionContext } from 'ava'
import { challengeIn, Device, HTTPS } from '../support/device.ts'
import { claim, HOUR, MINUTE, Visitor, type Site, type Stage } from '../support/scene.ts'

interface Bound {
  readonly device: Device
  readonly visitor: Visitor
}

/** A visitor whose browser has a key of its own. */
function newcomer(site: Site): Bound {
  site.running.app.proxy = true
  const browser = site.running.browser()
  return { device: new Device(browser), visitor: new Visitor(site, browser, undefined) }
}

async function bound(t: ExecutionContext, { site }: Pick<Stage, 'site'>): Promise<Bound> {
  const { device, visitor } = newcomer(site)
  const signedIn = await visitor.does((session) => session.signIn('ada'), { headers: HTTPS })
  t.is((await device.register(signedIn)).status, 200)
  return { device, visitor }
}

for (const [how, options] of [
  ['', {}],
  [', encrypted', { encryptionKeys: ['an encryption key of some thirty characters'] }],
] as const) {
  claim(
    `a binding is kept, and goes on with new ids and changes${how}`,
    { deviceBound: true, ...options },
    async (t, stage) => {
      const { clock, site } = stage
      const { device, visitor } = await bound(t, stage)
      clock.advance(2 * MINUTE)

      const changed = await visitor.does(
        async (session) => {
          session.data.a = 1
          await session.regenerate()
          return session.isBound
        },
        { headers: HTTPS },
      )
      t.true(changed.result)
      clock.advance(9 * MINUTE)
      t.is((await visitor.does(({ origin }) => origin, { headers: HTTPS })).result, 'unbound')
      t.is((await device.refresh()).status, 200)

      const again = await visitor.does(({ origin, data, isBound }) => ({ origin, a: data.a, isBound }), {
        headers: HTTPS,
      })
      t.deepEqual(again.result, { origin: 'resumed', a: 1, isBound: true })
      t.is((await site.middleware.list('ada'))[0]?.isBound, true)
    },
  )
}

claim('another process knows the binding, its challenges and its proofs', { deviceBound: true }, async (t, stage) => {
  const { scene, clock } = stage
  const { device } = await bound(t, stage)
  const other = await scene.mount()
  other.running.app.proxy = true
  const elsewhere = other.running.browser()
  const cookie = await device.browser.cookie()
  const found = challengeIn(await device.ask())
  clock.advance(2 * MINUTE)

  const reply = await other.sender(cookie).does(({ origin }) => origin, { headers: HTTPS })
  t.is(reply.result, 'resumed')
  const twin = new Device(elsewhere)
  for (const pair of cookie.split('; ')) await elsewhere.jar.setCookie(`${pair}; Path=/`, elsewhere.url)
  Object.assign(twin, { pair: device.pair, id: device.id })
  t.is((await twin.prove(found?.challenge ?? '')).status, 200)
  t.is((await device.prove(found?.challenge ?? '')).status, 403, 'each counts once, in whichever process')
  t.is((await device.refresh()).status, 200)
})

claim('changes of a busy session and its registration keep one another', { deviceBound: true }, async (t, { site }) => {
  const { device, visitor } = newcomer(site)
  const signedIn = await visitor.does((session) => session.signIn('ada'), { headers: HTTPS })

  const [registered, ...updated] = await Promise.all([
    device.register(signedIn),
    ...Array.from({ length: 8 }, () =>
      visitor.does((session) => session.update((data) => (data.count = (data.count ?? 0) + 1)), { headers: HTTPS }),
    ),
  ])

  t.is(registered.status, 200)
  t.true(updated.every(({ status }) => status === 200))
  const seen = await visitor.does(({ data, isBound }) => ({ ...data, isBound }), { headers: HTTPS })
  t.deepEqual(seen.result, { count: 8, isBound: true })
  t.is((await device.refresh()).status, 200)
})

claim('of two registrations at once exactly one is bound', { deviceBound: true }, async (t, { site }) => {
  const { device, visitor } = newcomer(site)
  const signedIn = await visitor.does((session) => session.signIn('ada'), { headers: HTTPS })
  const others = [1, 2, 3].map(() => new Device(device.browser))

  const answers = await Promise.all([device, ...others].map((one) => one.register(signedIn)))

  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403, 403])
})

claim('of requests with one and the same proof exactly one counts', { deviceBound: true }, async (t, stage) => {
  const { device } = await bound(t, stage)
  const found = challengeIn(await device.ask())

  const answers = await Promise.all([1, 2, 3, 4].map(() => device.prove(found?.challenge ?? '')))

  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403, 403])
})

claim(
  'a refresh takes no use back that came while its session was read',
  { deviceBound: true, idleTimeout: '1h' },
  async (t, stage) => {
    const { clock, site, store } = stage
    const { device, visitor } = await bound(t, stage)
    clock.advance(8 * MINUTE)
    const found = challengeIn(await device.ask())
    const slow = store.pause('read', 'after')
    const refreshing = device.prove(found?.challenge ?? '')
    await slow.arrived

    t.is((await visitor.does(({ origin }) => origin, { headers: HTTPS })).result, 'resumed')
    slow.open()

    t.is((await refreshing).status, 200)
    t.like((await site.middleware.list('ada'))[0], { lastSeenAt: clock.now, expiresAt: clock.now + HOUR })
  },
)
