import test from 'ava'
import Koa from 'koa'
import { sessionCookie, sessionOf, withSession } from '../../src/testing.ts'
import supertest from 'supertest'
import { Cookie, CookieJar } from 'tough-cookie'
import { z } from 'zod'
import {
  currentSession,
  MemoryStore,
  session,
  SessionError,
  tryCurrentSession,
  type SessionMiddleware,
} from '../../src/index.ts'
import { KEYS } from '../support/app.ts'
import { keyIn } from '../support/mounted.ts'

interface Things {
  name?: string
  cart?: string[]
}

/** Service code, as an app has it. */
async function greeting(): Promise<string> {
  await Promise.resolve()
  return `hello ${currentSession<Things>().data.name ?? 'stranger'}`
}

function app(): { middleware: SessionMiddleware<Things>; callback: ReturnType<Koa['callback']> } {
  const middleware = session<Things>({ keys: [...KEYS] })
  const koa = new Koa()
  koa.use(middleware)
  koa.use(async (ctx) => {
    const manager = currentSession<Things>()
    if (ctx.path === '/add') manager.data.cart = [...(manager.data.cart ?? []), 'book']
    if (ctx.path === '/login') await manager.signIn('ada')
    ctx.body = { greeting: await greeting(), cart: manager.data.cart, owner: manager.owner, origin: manager.origin }
  })
  return { middleware, callback: koa.callback() }
}

test('withSession runs service code with a session', async (t) => {
  t.is(await withSession({ name: 'Ada' }, greeting), 'hello Ada')
  t.is(tryCurrentSession(), undefined)
})

test('withSession gives the session too, and all of it works', async (t) => {
  const seen = await withSession<unknown, Things>({ name: 'Ada' }, async (given) => {
    await given.update((data) => void (data.cart = ['book']))
    await given.signIn('ada')
    return [given.data, given.owner, given.origin, given === currentSession()]
  })

  t.deepEqual(seen, [{ name: 'Ada', cart: ['book'] }, 'ada', 'resumed', true])
})

test('sessions of withSession do not see one another', async (t) => {
  const names = await Promise.all(['Ada', 'Bob'].map((name) => withSession({ name }, greeting)))

  t.deepEqual(names, ['hello Ada', 'hello Bob'])
})

test('withSession shows what the schema makes of data, as a request finds it, and empty data that it refuses', async (t) => {
  const schema = z.object({ name: z.string().toUpperCase(), visits: z.number().default(0) })
  type Visitor = z.infer<typeof schema>

  t.deepEqual(await withSession({ name: 'Ada' } as Visitor, ({ data }) => ({ ...data }), { schema }), {
    name: 'ADA',
    visits: 0,
  })
  t.deepEqual(await withSession({} as Visitor, ({ data }) => ({ ...data }), { schema }), {} as Visitor)
  await t.throwsAsync(
    withSession({ visits: 1 } as Visitor, () => undefined, { schema }),
    { code: 'ERR_SESSION_SCHEMA' },
  )
})

test('withSession refuses what is no function', async (t) => {
  await t.throwsAsync(withSession({}, 5 as never), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' })
})

test('withSession passes on what its function throws', async (t) => {
  await t.throwsAsync(
    withSession({}, () => Promise.reject(new Error('mine'))),
    { message: 'mine' },
  )
})

test('supertest: sessionCookie brings a session with data', async (t) => {
  const { middleware, callback } = app()

  const answer = await supertest(callback)
    .get('/')
    .set('Cookie', await sessionCookie(middleware, { name: 'Ada' }))

  t.deepEqual(answer.body, { greeting: 'hello Ada', origin: 'resumed' })
})

test('supertest: sessionCookie brings an owner', async (t) => {
  const { middleware, callback } = app()
  const cookie = await sessionCookie(middleware, {}, { owner: 'ada' })

  t.is(((await supertest(callback).get('/').set('Cookie', cookie)).body as { owner?: string }).owner, 'ada')
  t.is((await middleware.list('ada')).length, 1)
})

test('supertest: an agent goes on with the session it was given', async (t) => {
  const { middleware, callback } = app()
  const agent = supertest.agent(callback)
  agent.set('Cookie', await sessionCookie(middleware, { cart: ['pen'] }))
  await agent.get('/add')

  t.deepEqual(((await agent.get('/')).body as Things).cart, ['pen', 'book'])
})

test('supertest: an agent that signs in by itself keeps the new cookie', async (t) => {
  const { callback } = app()
  const agent = supertest.agent(callback)
  await agent.get('/login')

  t.is(((await agent.get('/')).body as { owner?: string }).owner, 'ada')
})

test('sessionCookie splits into the name and the value that playwright takes, and a browser sends them back as they are', async (t) => {
  const { middleware, callback } = app()
  const cookie = await sessionCookie(middleware, { name: 'Ada' })
  const [name = '', value = ''] = cookie.split('=')
  const jar = new CookieJar()
  // As playwright's addCookies({ name, value, url }) does.
  await jar.setCookie(new Cookie({ key: name, value, path: '/', httpOnly: true, sameSite: 'lax' }), 'http://127.0.0.1/')

  t.is(await jar.getCookieString('http://127.0.0.1/'), cookie)
  t.is(
    (
      (
        await supertest(callback)
          .get('/')
          .set('Cookie', await jar.getCookieString('http://127.0.0.1/'))
      ).body as { origin?: string }
    ).origin,
    'resumed',
  )
})

test('sessionCookie asks the option owner, unless it is given one', async (t) => {
  const middleware = session<{ user?: string }>({ keys: ['a secret for this test alone'], owner: ({ user }) => user })
  await sessionCookie(middleware, { user: 'ada' })
  await sessionCookie(middleware, { user: 'ada' }, { owner: 'eve' })
  await sessionCookie(middleware, {})

  t.deepEqual(
    (await Promise.all(['ada', 'eve'].map((owner) => middleware.list(owner)))).map(({ length }) => length),
    [1, 1],
  )
})

test('an app with the option passive needs no request before sessionCookie and sessionOf', async (t) => {
  let asked = 0
  const middleware = session<Things>({ keys: [...KEYS], passive: () => ++asked > 0 })
  const cookie = await sessionCookie(middleware, { name: 'Ada' }, { owner: 'ada' })

  t.like(await sessionOf(middleware, cookie), { owner: 'ada', data: { name: 'Ada' } })
  t.is(asked, 0)
})

test('sessionOf finds no session that cannot be read, whether or not anybody listens', async (t) => {
  for (const logger of [undefined, {}]) {
    const store = new MemoryStore()
    const middleware = session<Things>({ keys: [...KEYS], store, logger })
    const cookie = await sessionCookie(middleware, { name: 'Ada' })
    const record = store.read(keyIn(cookie), Date.now())
    if (record === undefined) return t.fail('not stored')
    store.replace({ ...record, version: 2, payload: '{"name":' }, record.version, Date.now())

    t.is(await sessionOf(middleware, cookie), undefined)
  }
})

test('sessionCookie refuses data that a handler could not store', async (t) => {
  const error = await t.throwsAsync(sessionCookie(app().middleware, { name: new Date() as unknown as string }))

  t.true(error instanceof SessionError && error.code === 'ERR_SESSION_VALUE')
})

test('data that is no plain object and an instant that is none are refused, and an undefined option is one left out', async (t) => {
  const { middleware } = app()
  const refused = { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE' }
  for (const data of [new Map(), new Date(), [], null, 'text']) {
    await t.throwsAsync(sessionCookie(middleware, data as never), refused)
    await t.throwsAsync(
      withSession(data as never, () => 1),
      refused,
    )
  }
  for (const authenticatedAt of ['yesterday', NaN, new Date(), null, 1e300, -Infinity] as never[]) {
    await t.throwsAsync(sessionCookie(middleware, {}, { owner: 'ada', authenticatedAt }), refused)
    await t.throwsAsync(
      withSession({}, () => 1, { owner: 'ada', authenticatedAt }),
      refused,
    )
  }

  const fraction = await sessionCookie(middleware, {}, { owner: 'ada', authenticatedAt: Date.now() - 0.5 })
  t.is((await sessionOf(middleware, fraction))?.owner, 'ada')
  t.regex(await sessionCookie(middleware, {}, { owner: undefined, authenticatedAt: undefined }), /^sid=/)
  t.is(await withSession({}, ({ owner }) => owner, { owner: undefined, codec: undefined, now: undefined }), undefined)
})

test('sessionCookie of a middleware that was closed is refused', async (t) => {
  const { middleware } = app()
  await middleware.close()

  await t.throwsAsync(sessionCookie(middleware, { name: 'Ada' }), { code: 'ERR_SESSION_STORE' })
})
