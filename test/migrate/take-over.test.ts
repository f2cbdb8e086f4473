// takeOver without an overlap: sessions of koa-session and of express-session go on, once, and no old cookie outlives that.
// koa-session's cookies are made here as koa-session 7.0.2 makes them; express-session makes its own.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import expressSession from 'express-session'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import {
  fromExpressSession,
  fromKoaSession,
  takeOver,
  type OldSessions,
  type TakeOverOptions,
} from '../../src/migrate.ts'
import { KEYS, served, type Running } from '../support/app.ts'
import { goOn, pages, type Visitor } from '../support/deployed.ts'
import { valueIn } from '../support/mounted.ts'
import { DAY, inCookie, OldStore, signed } from '../support/old-sessions.ts'

async function site(
  t: ExecutionContext,
  from: OldSessions,
  options: Partial<TakeOverOptions<Visitor>> = {},
): Promise<Running> {
  const app = new Koa()
  app.use(session<Visitor>({ keys: [...KEYS] }))
  app.use(
    takeOver<Visitor>({
      from,
      until: Date.now() + DAY,
      goOn,
      ...options,
    }),
  )
  app.use(pages)
  const running = await served(t, app)
  return running
}

test('koa-session without a store: who was signed in still is, under a cookie of ours, and the old cookies are cleared', async (t) => {
  const browser = (await site(t, fromKoaSession())).browser()
  const answer = await browser.send('/', inCookie({ user: 'ada', cart: ['book'] }))

  t.is(answer.body, 'ada {"cart":["book"]}')
  const lines = answer.setCookie.map((line) =>
    line
      .replace(/=[\w-]+\.[\w-]+/, '=<id>.<signature>')
      .replace(/Max-Age=86(400|399)/, 'max-age=<a day>')
      .toLowerCase(),
  )
  t.deepEqual(lines.sort(), [
    'koa.sess.sig=; path=/; expires=thu, 01 jan 1970 00:00:00 gmt; httponly',
    'koa.sess=; path=/; expires=thu, 01 jan 1970 00:00:00 gmt; httponly',
    'sid=<id>.<signature>; max-age=<a day>; path=/; httponly; samesite=lax',
  ])
  const ours = answer.setCookie.find((line) => line.startsWith('sid='))
  t.is((await browser.send('/', `sid=${valueIn(ours)}`)).body, 'ada {"cart":["book"]}')
})

test('koa-session with a store: the same, and a visitor who was not signed in keeps what he had', async (t) => {
  const store = new OldStore(
    ['k1', { user: 'ada', _expire: Date.now() + DAY }],
    ['k2', { cart: ['pen'], _session: true }],
  )
  const app = await site(t, fromKoaSession({ store }))

  t.is((await app.browser().send('/', signed('k1'))).body, 'ada {}')
  t.is((await app.browser().send('/', signed('k2'))).body, 'nobody {"cart":["pen"]}')
})

test('koa-session: its own key and an older secret are known', async (t) => {
  const store = new OldStore(['k1', { user: 'ada' }])
  const app = await site(t, fromKoaSession({ store, key: 'app' }))

  t.is((await app.browser().send('/', signed('k1', KEYS.slice(1), 'app'))).body, 'ada {}')
})

test('requests that a browser sends at once all find the session, and ten seconds later the old cookie opens nothing', async (t) => {
  const store = new OldStore(['k1', { user: 'ada', _expire: Date.now() + DAY }])
  let now = Date.now()
  const app = await site(t, fromKoaSession({ store }), { now: () => now })
  const together = await Promise.all([1, 2, 3].map(() => app.browser().send('/', signed('k1'))))

  t.deepEqual(
    together.map(({ body }) => body),
    ['ada {}', 'ada {}', 'ada {}'],
  )
  now += 10_001
  t.is((await app.browser().send('/', signed('k1'))).body, 'nobody {}')
})

test('no use of an old session makes it live longer', async (t) => {
  const store = new OldStore(['k1', { user: 'ada', _expire: Date.now() + DAY }])
  let now = Date.now()
  const app = await site(t, fromKoaSession({ store }), { now: () => now })
  await app.browser().send('/', signed('k1'))
  const ends = store.records.get('k1')?.['_expire']
  now += 9000
  t.is((await app.browser().send('/', signed('k1'))).body, 'ada {}')

  t.is(store.records.get('k1')?.['_expire'], ends)
})

test('forged and unsigned cookies open nothing, and the old store is not asked', async (t) => {
  const store = new OldStore(['k1', { user: 'ada' }])
  const app = await site(t, fromKoaSession({ store }))
  for (const cookie of [
    'koa.sess=k1',
    signed('k1', ['a secret of somebody else, long enough']),
    signed('k2').replace('k2', 'k1'),
  ]) {
    t.is((await app.browser().send('/', cookie)).body, 'nobody {}', cookie)
  }

  t.is(store.asked, 0)
})

test('who has signed out stays signed out, even where the browser still has the old cookies', async (t) => {
  const app = await site(t, fromKoaSession())
  const old = inCookie({ user: 'ada' })
  const browser = app.browser()
  const ours = `sid=${valueIn((await browser.send('/', old)).setCookie.find((line) => line.startsWith('sid=')))}`

  const logout = await browser.send('/logout', `${ours}; ${old}`)

  t.deepEqual(logout.setCookie.map((line) => line.split('=')[0]).sort(), ['koa.sess', 'koa.sess.sig', 'sid'])
  t.is((await browser.send('/', `${ours}; ${old}`)).body, 'nobody {}')
})

test('a live session of ours is not replaced by what an old cookie holds', async (t) => {
  const app = await site(t, fromKoaSession())
  const browser = app.browser()
  await browser.get('/other')

  t.is((await browser.send('/', `${await browser.cookie()}; ${inCookie({ user: 'ada' })}`)).body, 'eve {}')
})

test('whoever signs in as somebody else inherits nothing of what was taken over', async (t) => {
  const app = await site(t, fromKoaSession())

  t.is((await app.browser().send('/other', inCookie({ user: 'ada', cart: ['planted'] }))).body, 'eve {}')
})

test('after its last instant nothing is taken over, and the old cookies are cleared', async (t) => {
  const answer = await (
    await site(t, fromKoaSession(), { until: Date.now() })
  )
    .browser()
    .send('/', inCookie({ user: 'ada' }))

  t.is(answer.body, 'nobody {}')
  t.is(answer.setCookie.length, 2)
})

test('an old session that has expired is over', async (t) => {
  const store = new OldStore(['k1', { user: 'ada', _expire: Date.now() - 1 }])

  t.is((await (await site(t, fromKoaSession({ store }))).browser().send('/', signed('k1'))).body, 'nobody {}')
  t.is(
    (
      await (
        await site(t, fromKoaSession())
      )
        .browser()
        .send('/', inCookie({ user: 'ada' }, { _expire: Date.now() - 1 }))
    ).body,
    'nobody {}',
  )
})

test('a signed cookie that holds no session is a fresh visitor', async (t) => {
  const app = await site(t, fromKoaSession())
  for (const text of ['', 'no JSON', 'null', '"text"', '[1]']) {
    const answer = await app.browser().send('/', signed(Buffer.from(text).toString('base64')))
    t.is(answer.body, 'nobody {}', text)
  }
})

test('an old store that fails is an error, and the browser keeps its cookies', async (t) => {
  const store = new OldStore(['k1', { user: 'ada' }])
  store.isDown = true
  const app = await site(t, fromKoaSession({ store }))
  const answer = await app.browser().send('/', signed('k1'))

  t.is(answer.status, 503)
  t.deepEqual(answer.setCookie, [])
  store.isDown = false
  t.is((await app.browser().send('/', signed('k1'))).body, 'ada {}')
})

test('under koaSession and an owner option, what koa-passport kept is taken over by writing it', async (t) => {
  interface SignedIn {
    passport?: { user: string }
  }
  const sessions = session<SignedIn>({ keys: [...KEYS], koaSession: true, owner: (data) => data.passport?.user })
  const app = new Koa().use(sessions).use(
    takeOver<SignedIn>({
      from: fromKoaSession(),
      until: Date.now() + DAY,
      goOn: (current, { passport }) => {
        current.data.passport = passport as { user: string }
      },
    }),
  )
  app.use((ctx) => void (ctx.body = (ctx as unknown as { session: SignedIn }).session.passport))
  const running = await served(t, app)

  t.is((await running.browser().send('/', inCookie({ passport: { user: 'ada' } }))).body, '{"user":"ada"}')
  t.is((await sessions.list('ada')).length, 1)
})

test('old cookies with a path and a domain are cleared there', async (t) => {
  const { setCookie } = await (
    await site(t, fromKoaSession(), { cookie: { path: '/shop', domain: 'example.org' } })
  )
    .browser()
    .send('/', inCookie({}))

  t.is(setCookie.length, 3)
  for (const line of setCookie.filter((one) => !one.startsWith('sid=')))
    t.regex(line, /^koa\.sess.*; path=\/shop; .*domain=example\.org/)
})

test('a visitor without old cookies costs nothing and gets no cookie', async (t) => {
  const store = new OldStore()
  const answer = await (await site(t, fromKoaSession({ store }))).browser().send('/', '')

  t.deepEqual(answer.setCookie, [])
  t.is(store.asked, 0)
})

// ---- express-session

const SECRET = 'what express-session signed with'

/** A session that express-session itself has made: its store, and its cookie. */
async function expressMade(
  t: ExecutionContext,
  secret: string | string[] = SECRET,
): Promise<{ store: expressSession.MemoryStore; cookie: string }> {
  const store = new expressSession.MemoryStore()
  const middleware = expressSession({ secret, store, resave: false, saveUninitialized: false })
  const server = createServer((request, response) => {
    // Written for Express's request and response, it needs no more than Node's.
    middleware(request as never, response as never, () => {
      Object.assign((request as unknown as { session: object }).session, { user: 'ada', cart: ['book'] })
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return { store, cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
}

test('express-session: who was signed in still is, and the old cookie is cleared', async (t) => {
  const { store, cookie } = await expressMade(t)
  const answer = await (
    await site(t, fromExpressSession({ store, secret: ['a newer one', SECRET] }))
  )
    .browser()
    .send('/', cookie)

  t.is(answer.body, 'ada {"cart":["book"]}')
  t.regex(answer.setCookie.join('\n'), /^connect\.sid=; path=\/; expires=Thu, 01 Jan 1970/m)
})

test('express-session: ten seconds after its first use the old cookie opens nothing', async (t) => {
  const { store, cookie } = await expressMade(t)
  let now = Date.now()
  const app = await site(t, fromExpressSession({ store, secret: SECRET }), { now: () => now })
  t.is((await app.browser().send('/', cookie)).body, 'ada {"cart":["book"]}')
  t.is((await app.browser().send('/', cookie)).body, 'ada {"cart":["book"]}')
  now += 10_001

  t.is((await app.browser().send('/', cookie)).body, 'nobody {}')
})

test('the ten seconds count by the clock that takeOver was given', async (t) => {
  const now = Date.now() + DAY / 2
  const koa = new OldStore(['k1', { user: 'ada', _expire: now + DAY }])
  const express = await expressMade(t)
  const made: readonly [OldSessions, string][] = [
    [fromKoaSession({ store: koa }), signed('k1')],
    [fromExpressSession({ store: express.store, secret: SECRET }), express.cookie],
  ]
  for (const [from, cookie] of made) {
    const app = await site(t, from, { now: () => now })
    const first = await app.browser().send('/', cookie)

    t.regex(first.body, /^ada /)
    t.is((await app.browser().send('/', cookie)).body, first.body)
  }
})

test('express-session: forged cookies open nothing', async (t) => {
  const { store, cookie } = await expressMade(t)
  const app = await site(t, fromExpressSession({ store, secret: SECRET }))
  const other = await expressMade(t, 'another secret altogether')
  const forged = [
    cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    cookie.replace('s%3A', ''),
    cookie.replace(/\.[^.]*$/, ''),
    cookie.replace('s%3A', 's%3Ax'),
    other.cookie,
    'connect.sid=%',
    'connect.sid=s%3A.',
  ]
  for (const one of forged) t.is((await app.browser().send('/', one)).body, 'nobody {}', one)

  t.is((await app.browser().send('/', cookie)).body, 'ada {"cart":["book"]}')
})
