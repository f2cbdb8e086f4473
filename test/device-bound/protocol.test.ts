// A browser in Node speaks the protocol with the middleware: who is served when, and what each answer says.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test from 'ava'
import { MemoryStore } from '../../src/index.ts'
import type { Answer } from '../support/app.ts'
import { boundDevice, boundSite, MINUTE, seen, SECOND } from '../support/bound-site.ts'
import {
  challengeIn,
  Device,
  HTTPS,
  newKey,
  offerIn,
  REFRESH,
  REGISTER,
  refreshProof,
  registration,
  withoutCookie,
  type Instructions,
} from '../support/device.ts'
import { FaultyStore } from '../support/faults.ts'

// Events belong to the process: one site at a time.
const serial = test.serial

serial('a sign-in over HTTPS offers a registration, and no other response does', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  t.is(offerIn(await device.get('/add')), undefined)

  const signedIn = await device.get('/in')

  t.is(offerIn(signedIn)?.path, REGISTER)
  for (const path of ['/', '/add', '/renew', '/id']) t.is(offerIn(await device.get(path)), undefined, path)
})

serial('over plain HTTP nothing is offered, and a bound session is unbound', async (t) => {
  const site = await boundSite(t, { cookie: { secure: false } })
  const plain = site.running.browser()
  t.is(offerIn(await plain.get('/in')), undefined)
  t.is(seen(await plain.get('/')).origin, 'resumed')
  const device = await boundDevice(site)

  t.is(seen(await device.browser.get('/')).origin, 'unbound')
  t.is((await device.browser.get(REFRESH, { method: 'POST' })).status, 401)
})

serial(
  'a registration gives the browser its binding and a second cookie with the attributes that it is told',
  async (t) => {
    for (const cookie of [
      {},
      { name: '__Host-sid' },
      { name: 'x', path: '/.session', sameSite: 'strict', httpOnly: false, priority: 'high' },
      { domain: 'shop.test', sameSite: 'none' },
    ] as const) {
      const site = await boundSite(t, { cookie })
      const device = site.device()
      const signedIn = await device.get('/in')
      const name = 'name' in cookie ? cookie.name : 'sid'
      const sid = signedIn.setCookie.find((line) => line.startsWith(`${name}=`))?.split(';')[0] ?? ''
      const offer = offerIn(signedIn)

      const answer = await device.browser.send(REGISTER, sid, {
        method: 'POST',
        headers: { ...HTTPS, 'secure-session-response': registration(device.pair, offer?.challenge ?? '') },
      })

      t.is(answer.status, 200)
      t.is(answer.headers.get('cache-control'), 'no-store')
      t.is(answer.headers.get('content-type'), 'application/json; charset=utf-8')
      const told = JSON.parse(answer.body) as Instructions
      t.is(told.refresh_url, REFRESH)
      t.deepEqual(told.scope, { include_site: false, scope_specification: [] })
      t.is(told.credentials.length, 1)
      t.like(told.credentials[0], { type: 'cookie', name: `${name}-bound` })
      const [line, ...others] = answer.setCookie
      t.deepEqual(others, [])
      const [pair = '', maxAge, ...attributes] = line?.split('; ') ?? []
      t.regex(pair, new RegExp(`^${name}-bound=[\\w-]+\\.[\\w-]+$`))
      t.is(maxAge, 'Max-Age=590')
      t.is(told.credentials[0]?.attributes, attributes.join('; '))
      const plain = signedIn.setCookie
        .find((one) => one.startsWith(`${name}=`))
        ?.split('; ')
        .slice(1)
      // With a priority, or partitioned, browsers refuse the instruction.
      t.deepEqual(
        attributes,
        plain?.filter((one) => one !== 'Priority=High'),
      )
    }
  },
)

serial('a session with a partitioned cookie is offered none: no browser keeps a proof beside it', async (t) => {
  const warnings: string[] = []
  const logger = { warn: (text: string) => void warnings.push(text) }
  const site = await boundSite(t, { cookie: { partitioned: true }, logger })
  const device = site.device()
  const signedIn = await device.get('/in')
  t.is(offerIn(signedIn), undefined)
  t.is(signedIn.setCookie.length, 1)
  t.is(warnings.filter((text) => text.includes('options.deviceBound has no effect')).length, 1)
})

serial('a stolen cookie opens nothing `within` after the theft, and the browser goes on', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  site.clock.now += 2 * MINUTE
  const stolen = await device.browser.cookie()
  t.regex(stolen, /sid-bound=/)
  t.is(seen(await site.running.browser().send('/', stolen, { headers: HTTPS })).origin, 'resumed')

  site.clock.now += 8 * MINUTE

  const thief = await site.running.browser().send('/add', stolen, { headers: HTTPS })
  t.deepEqual(seen(thief), { origin: 'unbound', isBound: false, n: 1 })
  const refused = await device.refresh()
  t.is(refused.status, 200)
  t.like(seen(await device.get('/')), { origin: 'resumed', owner: 'ada', isBound: true })
  t.is(seen(await site.running.browser().send('/', stolen, { headers: HTTPS })).origin, 'unbound')
  t.true(site.events.some(({ name, reason, owner }) => name === 'reject' && reason === 'unbound' && owner === 'ada'))
})

serial('the session cookie alone opens nothing once the minute of grace is over', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const sid = withoutCookie(await device.browser.cookie(), 'sid-bound')
  const alone = async (): Promise<string> =>
    seen(await site.running.browser().send('/', sid, { headers: HTTPS })).origin
  t.is(await alone(), 'resumed')
  site.clock.now += MINUTE - 1
  t.is(await alone(), 'resumed')
  site.clock.now += 1
  t.is(await alone(), 'unbound')
  t.is(seen(await device.get('/')).origin, 'resumed')
})

serial('the bound cookie of another session proves nothing', async (t) => {
  const site = await boundSite(t)
  const [one, two] = [await boundDevice(site), await boundDevice(site)]
  site.clock.now += 2 * MINUTE
  const [sid] = (await one.browser.cookie()).split('; ')
  const [, other] = (await two.browser.cookie()).split('; ')

  const mixed = await site.running.browser().send('/', `${sid}; ${other}`, { headers: HTTPS })
  const both = await site.running.browser().send('/', `${other}; ${await one.browser.cookie()}`, { headers: HTTPS })

  t.is(seen(mixed).origin, 'unbound')
  t.is(seen(both).origin, 'resumed')
})

// ---- nobody is locked out

serial('a browser that lost its key reads as a visitor, and can sign in again', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const [before] = await site.middleware.list('ada')
  site.clock.now += 11 * MINUTE

  t.deepEqual(seen(await device.get('/')), { origin: 'unbound', isBound: false })
  t.deepEqual((await device.get('/')).setCookie, [])
  t.deepEqual(await site.middleware.list('ada'), before === undefined ? [] : [before])
  const fresh = new Device(device.browser)
  const registered = await fresh.register(await fresh.get('/in'))

  t.is(registered.status, 200)
  t.like(seen(await fresh.get('/')), { origin: 'resumed', owner: 'ada', isBound: true })
  t.is((await site.middleware.list('ada')).length, 2)
})

serial('without proof a change, a new id, or a look at the id begin a fresh session', async (t) => {
  for (const path of ['/add', '/renew', '/id', '/fresh']) {
    const site = await boundSite(t)
    const device = await boundDevice(site)
    const old = await device.browser.cookie()
    site.clock.now += 11 * MINUTE

    const answer = await device.get(path)

    t.is(answer.status, 200, path)
    t.is(answer.setCookie.length, 1)
    const isKept = seen(await device.get('/'))
    t.like(isKept, { origin: 'resumed', isBound: false })
    t.not((await device.browser.cookie()).split('; ')[0], old.split('; ')[0])
    t.is((await site.middleware.list('ada')).length, 1)
  }
})

serial('without proof destroy() clears both cookies and ends nothing', async (t) => {
  for (const skipped of [{}, { 'secure-session-skipped': 'unreachable' }]) {
    const site = await boundSite(t)
    const device = await boundDevice(site)
    site.clock.now += 11 * MINUTE

    const answer = await device.get('/out', skipped)

    t.deepEqual(
      answer.setCookie.map((line) => line.split('; ').slice(0, 2)),
      [
        ['sid=', 'Max-Age=0'],
        ['sid-bound=', 'Max-Age=0'],
      ],
    )
    t.is((await site.middleware.list('ada')).length, 1)
    t.false(site.events.some(({ name }) => name === 'destroy'))
  }
})

serial(
  'a browser that skipped its refresh keeps its cookies: changes are 401, and a sign-in starts anew',
  async (t) => {
    const site = await boundSite(t)
    const device = await boundDevice(site)
    site.clock.now += 11 * MINUTE
    const skipped = { 'secure-session-skipped': `quota_exceeded;session_identifier="${device.id}"` }

    const look = await device.get('/', skipped)
    t.deepEqual(seen(look), { origin: 'unbound', isBound: false })
    t.deepEqual(look.setCookie, [])
    for (const path of ['/add', '/renew', '/fresh']) {
      const refused = await device.get(path, skipped)
      t.is(refused.status, 401, path)
      t.deepEqual(refused.setCookie, [], path)
    }
    t.deepEqual((await device.get('/id', skipped)).setCookie, [])

    t.is((await device.refresh()).status, 200)
    t.like(seen(await device.get('/')), { origin: 'resumed', owner: 'ada' })
    site.clock.now += 11 * MINUTE
    const again = await device.get('/in', skipped)
    t.is(again.status, 200)
    t.truthy(offerIn(again))
    t.is((await site.middleware.list('ada')).length, 2)
  },
)

serial('run() rejects without proof', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const upgrade = (cookie: string): IncomingMessage => {
    const request = new IncomingMessage(new Socket())
    Object.assign(request.headers, { cookie })
    return request
  }
  site.clock.now += 2 * MINUTE
  const cookie = await device.browser.cookie()

  t.is(await site.middleware.run(upgrade(cookie), ({ owner }) => owner), 'ada')
  await t.throwsAsync(
    site.middleware.run(upgrade(withoutCookie(cookie, 'sid-bound')), () => t.fail()),
    {
      code: 'ERR_SESSION_UNBOUND',
    },
  )
})

serial('without proof it is the same whatever other cookies of our name come along', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const ended = site.device()
  await ended.get('/add')
  const endedCookie = await ended.browser.cookie()
  await ended.get('/out')
  site.clock.now += 11 * MINUTE
  const sid = withoutCookie(await device.browser.cookie(), 'sid-bound')
  const badly = `${sid.slice(0, -2)}${sid.endsWith('AA') ? 'BB' : 'AA'}`
  for (const cookie of [`${sid}; ${sid}`, `${sid}; ${badly}`, `${sid}; ${endedCookie}`, `${endedCookie}; ${sid}`]) {
    const send = (path: string): Promise<Answer> => site.running.browser().send(path, cookie, { headers: HTTPS })

    t.deepEqual(seen(await send('/')), { origin: 'unbound', isBound: false })
    const names = (await send('/out')).setCookie.map((line) => line.split('=')[0])
    t.deepEqual(names, ['sid', 'sid-bound'])
    const upgrade = Object.assign(new IncomingMessage(new Socket()), { headers: { cookie } })
    await t.throwsAsync(
      site.middleware.run(upgrade, () => t.fail()),
      { code: 'ERR_SESSION_UNBOUND' },
    )
  }
})

serial('a cookie of another live session in front takes no key and no registration away', async (t) => {
  const site = await boundSite(t)
  const eve = site.device()
  const offered = await eve.get('/in/eve')
  const planted = await eve.browser.cookie()
  const device = site.device()
  const signedIn = await device.get('/in')
  const before = (cookie: string): Promise<string> =>
    device.browser.cookie().then((own) => `${withoutCookie(cookie, 'sid-bound')}; ${own}`)
  const post = async (path: string, cookie: string, headers: Record<string, string>): Promise<Answer> =>
    site.running.browser().send(path, await before(cookie), { method: 'POST', headers: { ...HTTPS, ...headers } })

  const proof = registration(device.pair, offerIn(signedIn)?.challenge ?? '')
  const registered = await post(REGISTER, planted, { 'secure-session-response': proof })
  t.is(registered.status, 200)
  const named = { 'sec-secure-session-id': (JSON.parse(registered.body) as Instructions).session_identifier }
  t.is((await eve.register(offered)).status, 200)
  const asked = await post(REFRESH, planted, named)

  t.is(asked.status, 403)
  t.is(challengeIn(asked)?.id, named['sec-secure-session-id'])
  const answer = refreshProof(device.pair, challengeIn(asked)?.challenge ?? '')
  t.is((await post(REFRESH, planted, { ...named, 'secure-session-response': answer })).status, 200)
  // A name that belongs to none of them is unknown, as with one cookie.
  t.is((await post(REFRESH, planted, { 'sec-secure-session-id': 'x'.repeat(32) })).status, 401)
})

serial('a session above a maxBytes that was lowered registers and refreshes', async (t) => {
  for (const encryptionKeys of [undefined, ['an encryption key of some thirty characters']]) {
    const store = new MemoryStore()
    const { clock, ...large } = await boundSite(t, { store, encryptionKeys })
    const device = large.device()
    await device.get('/add')
    const signedIn = await device.get('/in')
    const small = await boundSite(t, { store, encryptionKeys, maxBytes: 2, now: () => clock.now })
    const cookie = await device.browser.cookie()
    const elsewhere = new Device(small.running.browser())
    const post = (path: string, headers: Record<string, string>): Promise<Answer> =>
      elsewhere.browser.send(path, cookie, { method: 'POST', headers: { ...HTTPS, ...headers } })

    const proof = registration(device.pair, offerIn(signedIn)?.challenge ?? '')
    t.is((await post(REGISTER, { 'secure-session-response': proof })).status, 200)
    const { challenge } = challengeIn(await post(REFRESH, {})) ?? {}
    const refreshed = await post(REFRESH, { 'secure-session-response': refreshProof(device.pair, challenge ?? '') })

    t.is(refreshed.status, 200)
  }
})

serial('a cookie whose name only ends like ours is no bound cookie of ours', async (t) => {
  const site = await boundSite(t)
  const device = site.device()

  const signedIn = await device.browser.send('/in', 'my-sid-bound=x', { headers: HTTPS })
  const again = await device.browser.send('/in', 'a=b;sid-bound=x', { headers: HTTPS })

  t.deepEqual(
    signedIn.setCookie.map((line) => line.split('=')[0]),
    ['sid'],
  )
  t.deepEqual(
    again.setCookie.map((line) => line.split('=')[0]),
    ['sid', 'sid-bound'],
  )
})

// ---- the life of a binding

serial('regenerate() keeps the binding, a sign-in makes a new one, destroy() clears both cookies', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  site.clock.now += 2 * MINUTE
  const { id } = device

  t.true(seen(await device.get('/renew')).isBound)
  t.is((await device.refresh()).status, 200)
  t.is(device.id, id)

  const signedIn = await device.get('/in')
  t.false(seen(signedIn).isBound)
  t.is((await device.ask()).status, 401)
  t.is((await device.register(signedIn)).status, 200)
  t.not(device.id, id)
  site.clock.now += 2 * MINUTE
  t.true(seen(await device.get('/')).isBound)

  const out = await device.get('/out')
  t.deepEqual(
    out.setCookie.map((line) => line.split(';')[0]),
    ['sid=', 'sid-bound='],
  )
  t.is(await device.browser.cookie(), '')
  t.deepEqual(await site.middleware.list('ada'), [])
})

serial('a refresh that was under way while its session got a new id goes on with its successor', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const found = challengeIn(await device.ask())
  const late = await device.browser.cookie()
  await device.get('/renew')

  const answer = await site.running.browser().send(REFRESH, late, {
    method: 'POST',
    headers: {
      ...HTTPS,
      'sec-secure-session-id': device.id ?? '',
      'secure-session-response': refreshProof(device.pair, found?.challenge ?? ''),
    },
  })

  t.is(answer.status, 200)
})

for (const apart of [-50, -11, 11, 50]) {
  serial(`so does one in another process, whose clock is ${apart} s off`, async (t) => {
    const store = new MemoryStore()
    const site = await boundSite(t, { store })
    const other = await boundSite(t, { store, now: () => site.clock.now + apart * SECOND })
    const device = site.device()
    const signedIn = await device.get('/in')
    const early = await device.browser.cookie()
    await device.get('/renew')
    const late = (path: string, cookie: string, proof: string) =>
      other.running.browser().send(path, cookie, {
        method: 'POST',
        headers: { ...HTTPS, 'sec-secure-session-id': device.id ?? '', 'secure-session-response': proof },
      })

    const registered = await late(REGISTER, early, registration(device.pair, offerIn(signedIn)?.challenge ?? ''))

    t.is(registered.status, 200)
    device.id = (JSON.parse(registered.body) as Instructions).session_identifier
    const found = challengeIn(await device.ask())
    const before = await device.browser.cookie()
    await device.get('/renew')
    t.is((await late(REFRESH, before, refreshProof(device.pair, found?.challenge ?? ''))).status, 200)
  })
}

serial('isBound of the manager and of SessionInfo tells, and the channel `bind` says it once', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')
  t.false(seen(signedIn).isBound)
  t.is((await site.middleware.list('ada'))[0]?.isBound, false)

  await device.register(signedIn)
  await device.refresh()

  t.true(seen(await device.get('/')).isBound)
  const [info] = await site.middleware.list('ada')
  t.true(info?.isBound)
  t.deepEqual(
    site.events.filter(({ name }) => name === 'bind'),
    [{ name: 'bind', publicId: info?.publicId, owner: 'ada' }],
  )
})

serial(
  'with the owner option a sign-in through data is offered a registration, and a sign-out ends the binding',
  async (t) => {
    const site = await boundSite(t, { owner: ({ n }) => (typeof n === 'number' && n < 3 ? 'ada' : undefined) })
    const device = site.device()

    const signedIn = await device.get('/add')
    t.is((await device.register(signedIn)).status, 200)
    t.true(seen(await device.get('/add')).isBound)
    await device.get('/add')

    t.like(seen(await device.get('/')), { isBound: false, n: 3 })
  },
)

// ---- challenges

serial('each challenge counts once, and one that is asked for later takes none away', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const first = challengeIn(await device.ask())
  t.is(first?.id, device.id)
  site.clock.now += SECOND
  const second = challengeIn(await device.ask())

  t.is((await device.prove(first?.challenge ?? '')).status, 200)
  const again = await device.prove(first?.challenge ?? '')

  t.is(again.status, 403)
  t.deepEqual(again.setCookie, [])
  t.is(challengeIn(again)?.id, device.id)
  t.is((await device.prove(second?.challenge ?? '')).status, 200)
})

serial('a challenge is good for five minutes', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const [one, two] = [challengeIn(await device.ask()), challengeIn(await device.ask())]
  site.clock.now += 5 * MINUTE - 1
  t.is((await device.prove(one?.challenge ?? '')).status, 200)
  site.clock.now += 2
  t.is((await device.prove(two?.challenge ?? '')).status, 403)
})

serial('of two requests with the same proof one gets the cookie', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const found = challengeIn(await device.ask())

  const statuses = (await Promise.all(Array.from({ length: 5 }, () => device.prove(found?.challenge ?? ''))))
    .map(({ status }) => status)
    .sort()

  t.deepEqual(statuses, [200, 403, 403, 403, 403])
})

serial('a clock that was set back keeps no browser from its refresh', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  site.clock.now -= 60 * MINUTE
  t.is((await device.refresh()).status, 200)
  t.is((await device.refresh()).status, 200)
  t.is(seen(await device.get('/')).origin, 'resumed')
})

serial('ten thousand refreshes that a thief asks for write nothing, and the browser goes on', async (t) => {
  t.timeout(120_000)
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const mine = challengeIn(await device.ask())
  const thief = new Device(site.running.browser())
  thief.id = device.id
  const stolen = await device.browser.cookie()
  site.calls.length = 0

  for (let asked = 0; asked < 10_000; asked += 100) {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        thief.browser.send(REFRESH, stolen, {
          method: 'POST',
          headers: {
            ...HTTPS,
            'sec-secure-session-id': thief.id ?? '',
            ...(at % 10 === 0 ? { 'secure-session-response': refreshProof(thief.pair, mine?.challenge ?? '') } : {}),
          },
        }),
      ),
    )
    if (!answers.every(({ status, setCookie }) => status === 403 && setCookie.length === 0)) return t.fail()
  }

  t.deepEqual([...new Set(site.calls)], ['read'])
  t.is(site.calls.length, 10_000)
  t.is((await device.prove(mine?.challenge ?? '')).status, 200)
  t.is(seen(await device.get('/')).origin, 'resumed')
})

serial('at a refresh without a live bound session, or of another binding, the browser forgets its key', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const other = await boundDevice(site)
  const visitor = site.device()
  t.is((await visitor.ask()).status, 401)
  await visitor.get('/in')
  t.is((await visitor.ask()).status, 401)
  device.id = other.id
  const refused = await device.ask()
  t.is(refused.status, 401)
  t.is(challengeIn(refused), undefined)
  await other.get('/out')
  t.is((await other.ask()).status, 401)
})

// ---- registration

serial('a registration is offered once, within five minutes', async (t) => {
  const site = await boundSite(t)
  const early = site.device()
  const signedIn = await early.get('/in')
  const late = site.device()
  const lateSignedIn = await late.get('/in')
  site.clock.now += 5 * MINUTE - 1
  t.is((await early.register(signedIn)).status, 200)
  site.clock.now += 1

  t.is((await late.register(lateSignedIn)).status, 403)
  t.like(seen(await late.get('/')), { origin: 'resumed', owner: 'ada', isBound: false })
})

serial('a second registration of a bound session is refused, with an event, and changes nothing', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')
  await device.register(signedIn)
  const thief = new Device(device.browser)
  site.events.length = 0
  site.calls.length = 0

  const refused = await thief.register(signedIn)

  t.is(refused.status, 403)
  t.deepEqual(refused.setCookie, [])
  t.like(site.events, [{ name: 'reject', reason: 'unbound', owner: 'ada' }])
  t.deepEqual(site.calls, ['read'])
  t.is((await device.refresh()).status, 200)
})

serial('a failed registration is final until the next sign-in', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')

  t.is((await device.register(signedIn, { key: newKey().privateKey })).status, 403)
  t.is((await device.register(signedIn)).status, 403)
  site.clock.now += 2 * MINUTE
  t.like(seen(await device.get('/add')), { origin: 'resumed', owner: 'ada', isBound: false })

  t.is((await device.register(await device.get('/in'))).status, 200)
})

serial('a request without a proof uses no registration up: a form of another page can send it', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')
  t.is((await device.post(REGISTER)).status, 403)
  t.is((await device.register(signedIn)).status, 200)
})

serial('an id of before the sign-in, planted or stolen, uses no registration up', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const spoilt = (cookie: string) =>
    site.running.browser().send(REGISTER, cookie, {
      method: 'POST',
      headers: { ...HTTPS, 'secure-session-response': 'x' },
    })
  await device.get('/add')
  for (const before of ['of a visitor', 'of the same owner']) {
    const cookie = await device.browser.cookie()
    const signedIn = await device.get('/in')
    site.calls.length = 0
    t.is((await spoilt(cookie)).status, 401, before)
    t.false(site.calls.includes('replace'), before)
    t.is((await device.register(signedIn)).status, 200, before)
  }
})

serial('a thief who registers first needs the challenge of that very response', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')
  // Of a session of his own, the challenge is good for that alone.
  const thief = site.device()
  const own = await thief.get('/in/eve')
  const stolen = await device.browser.cookie()
  const proof = registration(thief.pair, offerIn(own)?.challenge ?? '')

  const refused = await thief.browser.send(REGISTER, stolen, {
    method: 'POST',
    headers: { ...HTTPS, 'secure-session-response': proof },
  })

  t.is(refused.status, 403)
  t.deepEqual(refused.setCookie, [])
  t.is(site.events.filter(({ name }) => name === 'bind').length, 0)
  // He has spoiled the registration, which is said, and gained nothing.
  t.is((await device.register(signedIn)).status, 403)
  t.is(seen(await device.get('/')).origin, 'resumed')
})

serial('of two registrations at once one is bound', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const thief = new Device(device.browser)
  const signedIn = await device.get('/in')

  const answers = await Promise.all([device.register(signedIn), thief.register(signedIn)])

  t.deepEqual(answers.map(({ status }) => status).sort(), [200, 403])
  const winner = answers[0].status === 200 ? device : thief
  t.is((await winner.refresh()).status, 200)
})

serial('a registration goes on after a regenerate() that came between', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')
  await device.get('/renew')
  t.is((await device.register(signedIn)).status, 200)
})

serial('a registration belongs to the last sign-in', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const first = await device.get('/in')
  const second = await device.get('/in')
  t.is((await device.register(first)).status, 403)
  t.is((await device.register(await device.get('/in'))).status, 200)
  t.not(offerIn(first)?.challenge, offerIn(second)?.challenge)
})

// ---- what it costs, and where it ends

serial('an ordinary request of a bound session costs no store call more', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const other = site.device()
  await other.get('/in')
  site.clock.now += MINUTE
  for (const path of ['/', '/add']) {
    site.calls.length = 0
    await other.get(path)
    const unbound = [...site.calls]
    site.calls.length = 0
    await device.get(path)
    t.deepEqual(site.calls, unbound)
  }
})

serial('a registration and an accepted refresh read once and replace once', async (t) => {
  const site = await boundSite(t)
  const device = site.device()
  const signedIn = await device.get('/in')
  site.calls.length = 0
  await device.register(signedIn)
  t.deepEqual(site.calls, ['read', 'replace'])
  const found = challengeIn(await device.ask())
  site.calls.length = 0
  await device.prove(found?.challenge ?? '')
  t.deepEqual(site.calls, ['read', 'replace'])
})

serial('a refresh is no activity of the user', async (t) => {
  const site = await boundSite(t)
  const device = await boundDevice(site)
  const [before] = await site.middleware.list('ada')
  site.clock.now += 30 * MINUTE

  t.is((await device.refresh()).status, 200)

  const [after] = await site.middleware.list('ada')
  t.is(after?.lastSeenAt, before?.lastSeenAt)
  t.is(after?.expiresAt, before?.expiresAt)
  site.clock.now += 91 * MINUTE
  t.is((await device.ask()).status, 401)
})

serial('its two addresses are served before skip and crossSite, and are POST', async (t) => {
  const site = await boundSite(t, { skip: () => true })
  t.is((await site.device().post(REFRESH)).status, 401)
  const open = await boundSite(t)
  const device = open.device()
  const signedIn = await device.get('/in')
  t.is((await device.get(REGISTER)).status, 405)
  t.is((await device.get(`${REFRESH}?x=1`)).status, 405)
  t.is((await device.get(`${REFRESH}/more`)).status, 200)
  const proof = registration(device.pair, offerIn(signedIn)?.challenge ?? '')
  t.is((await device.post(REGISTER, { 'sec-fetch-site': 'cross-site', 'secure-session-response': proof })).status, 200)
})

serial('an outage is 503, which ends nothing', async (t) => {
  const store = new FaultyStore(new MemoryStore())
  const site = await boundSite(t, { store })
  const device = await boundDevice(site)
  for (const verb of ['read', 'replace'] as const) {
    const found = challengeIn(await device.ask())
    store.break(verb)
    const failed = await device.prove(found?.challenge ?? '')
    t.is(failed.status, 503)
    t.deepEqual(failed.setCookie, [])
    store.heal()
  }
  t.is((await device.refresh()).status, 200)
})

serial('what others overtake for ten seconds is 503 as well: at a 409 the browser would drop its key', async (t) => {
  const store = new FaultyStore(new MemoryStore())
  const site = await boundSite(t, { store })
  const device = site.device()
  const signedIn = await device.get('/in')
  let tries = 0
  const { inner } = store
  const replace = inner.replace.bind(inner)
  const start = performance.now()
  const isOvertaken = (): void => {
    tries = 0
    inner.replace = () => (tries++, 'stale')
    // Ten seconds are not waited for. An own property in front of the prototype's.
    performance.now = () => start + tries * 3000
  }
  const goesOn = (): void => {
    inner.replace = replace
    Reflect.deleteProperty(performance, 'now')
  }
  t.teardown(goesOn)

  isOvertaken()
  t.is((await device.register(signedIn)).status, 503)
  goesOn()
  t.is((await device.register(signedIn)).status, 200)
  const found = challengeIn(await device.ask())
  isOvertaken()
  const failed = await device.prove(found?.challenge ?? '')
  goesOn()

  t.is(failed.status, 503)
  t.deepEqual(failed.setCookie, [])
  t.is((await device.prove(found?.challenge ?? '')).status, 200)
})

serial('a rotated key holds for the bound cookie and for open challenges', async (t) => {
  const keys = ['the secret of yesterday, which is long enough']
  const site = await boundSite(t, { keys })
  const device = await boundDevice(site)
  const found = challengeIn(await device.ask())
  site.clock.now += 2 * MINUTE

  keys.unshift('the secret of today, which is as long as that')

  t.is(seen(await device.get('/')).origin, 'resumed')
  t.is((await device.prove(found?.challenge ?? '')).status, 200)
  keys.pop()
  t.is(seen(await device.get('/')).origin, 'resumed')
})

serial('sessions of before the option, and browsers that do not know it, are served as before', async (t) => {
  const store = new MemoryStore()
  const before = await boundSite(t, { store, deviceBound: false })
  const old = before.device()
  await old.get('/in')
  const cookie = await old.browser.cookie()
  const site = await boundSite(t, { store })

  const resumed = await site.running.browser().send('/add', cookie, { headers: HTTPS })
  t.like(seen(resumed), { origin: 'resumed', owner: 'ada', isBound: false })
  t.deepEqual(resumed.setCookie, [])
  const proofless = await site.running.browser().send(REGISTER, cookie, {
    method: 'POST',
    headers: { ...HTTPS, 'secure-session-response': registration(newKey(), 'none') },
  })
  t.is(proofless.status, 403)

  const plain = site.device()
  await plain.get('/in')
  site.clock.now += 60 * MINUTE
  t.like(seen(await plain.get('/add')), { origin: 'resumed', owner: 'ada', n: 1 })
  t.deepEqual(
    (await plain.get('/out')).setCookie.map((line) => line.split(';')[0]),
    ['sid='],
  )
})

serial('the two cookies follow a cookie function, whose path must lead to the addresses', async (t) => {
  let path = '/'
  const site = await boundSite(t, { cookie: () => ({ name: 'own', path }) })
  const device = await boundDevice(site)
  site.clock.now += 2 * MINUTE
  t.regex(await device.browser.cookie(), /^own=.*; own-bound=/)
  t.is(seen(await device.get('/')).origin, 'resumed')

  path = '/elsewhere'
  t.is((await device.get('/')).status, 500)
})

serial(
  'a thief who read the response of the sign-in itself is found out, and what they bound can be ended',
  async (t) => {
    const site = await boundSite(t)
    const device = site.device()
    const signedIn = await device.get('/in')
    const thief = new Device(await device.browser.twin())
    t.is((await thief.register(signedIn)).status, 200)
    site.events.length = 0

    t.is((await device.register(signedIn)).status, 403)
    t.like(site.events, [{ name: 'reject', reason: 'unbound', owner: 'ada' }])
    site.clock.now += 2 * MINUTE
    t.is(seen(await device.get('/')).origin, 'unbound')
    t.is((await device.register(await device.get('/in'))).status, 200)
    site.clock.now += 2 * MINUTE
    t.like(seen(await device.get('/')), { origin: 'resumed', owner: 'ada', isBound: true })
    t.is(seen(await thief.get('/')).origin, 'resumed')

    const here = (await site.middleware.list('ada')).find(({ createdAt }) => createdAt > site.clock.now - 3 * MINUTE)
    t.is(await site.middleware.destroyAll('ada', { except: here?.publicId ?? '' }), 1)

    t.is(seen(await thief.get('/')).origin, 'expired')
    t.is(seen(await device.get('/')).origin, 'resumed')
  },
)

serial('where the option is switched off again, bound sessions are served by their one cookie', async (t) => {
  const store = new MemoryStore()
  const on = await boundSite(t, { store })
  const device = await boundDevice(on)
  const cookie = withoutCookie(await device.browser.cookie(), 'sid-bound')
  const off = await boundSite(t, { store, deviceBound: false })
  off.clock.now += 20 * MINUTE

  const answer = await off.running.browser().send('/add', cookie, { headers: HTTPS })

  t.like(seen(answer), { origin: 'resumed', owner: 'ada', n: 1 })
  t.deepEqual(answer.setCookie, [])
  // And switched on once more they ask for proof as before.
  on.clock.now += 20 * MINUTE
  t.is(seen(await on.running.browser().send('/', cookie, { headers: HTTPS })).origin, 'unbound')
  t.is((await device.refresh()).status, 200)
  t.like(seen(await device.get('/')), { origin: 'resumed', n: 1 })
})

serial(
  'a session whose encryption key is not listed is 503 at a refresh, and with onUnknownKey: end it has ended',
  async (t) => {
    const store = new MemoryStore()
    const site = await boundSite(t, { store, encryptionKeys: ['an encryption key of some thirty characters'] })
    const device = await boundDevice(site)
    const cookie = await device.browser.cookie()
    for (const [onUnknownKey, status] of [
      ['fail', 503],
      ['end', 401],
    ] as const) {
      const keys = ['another encryption key of thirty characters']
      const other = await boundSite(t, { store, encryptionKeys: { keys, onUnknownKey } })
      const post = { method: 'POST', headers: HTTPS }

      t.is((await other.running.browser().send(REFRESH, cookie, post)).status, status, onUnknownKey)
    }
    // Where the key is known the binding goes on.
    t.is((await device.refresh()).status, 200)
  },
)

serial('a session whose encryption key is not listed hides no bound one behind it from a refresh', async (t) => {
  const store = new MemoryStore()
  const former = await boundSite(t, { store, encryptionKeys: ['an encryption key of some thirty characters'] })
  const locked = former.device()
  await locked.get('/in')
  const site = await boundSite(t, { store, encryptionKeys: ['another encryption key of thirty characters'] })
  const device = await boundDevice(site)
  const header = `${await locked.browser.cookie()}; ${await device.browser.cookie()}`
  const asked = { 'sec-secure-session-id': device.id ?? t.fail() }

  const answer = await site.running.browser().send(REFRESH, header, { method: 'POST', headers: { ...HTTPS, ...asked } })
  t.is(answer.status, 403)
  t.is(challengeIn(answer)?.id, device.id)
  // It may be the one that is meant.
  const alone = await locked.browser.cookie()
  const other = await site.running.browser().send(REFRESH, alone, { method: 'POST', headers: { ...HTTPS, ...asked } })
  t.is(other.status, 503)
})
