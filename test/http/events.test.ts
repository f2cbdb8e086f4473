// What the diagnostics channels say of requests. Channels belong to the process, so these tests are serial.
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { MemoryStore, session } from '../../src/index.ts'
import { sessionCookie } from '../../src/testing.ts'
import { KEYS, servedMiddlewares } from '../support/app.ts'
import { ROOT } from '../support/consumer.ts'
import { Barrier } from '../support/faults.ts'
import { answering, hear, keyIn, mounted, valueIn, type Handler, type Heard, type Things } from '../support/mounted.ts'
import { start } from '../support/service.ts'

const ALL = [
  'create',
  'resume',
  'reject',
  'commit',
  'conflict',
  'gone',
  'regenerate',
  'sign-in',
  'destroy',
  'store-error',
]

const handlers: Readonly<Record<string, Handler>> = {
  '/n': ({ data }) => (data.n = (data.n ?? 0) + 1),
  '/look': ({ data }) => data,
  '/regenerate': (session) => session.regenerate(),
  '/in': (session) => session.signIn('ada'),
  '/out': (session) => session.destroy(),
  '/save': async (session) => {
    session.data.name = 'ada'
    await session.save()
    session.data.name = 'eve'
  },
}

/** A browser with a stored session, its public id, and the events from then on. */
async function begun(t: ExecutionContext, more: Readonly<Record<string, Handler>> = {}) {
  const app = await mounted(t, { logger: {} }, { ...handlers, ...more })
  const browser = app.browser()
  await browser.get('/n')
  const cookie = await browser.cookie()
  return { ...app, visitor: browser, cookie, publicId: keyIn(cookie), heard: hear(t, ...ALL) }
}

test.serial('a visitor for whom nothing is kept is no event', async (t) => {
  const app = await mounted(t, {}, handlers)
  const heard = hear(t, ...ALL)
  await app.browser().get('/look')

  t.deepEqual(heard, [])
})

test.serial('a first store is create and commit, a use resume, a change resume and commit', async (t) => {
  const app = await mounted(t, {}, handlers)
  const heard = hear(t, ...ALL)
  const browser = app.browser()
  const publicId = keyIn((await browser.get('/n')).setCookie[0])
  for (const path of ['/look', '/n', '/save']) await browser.get(path)

  t.deepEqual(heard, [
    ['create', { publicId }],
    ['commit', { publicId }],
    ['resume', { publicId }],
    ['resume', { publicId }],
    ['commit', { publicId }],
    ['resume', { publicId }],
    ['commit', { publicId }],
    ['commit', { publicId }],
  ])
})

test.serial('regenerate names both public ids', async (t) => {
  const { visitor, publicId, heard } = await begun(t)
  const next = keyIn((await visitor.get('/regenerate')).setCookie[0])

  t.deepEqual(heard, [
    ['resume', { publicId }],
    ['regenerate', { publicId: next, previousPublicId: publicId }],
    ['commit', { publicId: next }],
  ])
})

test.serial('a sign-in is a regenerate, and the first store of a visitor', async (t) => {
  const { visitor, browser, publicId, heard } = await begun(t)
  const next = keyIn((await visitor.get('/in')).setCookie[0])
  const other = keyIn((await browser().get('/in')).setCookie[0])

  t.deepEqual(heard.slice(1), [
    ['regenerate', { publicId: next, previousPublicId: publicId, owner: 'ada' }],
    ['commit', { publicId: next, owner: 'ada' }],
    ['sign-in', { publicId: next, previousPublicId: publicId, owner: 'ada' }],
    ['create', { publicId: other, owner: 'ada' }],
    ['commit', { publicId: other, owner: 'ada' }],
    ['sign-in', { publicId: other, owner: 'ada' }],
  ])
})

test.serial('destroy is told once, from within and from elsewhere', async (t) => {
  const { visitor, middleware, browser, cookie, publicId, heard } = await begun(t)
  await visitor.get('/out')
  await browser().send('/out', cookie)
  await middleware.destroy(publicId)
  const other = keyIn((await browser().get('/in')).setCookie[0])
  await middleware.destroyAll('ada')

  t.deepEqual(
    heard.filter(([name]) => name === 'destroy'),
    [
      ['destroy', { publicId, reason: 'sign-out' }],
      ['destroy', { publicId: other, owner: 'ada', reason: 'elsewhere' }],
    ],
  )
})

const rejected: Record<string, (cookie: string) => string> = {
  malformed: () => 'sid=bad',
  signature: (cookie) => cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
}

for (const [reason, forge] of Object.entries(rejected)) {
  test.serial(`a cookie that is rejected for ${reason} names no session`, async (t) => {
    const { browser, cookie, heard } = await begun(t)
    await browser().send('/look', forge(cookie))

    t.deepEqual(heard, [['reject', { reason }]] as unknown as Heard[])
  })
}

test.serial('a cookie of an ended session is rejected by name', async (t) => {
  const { browser, middleware, cookie, publicId, heard } = await begun(t)
  await middleware.destroy(publicId)
  await browser().send('/look', cookie)

  t.deepEqual(heard.at(-1), ['reject', { publicId, reason: 'ended' }])
})

test.serial('a session that is there and does not count is rejected by its reason', async (t) => {
  let now = Date.now()
  const common = { store: new MemoryStore(), now: () => now, logger: {} }
  const encryptionKeys = ['an encryption secret of some length']
  const others = { keys: ['another encryption secret'], acceptPlain: true, onUnknownKey: 'end' } as const
  const [first, second] = [
    await mounted(t, { ...common, encryptionKeys }, handlers),
    await mounted(t, common, handlers),
  ]
  const sites = {
    idle: await mounted(t, { ...common, idleTimeout: '5m' }, handlers),
    absolute: await mounted(t, { ...common, absoluteTimeout: '5m' }, handlers),
    key: await mounted(t, { ...common, encryptionKeys: others }, handlers),
  }
  const cookies: string[] = []
  for (const site of [second, second, first]) {
    const browser = site.browser()
    await browser.get('/in')
    cookies.push(await browser.cookie())
  }
  now += 300_000
  const heard = hear(t, 'reject')
  for (const [at, site] of Object.values(sites).entries()) await site.browser().send('/look', cookies[at] ?? t.fail())
  await second.browser().send('/regenerate', cookies[0] ?? t.fail())
  await second.browser().send('/look', cookies[0] ?? t.fail())

  t.deepEqual(heard, [
    ...Object.keys(sites).map((reason, at) => ['reject', { publicId: keyIn(cookies[at]), owner: 'ada', reason }]),
    ['reject', { publicId: keyIn(cookies[0]), reason: 'replaced' }],
  ])
})

test.serial('a session that a bounded store removed to make room is told as evicted, with its owner', async (t) => {
  const middleware = session<Things>({ store: new MemoryStore({ maxSessions: 1 }), keys: KEYS, logger: {} })
  const cookie = await sessionCookie(middleware, { n: 1 }, { owner: 'ada' })
  const heard = hear(t, 'destroy')
  await sessionCookie(middleware, { n: 2 })

  t.deepEqual(heard, [['destroy', { publicId: keyIn(cookie), owner: 'ada', reason: 'evicted' }]])
})

test.serial('a closed middleware tells of no evictions but those by work that close() waited for', async (t) => {
  const store = new MemoryStore({ maxSessions: 1 })
  const barrier = new Barrier()
  const slow = Object.assign(new MemoryStore({ maxSessions: 1 }), {
    create: async (...given: Parameters<MemoryStore['create']>) => (await barrier.pass(), store.create(...given)),
    watchEvictions: store.watchEvictions.bind(store),
  })
  const [closed, open] = [slow, store].map((one) => session<Things>({ store: one, keys: KEYS, logger: {} }))
  if (closed === undefined || open === undefined) return t.fail()
  const app = await servedMiddlewares(t, closed, answering(handlers))
  await sessionCookie(open, { n: 1 })
  const heard = hear(t, 'destroy')
  const answer = app.browser().get('/n')
  await barrier.arrived
  const closing = closed.close()
  barrier.open()
  await Promise.all([answer, closing])
  t.is(heard.length, 2)
  await sessionCookie(open, { n: 2 })

  t.is(heard.length, 3)
})

test.serial('a session that cannot be read is rejected by name, and not told as resumed', async (t) => {
  const { visitor, store, publicId, heard } = await begun(t, { '/unseen': () => 'unseen' })
  const record = await store.read(publicId, Date.now())
  if (record === undefined) return t.fail('not stored')
  await store.replace({ ...record, version: 2, payload: '{"n":' }, 1, Date.now())
  await visitor.get('/unseen')
  await visitor.get('/look')

  const told = ['reject', { publicId, reason: 'corrupt' }]
  t.deepEqual(heard, [told, told])
})

test.serial('a record that is not one is rejected by name before the handlers run', async (t) => {
  const { browser, cookie, heard, store } = await begun(t)
  const read = store.read.bind(store)
  store.read = async (key, now) => ({ ...(await read(key, now)), version: 'one' }) as never
  await browser().send('/look', cookie)

  t.deepEqual(heard, [['reject', { publicId: keyIn(cookie), reason: 'corrupt' }]])
})

test.serial('notes that cannot be read reject a session before the handlers run', async (t) => {
  const { visitor, store, publicId, heard } = await begun(t)
  const record = await store.read(publicId, Date.now())
  if (record === undefined) return t.fail('not stored')
  await store.replace({ ...record, version: 2, meta: 'no notes' }, 1, Date.now())
  await visitor.get('/look')

  t.deepEqual(heard, [['reject', { publicId, reason: 'corrupt' }]])
})

test.serial('two live sessions in one header are a duplicate of the second', async (t) => {
  const { browser, cookie, heard } = await begun(t)
  const other = (await browser().get('/n')).setCookie[0]
  heard.length = 0
  await browser().send('/look', `${cookie}; sid=${valueIn(other)}`)

  t.deepEqual(
    heard.filter(([name]) => name === 'reject'),
    [['reject', { publicId: keyIn(other), reason: 'duplicate' }]],
  )
})

test.serial('a key that two requests changed is a conflict that names it', async (t) => {
  const { visitor, browser, cookie, publicId, heard } = await begun(t, {
    '/slow': async ({ data }) => {
      data.n = 10
      data.name = 'mine'
      await browser().send('/n', cookie)
    },
  })
  await visitor.get('/slow')

  t.deepEqual(
    heard.filter(([name]) => name === 'conflict'),
    [['conflict', { publicId, keys: ['n'] }]],
  )
})

test.serial('a key that two requests changed is a conflict also where the later one is refused', async (t) => {
  const heard = hear(t, 'conflict')
  const app = await mounted(
    t,
    { onConflict: 'throw' },
    {
      ...handlers,
      '/in': async (session) => {
        session.data.n = 1
        await session.signIn('ada')
      },
      '/slow': async ({ data }) => {
        data.n = 10
        await app.browser().send('/n', cookie)
      },
    },
  )
  const visitor = app.browser()
  await visitor.get('/in')
  const cookie = await visitor.cookie()
  const { status } = await visitor.get('/slow')

  t.is(status, 409)
  t.deepEqual(heard, [['conflict', { publicId: keyIn(cookie), owner: 'ada', keys: ['n'] }]])
})

test.serial('a change to a session that ended meanwhile is gone', async (t) => {
  const { visitor, middleware, publicId, heard } = await begun(t, {
    '/slow': async ({ data }) => {
      data.n = 10
      await middleware.destroy(publicId)
    },
  })
  const { status } = await visitor.get('/slow')

  t.is(status, 409)
  t.deepEqual(
    heard.filter(([name]) => name === 'gone'),
    [['gone', { publicId }]],
  )
})

test.serial(
  'a change with an id that was replaced a moment ago is gone, under the public id that it came with',
  async (t) => {
    const { visitor, browser, cookie, publicId, heard } = await begun(t)
    await visitor.get('/regenerate')
    heard.length = 0
    const { status } = await browser().send('/n', cookie)

    t.is(status, 409)
    t.deepEqual(heard, [
      ['reject', { publicId, reason: 'replaced' }],
      ['gone', { publicId }],
    ])
  },
)

test.serial('a store that fails is an event with its verb and its kind, and without what it said', async (t) => {
  const { visitor, store, publicId, heard } = await begun(t)
  const error = Object.assign(new Error('PRIVATE'), { code: 'ECONNREFUSED' })
  store.next('read', { kind: 'fail', error })
  await visitor.get('/look')

  t.like(heard, [['store-error', { publicId, operation: 'read', kind: 'ECONNREFUSED' }]])
  t.is(heard.length, 1)
  t.false(inspect(heard, { depth: 9 }).includes('PRIVATE'))
})

test.serial('a write that the store refuses is an event with the owner', async (t) => {
  const { visitor, store, heard } = await begun(t)
  await visitor.get('/in')
  const publicId = keyIn(await visitor.cookie())
  store.next('replace', { kind: 'fail', error: new Error('no') })
  await visitor.get('/n')

  t.like(heard.at(-1), ['store-error', { publicId, owner: 'ada', operation: 'replace' }])
})

test.serial('no event carries an id, a signature or data', async (t) => {
  const { visitor, cookie, heard } = await begun(t)
  for (const path of ['/save', '/regenerate', '/in', '/out', '/look']) await visitor.get(path)
  const [id = '', signature = ''] = valueIn(cookie).split('.')

  t.true(heard.length > 5)
  for (const secret of [id, signature, 'eve', '"n":']) t.false(JSON.stringify(heard).includes(secret))
})

// In a process of its own: Node raises what a subscriber throws as an uncaught exception.
test('a subscriber that throws does not break the request', async (t) => {
  const program = start(
    process.execPath,
    [
      '--import=./test/support/loader.js',
      '--input-type=module',
      '-e',
      `
    import { subscribe } from 'node:diagnostics_channel'
    import Koa from 'koa'
    import { session } from './src/index.ts'
    let uncaught = 0
    process.on('uncaughtException', () => uncaught++)
    for (const name of ['create', 'commit']) subscribe('koa-fastsession:' + name, () => { throw new Error('a listener') })
    const app = new Koa().use(session({ keys: ['a secret of some length'] })).use((ctx) => { ctx.state.session.data.n = 1; ctx.body = 'done' })
    const server = app.listen(0, '127.0.0.1', async () => {
      const response = await fetch('http://127.0.0.1:' + server.address().port)
      console.log(response.status, await response.text(), response.headers.getSetCookie().length, uncaught)
      server.close()
      server.closeAllConnections()
    })
  `,
    ],
    { cwd: ROOT },
  )
  await new Promise((resolve) => program.process.once('close', resolve))

  t.is(program.output().trim(), '200 done 1 2')
})
