// What an attack on the core found, each fault held by the right value.
import test from 'ava'
import { MINUTE } from '../support/scene.ts'
import { hear, keyIn, mounted } from '../support/mounted.ts'

test('with lazy: false an outage at the load leaves the cookie of the browser alone', async (t) => {
  const app = await mounted(t, { lazy: false }, { '/': ({ origin }) => origin })
  const browser = app.browser()
  await browser.get('/')
  app.store.break('read')

  const { status, setCookie } = await browser.get('/')
  app.store.heal()

  t.is(status, 503)
  t.deepEqual(setCookie, [])
  t.is((await browser.get('/')).body, 'resumed')
})

test('with lazy: false a session that was passed over sends no cookie', async (t) => {
  const app = await mounted(t, { lazy: false }, { '/': ({ publicId }) => publicId })
  const [first, second] = [app.browser(), app.browser()]
  const { body } = await first.get('/')
  await second.get('/')
  const cookies = `${await first.cookie()}; ${await second.cookie()}`

  const answer = await first.send('/', cookies)

  t.is(answer.body, body)
  t.deepEqual(answer.setCookie, [])
})

test('a request that crossSite refuses renews no cookie', async (t) => {
  let now = Date.now()
  const app = await mounted(
    t,
    { maxAge: '1h', rolling: true, now: () => now },
    { '/in': ({ data }) => (data.n = 1), '/': () => 'ok' },
  )
  const browser = app.browser()
  await browser.get('/in')
  now += 10 * MINUTE

  const { status, setCookie } = await browser.get('/', {
    method: 'POST',
    headers: { 'sec-fetch-site': 'cross-site' },
  })

  t.is(status, 403)
  t.deepEqual(setCookie, [])
})

test('with the owner option a request under way does not reach beyond a new id that it did not cause', async (t) => {
  let goOn: () => void = () => undefined
  let arrived: () => void = () => undefined
  const isThere = new Promise<void>((resolve) => (arrived = resolve))
  const gate = new Promise<void>((resolve) => (goOn = resolve))
  const app = await mounted(
    t,
    { owner: ({ name }) => name },
    {
      '/in': ({ data }) => (data.name = 'ada'),
      '/new': (session) => session.regenerate(),
      '/slow': async ({ data }) => {
        arrived()
        await gate
        data.n = 1
      },
      '/look': ({ data }) => ({ ...data }),
    },
  )
  const browser = app.browser()
  await browser.get('/in')
  const slow = browser.send('/slow', await browser.cookie())
  await isThere
  await browser.get('/new')
  goOn()

  t.is((await slow).status, 409)
  t.is((await browser.get('/look')).body, '{"name":"ada"}')
})

test('a fresh start ends the signals of other requests, not that of the request which makes it', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/in': (session) => session.signIn('ada'),
      '/fresh': async (session) => {
        const { signal } = session
        await session.regenerate({ keep: false })
        session.data.n = 1
        return String(signal.aborted)
      },
    },
  )
  const browser = app.browser()
  await browser.get('/in')

  t.is((await browser.get('/fresh')).body, 'false')
})

test('a session that was given a new id twenty times ends by its first public id', async (t) => {
  const app = await mounted(
    t,
    {},
    { '/in': ({ data }) => (data.n = 1), '/new': (session) => session.regenerate(), '/': ({ origin }) => origin },
  )
  const browser = app.browser()
  await browser.get('/in')
  const first = keyIn(await browser.cookie())
  for (let turn = 0; turn < 20; turn++) await browser.get('/new')

  t.true(await app.middleware.destroy(first))
  t.is((await browser.get('/')).body, 'expired')
})

test('an error of update() that a handler caught is over', async (t) => {
  const app = await mounted(
    t,
    {},
    {
      '/in': (session) => session.signIn('ada'),
      '/': async (session, ctx) => {
        session.data.n = 1
        await app.middleware.destroyAll('ada')
        const error: unknown = await session.update(({ n }) => n).catch((reason: unknown) => reason)
        ctx.body = (error as { code: string }).code
      },
    },
  )
  const browser = app.browser()
  await browser.get('/in')

  const { status, body } = await browser.get('/')

  t.is(status, 200)
  t.is(body, 'ERR_SESSION_GONE')
})

test('a session whose object was taken away and given anew by ctx.session is signed out', async (t) => {
  const app = await mounted(
    t,
    { koaSession: true },
    {
      '/in': (session) => session.signIn('ada'),
      '/out': (_session, ctx) => {
        const state = ctx as unknown as { session: object | null }
        state.session = null
        state.session = { n: 7 }
      },
      '/': (session) => [session.owner ?? 'nobody', session.data.n],
    },
  )
  const browser = app.browser()
  await browser.get('/in')
  await browser.get('/out')

  t.is((await browser.get('/')).body, '["nobody",7]')
  t.deepEqual(await app.middleware.list('ada'), [])
})

test('a touch under a newer encryption key goes on where the session has become too large', async (t) => {
  let now = Date.now()
  const options = { now: () => now, keys: ['a secret of more than sixteen characters'] }
  const old = 'an older secret of thirty-two characters'
  const young = 'a newer secret of thirty-two characters'
  const before = await mounted(
    t,
    { ...options, encryptionKeys: [old] },
    { '/in': ({ data }) => (data.name = 'x'.repeat(99)) },
  )
  const { setCookie } = await before.browser().get('/in')
  const cookie = (setCookie[0] ?? '').split(';', 1)[0] ?? ''
  const after = await mounted(
    t,
    { ...options, store: before.store.inner, encryptionKeys: [young, old], maxBytes: 50 },
    { '/': ({ origin }) => origin },
  )
  for (let use = 0; use < 9; use++) {
    now += 20 * MINUTE
    t.is((await after.browser().send('/', cookie)).body, 'resumed')
  }
})

test.serial('a merge that overlapped tells which keys had been changed', async (t) => {
  const heard = hear(t, 'merge')
  const app = await mounted(
    t,
    {},
    {
      '/in': ({ data }) => (data.n = 1),
      '/': async (session) => {
        session.data.name = 'ada'
        await app.middleware.update(session.publicId, (data) => {
          data.n = 2
        })
      },
    },
  )
  const browser = app.browser()
  await browser.get('/in')
  await browser.get('/')

  t.deepEqual(heard, [['merge', { publicId: keyIn(await browser.cookie()), keys: ['n'] }]])
})
