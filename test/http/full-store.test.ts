// A full MemoryStore: a session that gets a new id is stored under both for a moment, and evicts itself.
import test, { type ExecutionContext } from 'ava'
import { MemoryStore } from '../../src/index.ts'
import { mounted, type Handler, type Things } from '../support/mounted.ts'

const handlers: Readonly<Record<string, Handler>> = {
  '/put': ({ data }) => {
    data.n = 7
  },
  '/in': (session, ctx) => session.signIn(String(ctx.query['as'])),
  '/again': (session) => session.regenerate(),
  '/bye': async (session) => {
    await session.regenerate({ keep: false })
    session.flash('note', 'bye')
  },
  '/n': ({ data }) => String(data.n ?? 'none'),
}

/** A store full of ada, bob and cyd, with one session each, and the browser of cyd: ada's session is the one to go. */
async function full(t: ExecutionContext) {
  const app = await mounted(t, { store: new MemoryStore({ maxSessions: 3 }), logger: {} }, handlers)
  for (const as of ['ada', 'bob']) await app.browser().get(`/in?as=${as}`)
  const cyd = app.browser()
  await cyd.get('/in?as=cyd')
  return { app, cyd }
}

test('in a store full of users with one session each, a user who gets a new id keeps the session', async (t) => {
  const { app, cyd } = await full(t)

  t.is((await cyd.get('/again')).status, 200)
  t.deepEqual((await app.middleware.list('cyd')).length, 1)
})

test('in a store full of users a logout with a farewell signs nobody else out', async (t) => {
  const { app, cyd } = await full(t)

  t.is((await cyd.get('/bye')).status, 200)
  for (const owner of ['ada', 'bob']) t.is((await app.middleware.list(owner)).length, 1, owner)
})

test('a visitor who signs in while the store is full of users keeps the data', async (t) => {
  const app = await mounted(t, { store: new MemoryStore({ maxSessions: 3 }), logger: {} }, handlers)
  for (const as of ['ada', 'bob']) await app.browser().get(`/in?as=${as}`)
  const visitor = app.browser()
  await visitor.get('/put')

  t.is((await visitor.get('/in?as=cyd')).status, 200)
  t.is((await visitor.get('/n')).body, '7')
})

test('with the owner option a visitor can sign in while the store is full of users', async (t) => {
  const options = {
    store: new MemoryStore({ maxSessions: 3 }),
    logger: {},
    owner: ({ name }: Things) => name,
  }
  const app = await mounted(t, options, {
    ...handlers,
    '/name': ({ data }, ctx) => {
      data.name = String(ctx.query['as'])
    },
  })
  for (const as of ['ada', 'bob']) await app.browser().get(`/name?as=${as}`)
  const visitor = app.browser()
  await visitor.get('/put')

  t.is((await visitor.get('/name?as=cyd')).status, 200)
})

test('a store for one session keeps it under its new id', async (t) => {
  for (const as of [undefined, 'ada']) {
    const app = await mounted(t, { store: new MemoryStore({ maxSessions: 1 }), logger: {} }, handlers)
    const visitor = app.browser()
    await visitor.get('/put')
    if (as !== undefined) t.is((await visitor.get(`/in?as=${as}`)).status, 200)

    t.is((await visitor.get('/again')).status, 200)
    t.is((await visitor.get('/n')).body, '7')
  }
})

test('a session that almost fills the store keeps what it holds under its new id', async (t) => {
  const store = new MemoryStore({ maxBytes: 10_000 })
  const app = await mounted(
    t,
    { store, logger: {} },
    {
      ...handlers,
      '/fill': ({ data }) => {
        data.name = 'x'.repeat(9_700 - store.bytes)
      },
    },
  )
  const visitor = app.browser()
  await visitor.get('/put')
  t.is((await visitor.get('/fill')).status, 200)

  t.is((await visitor.get('/again')).status, 200)
  t.is((await visitor.get('/n')).body, '7')
  t.true(store.bytes <= 10_000)
})
