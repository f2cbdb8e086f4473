// list, destroy, destroyAll, deleteExpired and close: sessions from outside of their requests.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, session } from '../../src/index.ts'
import { PORTION } from '../../src/portions.ts'
import { KEYS } from '../support/app.ts'
import { keyIn, mounted, type Handler, type Mounted, type Session } from '../support/mounted.ts'
import { PlainStore } from '../support/plain-store.ts'
import { quick } from '../support/quick.ts'

const NOW = 1_800_000_000_000
const UNSUPPORTED = { code: 'ERR_SESSION_UNSUPPORTED' }

const handlers: Readonly<Record<string, Handler>> = {
  '/in': (session, { query }) => {
    session.data.name = String(query['owner'])
    return session.signIn(String(query['owner']))
  },
  '/anonymous': ({ data }) => (data.n = 1),
  '/origin': ({ origin }) => origin,
  '/regenerate': (session) => session.regenerate(),
}

/** Signs owners in, each with a browser of their own; their public ids. */
async function signedIn(
  t: ExecutionContext,
  owners: readonly string[],
  options: Parameters<typeof mounted>[1] = {},
): Promise<Mounted & { keys: string[]; cookies: string[] }> {
  const app = await mounted(t, options, handlers)
  const cookies: string[] = []
  for (const owner of owners) {
    const browser = app.browser()
    await browser.get(`/in?owner=${owner}`)
    cookies.push(await browser.cookie())
  }
  return { ...app, cookies, keys: cookies.map(keyIn) }
}

const origins = ({ browser }: Pick<Mounted, 'browser'>, cookies: readonly string[]): Promise<string[]> =>
  Promise.all(cookies.map(async (cookie) => (await browser().send('/origin', cookie)).body))

test('list() shows the live sessions of an owner, with their data and without their ids', async (t) => {
  const { middleware, keys, cookies } = await signedIn(t, ['ada', 'ada', 'eve'], { now: () => NOW })
  const listed = await middleware.list('ada')

  t.deepEqual(listed.map(({ publicId }) => publicId).sort(), keys.slice(0, 2).sort())
  t.deepEqual(listed[0], {
    publicId: listed[0]?.publicId ?? '',
    owner: 'ada',
    createdAt: NOW,
    lastSeenAt: NOW,
    expiresAt: NOW + 7_200_000,
    authenticatedAt: NOW,
    device: undefined,
    isBound: false,
    data: { name: 'ada' },
  })
  t.deepEqual(await middleware.list('nobody'), [])
  t.false(JSON.stringify(listed).includes(cookies[0]?.slice(4, 20) ?? ''))
})

test('what list() shows is a copy', async (t) => {
  const { middleware } = await signedIn(t, ['ada'])
  const [info] = await middleware.list('ada')
  Object.assign(info?.data ?? {}, { name: 'changed' })

  t.like((await middleware.list('ada'))[0], { data: { name: 'ada' } })
})

test('list() shows neither what has expired, nor what was regenerated, nor who is anonymous', async (t) => {
  let now = NOW
  const app = await signedIn(t, ['ada'], { now: () => now })
  await app.browser().get('/anonymous')
  const { setCookie } = await app.browser().send('/regenerate', app.cookies[0] ?? '')

  t.deepEqual(
    (await app.middleware.list('ada')).map(({ publicId }) => publicId),
    [keyIn(setCookie[0])],
  )
  now += 7_200_000
  t.deepEqual(await app.middleware.list('ada'), [])
})

test('list() shows a session whose data cannot be read, so that it can be ended', async (t) => {
  const { middleware, store, keys } = await signedIn(t, ['ada'])
  const record = await store.read(keys[0] ?? '', Date.now())
  if (record === undefined) return t.fail('not stored')
  await store.replace({ ...record, version: record.version + 1, payload: 'cut off' }, record.version, Date.now())

  t.like((await middleware.list('ada'))[0], { publicId: keys[0], data: undefined })
  t.true(await middleware.destroy(keys[0] ?? ''))
})

test('list() leaves out what a store lists without an owner', async (t) => {
  const { middleware, store, keys } = await signedIn(t, ['ada'])
  const record = await store.read(keys[0] ?? '', Date.now())
  if (record === undefined) return t.fail('not stored')
  store.list = () => ({ records: [{ ...record, owner: undefined }, record], cursor: undefined })

  t.deepEqual(
    (await middleware.list('ada')).map(({ publicId }) => publicId),
    keys,
  )
})

test('list() shows sessions under an encryption key that is not configured, without data', async (t) => {
  const store = new MemoryStore()
  await signedIn(t, ['ada'], { store, encryptionKeys: ['the key of another server'] })

  const elsewhere = session({ keys: KEYS, store, encryptionKeys: ['the key of this server'] })
  t.like((await elsewhere.list('ada'))[0], { owner: 'ada', data: undefined })
  t.is(await elsewhere.destroyAll('ada'), 1)
})

test('of a session under an encryption key that is not configured all but data and device is shown and counts', async (t) => {
  const [store, now] = [new MemoryStore(), { value: NOW }]
  const { middleware } = await signedIn(t, ['ada'], {
    store,
    now: () => now.value,
    encryptionKeys: ['the key of another server'],
  })
  const [shown] = await middleware.list('ada')
  const elsewhere = (idleTimeout: number) =>
    session({ keys: KEYS, store, now: () => now.value, idleTimeout, encryptionKeys: ['the key of this server'] })

  t.is(shown?.authenticatedAt, NOW)
  t.deepEqual(await elsewhere(7_200_000).list('ada'), [{ ...shown, data: undefined }])
  now.value += 1_800_000
  t.deepEqual(await elsewhere(1_800_000).list('ada'), [])
})

test('destroy() ends a session by its public id, once', async (t) => {
  const app = await signedIn(t, ['ada', 'ada'])

  t.true(await app.middleware.destroy(app.keys[0] ?? ''))
  t.false(await app.middleware.destroy(app.keys[0] ?? ''))
  t.deepEqual(await origins(app, app.cookies), ['expired', 'resumed'])
})

test('destroy() with an owner ends it only if it is his', async (t) => {
  const app = await signedIn(t, ['ada'])
  const [key] = app.keys

  t.false(await app.middleware.destroy(key ?? '', { owner: 'eve' }))
  t.deepEqual(await origins(app, app.cookies), ['resumed'])
  t.true(await app.middleware.destroy(key ?? '', { owner: 'ada' }))
  t.deepEqual(await origins(app, app.cookies), ['expired'])
})

test('destroy() of what never was says so, and of what is no public id is refused', async (t) => {
  const { middleware } = await signedIn(t, [])

  t.false(await middleware.destroy('never was'))
  t.false(await middleware.destroy(''))
  await t.throwsAsync(middleware.destroy(5 as unknown as string), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'the first argument of destroy() must be a public id, got a number',
  })
})

test('options of destroy() and destroyAll() that are none reject, with a sentence that says so', async (t) => {
  // They are taken apart before there is a promise: null throws "Cannot destructure property" at once.
  const { middleware } = await signedIn(t, [])
  const calls = [
    middleware.destroy('never was', null as unknown as object),
    middleware.destroyAll('ada', null as unknown as object),
  ]

  for (const call of calls) await t.throwsAsync(call, { code: 'ERR_INVALID_ARG_TYPE' })
})

test('destroyAll() logs an owner out everywhere, and nobody else', async (t) => {
  const app = await signedIn(t, ['ada', 'eve', 'ada', 'ada'])

  t.is(await app.middleware.destroyAll('ada'), 3)
  t.deepEqual(await origins(app, app.cookies), ['expired', 'resumed', 'expired', 'expired'])
  t.is(await app.middleware.destroyAll('ada'), 0)
})

test('destroyAll() leaves the session out that it is told', async (t) => {
  const app = await signedIn(t, ['ada', 'ada', 'ada'])
  const [, except = ''] = app.keys

  t.is(await app.middleware.destroyAll('ada', { except }), 2)
  t.deepEqual(await origins(app, app.cookies), ['expired', 'resumed', 'expired'])
})

test('list() and destroyAll() follow an ended record that a store gives, as long as it leads to the same owner', async (t) => {
  const app = await signedIn(t, ['ada', 'ada'])
  const [moved = '', gone = ''] = app.cookies
  const renewed = (await app.browser().send('/regenerate', moved)).setCookie[0]?.split(';')[0] ?? ''
  const others = (await app.browser().send('/in?owner=eve', gone)).setCookie[0]?.split(';')[0] ?? ''
  const ended = await Promise.all(app.keys.map(async (key) => app.store.read(key, Date.now())))
  app.store.list = () => ({ records: ended.filter((record) => record !== undefined), cursor: undefined })

  t.deepEqual(
    (await app.middleware.list('ada')).map(({ publicId }) => publicId),
    [keyIn(renewed)],
  )
  t.is(await app.middleware.destroyAll('ada'), 1)
  t.deepEqual(await origins(app, [renewed, others]), ['expired', 'resumed'])
})

for (const [what, owner] of [
  ['undefined', undefined],
  ['an empty string', ''],
  ['a number', 5],
] as const) {
  test(`list() and destroyAll() refuse ${what} for an owner`, async (t) => {
    const { middleware } = await signedIn(t, [])
    await t.throwsAsync(middleware.list(owner as string), { instanceOf: TypeError })
    await t.throwsAsync(middleware.destroyAll(owner as string), { instanceOf: TypeError })
  })
}

test('a store without an owner index rejects list, destroyAll and destroy with an owner', async (t) => {
  const store = new PlainStore()
  Object.assign(store, { list: undefined })
  const { middleware, keys } = await signedIn(t, ['ada'], { store })

  await t.throwsAsync(middleware.list('ada'), UNSUPPORTED)
  await t.throwsAsync(middleware.destroyAll('ada'), UNSUPPORTED)
  await t.throwsAsync(middleware.destroy(keys[0] ?? '', { owner: 'ada' }), UNSUPPORTED)
  t.true(await middleware.destroy(keys[0] ?? ''))
})

for (const [how, option] of [
  ['signIn()', {}],
  ['the owner option', { owner: ({ name }: { name?: string }) => name }],
] as const) {
  test(`with maxPerOwner and a store without an owner index nobody is signed in, by ${how}`, async (t) => {
    const store = Object.assign(new PlainStore(), { list: undefined })
    const app = await mounted(
      t,
      { store, maxPerOwner: 1, ...option },
      {
        ...handlers,
        '/in': async (session) => {
          if (how === 'signIn()') await session.signIn('ada')
          session.data.name = 'ada'
        },
        '/owner': ({ owner }) => owner ?? 'none',
      },
    )
    const browser = app.browser()
    await browser.get('/anonymous')

    t.is((await browser.get('/in')).status, 501)
    t.like(app.errors[0], UNSUPPORTED)
    t.is((await browser.get('/owner')).body, 'none')
  })
}

test('deleteExpired() removes what has expired now, and tells how many', async (t) => {
  let now = NOW
  const { middleware } = await signedIn(t, ['ada', 'eve'], { now: () => now })
  t.is(await middleware.deleteExpired(), 0)
  now += 7_200_000

  t.is(await middleware.deleteExpired(), 2)
  t.is(await middleware.deleteExpired(), 0)
})

test('after close() a request with a session is ERR_SESSION_STORE, and a visitor is served', async (t) => {
  const app = await signedIn(t, ['ada'])
  await app.middleware.close()
  await app.middleware.close()
  const { status, setCookie } = await app.browser().send('/origin', app.cookies[0] ?? '')

  t.is(status, 503)
  t.deepEqual(setCookie, [])
  t.like(app.errors[0], {
    code: 'ERR_SESSION_STORE',
    message:
      'the session middleware is closed: stop the server first, for no request with a session is served after close()',
  })
  t.is((await app.browser().get('/origin')).body, 'new')
  t.is((await app.browser().get('/anonymous')).status, 503)
})

test('after close() every method of the middleware is ERR_SESSION_STORE', async (t) => {
  const { middleware, keys } = await signedIn(t, ['ada'])
  const key = keys[0] ?? ''
  await middleware.close()
  const scanned = async () => {
    for await (const { publicId } of middleware.scan()) t.fail(publicId)
  }
  const methods: Record<string, () => Promise<unknown>> = {
    run: () => middleware.run(new IncomingMessage(new Socket()), () => t.fail()),
    list: () => middleware.list('ada'),
    get: () => middleware.get(key),
    update: () => middleware.update(key, () => undefined),
    updateAll: () => middleware.updateAll('ada', () => undefined),
    scan: scanned,
    destroy: () => middleware.destroy(key),
    destroyAll: () => middleware.destroyAll('ada'),
    destroyEverything: () => middleware.destroyEverything(),
    deleteExpired: () => middleware.deleteExpired(),
  }

  for (const [name, call] of Object.entries(methods))
    await t.throwsAsync(call(), { code: 'ERR_SESSION_STORE', message: /is closed/ }, name)
})

test('close() waits for the ends that are under way, and a walk that somebody looks at ends then', async (t) => {
  const ends: Record<string, (middleware: Mounted['middleware'], key: string) => Promise<unknown>> = {
    destroy: (middleware, key) => middleware.destroy(key),
    destroyAll: (middleware) => middleware.destroyAll('ada'),
    destroyEverything: (middleware) => middleware.destroyEverything(),
  }
  for (const [name, end] of Object.entries(ends)) {
    const { middleware, store, keys } = await signedIn(t, ['ada'])
    const order: string[] = []
    const held = store.pause('replace')
    const ending = end(middleware, keys[0] ?? '').then(() => order.push(name))
    await held.arrived
    const closing = middleware.close().then(() => order.push('close'))
    // Every turn that close() could take if it waited for nothing.
    await new Promise((resolve) => setImmediate(resolve))
    held.open()
    await Promise.all([ending, closing])

    t.deepEqual(order, [name, 'close'])
  }

  // More than two portions: one may be larger than was asked for.
  const { middleware } = await signedIn(
    t,
    Array.from({ length: 2 * PORTION + 50 }, () => 'ada'),
  )
  const scan = middleware.scan()
  await scan.next()
  await middleware.close()
  const rest = async () => {
    while ((await scan.next()).done !== true);
  }
  await t.throwsAsync(rest(), { code: 'ERR_SESSION_STORE', message: /is closed/ })
})

test('a session whose last commit came after close() takes no more changes', async (t) => {
  let held: Session | undefined
  const app = await mounted(
    t,
    {},
    {
      '/': (session) => {
        session.data.n = 1
        held = session
        void session.save()
      },
    },
  )
  const creating = app.store.pause('create')
  const answer = app.browser().get('/')
  await creating.arrived
  const closing = app.middleware.close()
  creating.open()

  t.is((await answer).status, 503)
  t.throws(() => (held ?? t.fail()).clear(), { code: 'ERR_SESSION_CLOSED' })
  await closing
})

test('close() closes the store once', async (t) => {
  let closed = 0
  const store = Object.assign(new MemoryStore(), { close: () => (closed += 1) })
  const middleware = session({ keys: KEYS, store })
  await middleware.close()
  await middleware.close()

  t.is(closed, 1)
})

test('with the owner option data tells the owner, at each commit', async (t) => {
  const app = await mounted(
    t,
    { owner: ({ name }) => name },
    {
      '/in': ({ data }) => (data.name = 'ada'),
      '/look': ({ owner }) => owner,
      '/out': ({ data }) => delete data.name,
      '/bad': ({ data }) => (data.name = ''),
      '/number': ({ data }) => (data.name = 5 as unknown as string),
      '/sign': (session) => session.signIn('ada'),
    },
  )
  const browser = app.browser()
  await browser.get('/in')
  t.is((await browser.get('/look')).body, 'ada')
  t.is((await app.middleware.list('ada')).length, 1)
  for (const [path, code] of [
    ['/bad', 'ERR_INVALID_ARG_VALUE'],
    ['/number', 'ERR_INVALID_ARG_TYPE'],
    ['/sign', 'ERR_SESSION_UNSUPPORTED'],
  ] as const) {
    t.true((await browser.get(path)).status >= 500)
    t.like(app.errors.at(-1), { code })
  }
  t.is((await app.middleware.list('ada')).length, 1)
  await browser.get('/out')

  t.deepEqual(await app.middleware.list('ada'), [])
  t.is((await browser.get('/look')).body, 'done')
})

test('an owner that is inherited and undefined is refused as one of its own is: nothing fails open', async (t) => {
  const app = quick()
  const { middleware } = app
  await app.ask(undefined, (session) => session.signIn('ada'))
  const [{ publicId } = { publicId: '' }] = await middleware.list('ada')
  class Nobody {
    get owner(): string | undefined {
      return undefined
    }
  }

  await app.ask(undefined, async (visitor) => {
    // `{ owner: visitor.owner }` is a TypeError. The manager itself, which TypeScript takes as well, must be one, too.
    for (const nobody of [visitor, new Nobody()]) {
      const owner = nobody as unknown as { owner: string }
      const refused = { code: 'ERR_INVALID_ARG_TYPE' }
      await t.throwsAsync(middleware.get(publicId, owner), refused)
      await t.throwsAsync(
        middleware.update(publicId, () => undefined, owner),
        refused,
      )
      // Today: true, and ada is signed out.
      await t.throwsAsync(middleware.destroy(publicId, owner), refused)
    }
  })
  t.is((await middleware.list('ada')).length, 1)
})
