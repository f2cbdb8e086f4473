import { type } from 'arktype'
import test, { type ExecutionContext } from 'ava'
import * as devalue from 'devalue'
import Koa from 'koa'
import superjson from 'superjson'
import * as v from 'valibot'
import { z } from 'zod'
import {
  currentSession,
  MemoryStore,
  session,
  SessionError,
  type SessionManager,
  type SessionOptions,
} from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS, served, type Running } from '../support/app.ts'

interface Cart {
  items: string[]
  count?: number
}

// The same schema three times: a list that has a default, a number within bounds, and a shape of long ago that becomes the new one.
const schemas: Record<string, NonNullable<SessionOptions<Cart>['schema']>> = {
  zod: z.preprocess(
    (old) => (typeof old === 'object' && old !== null && 'cart' in old ? { items: [old.cart] } : old),
    z.object({ items: z.array(z.string()).default([]), count: z.number().max(3).optional() }),
  ) as NonNullable<SessionOptions<Cart>['schema']>,
  valibot: v.pipe(
    v.unknown(),
    v.transform((old) => (typeof old === 'object' && old !== null && 'cart' in old ? { items: [old.cart] } : old)),
    v.object({ items: v.optional(v.array(v.string()), []), count: v.optional(v.pipe(v.number(), v.maxValue(3))) }),
  ) as NonNullable<SessionOptions<Cart>['schema']>,
  arktype: type('unknown')
    .pipe((old) => (typeof old === 'object' && old !== null && 'cart' in old ? { items: [old.cart] } : old))
    .to({ items: type('string[]').default(() => []), 'count?': 'number <= 3' }),
}

type Handler = (manager: SessionManager<Cart>) => unknown

async function site<Data extends object>(
  t: ExecutionContext,
  options: SessionOptions<Data>,
  handlers: Record<string, (manager: SessionManager<Data>) => unknown>,
): Promise<Running & { cookie(data: object): Promise<string> }> {
  const store = new MemoryStore()
  const app = new Koa()
  app.use(session<Data>({ ...options, store, keys: [...KEYS] }))
  app.use(async (ctx) => {
    ctx.body = JSON.stringify((await handlers[ctx.path]?.(currentSession<Data>())) ?? 'done')
  })
  const running = await served(t, app)
  // What an earlier release of the app, without a schema, has left in the store.
  const before = session<Record<string, unknown>>({ store, keys: [...KEYS] })
  return { ...running, cookie: (data) => sessionCookie(before, { ...data }) }
}

const handlers: Record<string, Handler> = {
  '/show': ({ data }) => data,
  '/add': ({ data }) => void data.items.push('book'),
  '/good': (manager) => void (manager.data = { items: ['a'], count: 3 }),
  '/update': (manager) => manager.update((data) => void (data.count = (data.count ?? 0) + 1)),
  '/bad': (manager) => void (manager.data = { items: ['a'], count: 4 }),
}

for (const [name, schema] of Object.entries(schemas)) {
  test(`${name}: what a schema makes of stored data is data`, async (t) => {
    const app = await site<Cart>(t, { schema }, handlers)

    t.deepEqual(JSON.parse((await app.browser().send('/show', await app.cookie({ count: 1 }))).body), {
      items: [],
      count: 1,
    })
  })

  test(`${name}: data of an older shape is migrated, and stored in the new one`, async (t) => {
    const app = await site<Cart>(t, { schema }, handlers)
    const cookie = await app.cookie({ cart: 'pen' })

    t.deepEqual(JSON.parse((await app.browser().send('/show', cookie)).body), { items: ['pen'] })
    await app.browser().send('/add', cookie)
    t.deepEqual(JSON.parse((await app.browser().send('/show', cookie)).body), { items: ['pen', 'book'] })
  })

  test(`${name}: data that satisfies the schema is stored`, async (t) => {
    const browser = (await site<Cart>(t, { schema }, handlers)).browser()
    await browser.get('/good')

    t.deepEqual(JSON.parse((await browser.get('/show')).body), { items: ['a'], count: 3 })
  })

  test(`${name}: data that breaks the schema is refused and not stored`, async (t) => {
    const app = await site<Cart>(t, { schema }, handlers)
    const browser = app.browser()
    await browser.get('/good')

    t.is((await browser.get('/bad')).status, 500)
    const [error] = app.errors
    t.true(
      error instanceof SessionError && error.code === 'ERR_SESSION_SCHEMA' && error.message.includes('count'),
      String(error),
    )
    t.deepEqual(JSON.parse((await browser.get('/show')).body), { items: ['a'], count: 3 })
  })

  test(`${name}: an update that breaks the schema is refused, and one that satisfies it is stored`, async (t) => {
    const app = await site<Cart>(t, { schema }, handlers)
    const cookie = await app.cookie({ count: 2 })
    const browser = app.browser()

    t.is((await browser.send('/update', cookie)).status, 200)
    t.is((await browser.send('/update', cookie)).status, 500)
    t.is((app.errors[0] as { code?: string }).code, 'ERR_SESSION_SCHEMA')
    t.deepEqual(JSON.parse((await browser.send('/show', cookie)).body), { items: [], count: 3 })
  })

  test(`${name}: currentSession() in a service has data as the schema made it`, async (t) => {
    const app = await site<Cart>(t, { schema }, { '/items': () => currentSession<Cart>().data.items.length })

    t.is((await app.browser().send('/items', await app.cookie({ cart: 'pen' }))).body, '1')
  })

  test(`${name}: stored data that no schema can read is an error, and the session is left alone`, async (t) => {
    const app = await site<Cart>(t, { schema }, handlers)

    const answer = await app.browser().send('/show', await app.cookie({ items: 'none' }))

    t.is(answer.status, 500)
    t.is((app.errors[0] as { code?: string }).code, 'ERR_SESSION_SCHEMA')
    t.deepEqual(answer.setCookie, [])
  })
}

test("a schema's output types data", async (t) => {
  const schema = z.object({ visits: z.number().default(0) })
  const middleware = session({ schema, keys: [...KEYS] })
  const cookie: Promise<string> = sessionCookie(middleware, { visits: 1 })
  // @ts-expect-error -- not what the schema gives
  const wrong = sessionCookie(middleware, { visits: 'one' })

  t.regex(await cookie, /^sid=/)
  await t.throwsAsync(wrong, { code: 'ERR_SESSION_SCHEMA' })
})

// ---- codecs

interface Rich {
  date?: Date
  map?: Map<string, unknown>
  set?: Set<number>
  big?: bigint
}

for (const [name, codec] of Object.entries({ devalue, superjson })) {
  test(`${name} as it is keeps Date, Map, Set and BigInt`, async (t) => {
    const app = await site<Rich>(
      t,
      { codec },
      {
        '/put': ({ data }) =>
          void Object.assign(data, {
            date: new Date(5),
            map: new Map([['a', new Set([1])]]),
            set: new Set([1, 2]),
            big: 7n,
          }),
        '/get': ({ data }) => [
          data.date instanceof Date && data.date.valueOf(),
          data.map instanceof Map && data.map.get('a') instanceof Set,
          data.set instanceof Set && [...data.set],
          String(data.big),
        ],
      },
    )
    const browser = app.browser()
    await browser.get('/put')

    t.is((await browser.get('/get')).body, '[5,true,[1,2],"7"]')
  })

  test(`${name}: a change inside a Map counts, and reading one does not`, async (t) => {
    const app = await site<Rich>(
      t,
      { codec },
      {
        '/put': ({ data }) => void (data.map = new Map([['n', 1]])),
        '/grow': ({ data }) => void data.map?.set('n', 2),
        '/get': ({ data }) => data.map?.get('n'),
      },
    )
    const browser = app.browser()
    await browser.get('/put')

    t.is((await browser.get('/get')).body, '1')
    await browser.get('/grow')
    t.is((await browser.get('/get')).body, '2')
  })
}

test('JSON refuses what it would change, and names where', async (t) => {
  const app = await site<Rich>(t, {}, { '/put': ({ data }) => void (data.map = new Map()) })

  t.is((await app.browser().get('/put')).status, 500)
  const [error] = app.errors
  t.true(
    error instanceof SessionError && error.code === 'ERR_SESSION_VALUE' && error.message.includes('map'),
    String(error),
  )
})
